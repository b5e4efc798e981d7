"""One plot as an SVG that needs no script: curves over time, with bands where something was away."""

from html import escape

from carbonterm import clock

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 400, 150, 62, 18, 6
MOST = 400  # points of a curve: one a pixel


def plot(title, curves, span, bands=(), zone=480, dots=False):
    """A <figure>. curves: lists of (ms, value), the first one solid; span: (from ms, to ms); bands: (from, to)."""
    values = [value for curve in curves for _, value in curve] or [0]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 1, high + 1
    begin, end = span

    def across(ms):
        return LEFT + (WIDTH - LEFT - 6) * (ms - begin) / max(end - begin, 1)

    def up(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = []
    for since, until in bands:
        x = across(max(since, begin))
        width = max(across(min(until, end)) - x, 1)
        parts.append(f"<rect class=off x='{x:.1f}' y='{TOP}' width='{width:.1f}' height='{HEIGHT - TOP - BOTTOM}'/>")
    parts.append(f"<path class=axis fill=none d='M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 6}'/>")
    for value in (low, high):
        y = up(value) + (8 if value == high else 0)
        parts.append(f"<text x='{LEFT - 4}' y='{y:.1f}' text-anchor=end>{_short(value)}</text>")
    for ms, anchor in ((begin, "start"), (end, "end")):
        told = _moment(ms, span, zone)
        parts.append(f"<text x='{across(ms):.1f}' y='{HEIGHT - 4}' text-anchor={anchor}>{told}</text>")
    for number, curve in enumerate(curves):
        spots = [(across(ms), up(value)) for ms, value in _thin(curve)]
        if dots or len(spots) == 1:
            parts += [f"<circle class=dot cx='{x:.1f}' cy='{y:.1f}' r=2.5 />" for x, y in spots]
        elif spots:
            way = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
            parts.append(f"<path class={'second' if number else 'curve'} d='M{way}'/>")
    return (f"<figure><figcaption>{escape(title)}</figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>"
            f"<title>{escape(title)}</title>{''.join(parts)}</svg></figure>")


def _thin(curve):
    if len(curve) <= MOST:
        return curve
    step = (len(curve) + MOST - 1) // MOST
    return [*curve[::step], curve[-1]]


def _short(value):
    return f"{value / 1e6:.6g} M" if abs(value) >= 1e6 else f"{value:.6g}"


def _moment(ms, span, zone):
    text = clock.text(ms, zone)
    return text[5:16].replace("T", " ") if span[1] - span[0] > 86400000 else text[11:19]
