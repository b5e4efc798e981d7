"""From an answer's bytes to a point's value, step by step, for people who doubt it.

`steps` gives rows of texts, integers and None: what was asked, the bytes of the value, what they say in their type and
order, the scale with the transformers in it, the value in its unit, its range.
"""

from carbonterm.errors import FrameError, NumberError, UnitError
from carbonterm.field import places, requests
from carbonterm.field.registers import WIDTH


def steps(site, index, request, place, data):
    """Rows {"step", …} of point number `index`, whose request was answered with `data` (what Talk.data is)."""
    point, meter = site.points[index], site.meters[site.points[index].meter]
    rows = [_row("asked", what=asked(request), unit=str(meter.unit), protocol=meter.protocol)]
    part = data
    if meter.protocol == places.MODBUS:
        part = data[2 * place : 2 * (place + WIDTH[point.type])]
        rows.append(_row("bytes", hex=_hex(part), place="register %d" % point.address))
    elif meter.protocol == places.CJT188:
        for item in data:
            if item.code == point.address:
                rows.append(_row("bytes", hex=_hex(item.raw), place=item.code))
                rows.append(_row("meter", value=_text(item.value), unit=item.unit))
    elif meter.protocol in places.CHANNELS:
        rows.append(_row("bytes", hex=_hex(data), place=meter.unit))
    else:
        rows.append(_row("bytes", hex=_hex(data), place=point.address))
    try:
        raw = request.value(data, point, place)
    except (FrameError, NumberError, UnitError) as error:
        rows.append(_row("unreadable", why=error.what))
        return rows
    rows.append(_row("read", type=point.type, order=point.order, value=_text(raw)))
    if raw is None:
        return rows
    rows.append(_row("scaled", scale=str(point.scale), ct=meter.ct, pt=meter.pt))
    value, _ = requests.value(request, data, point, place)
    rows.append(_row("value", value=str(value), unit=point.unit))
    if point.minimum is not None or point.maximum is not None:
        low, high = point.minimum, point.maximum
        inside = (low is None or value >= low) and (high is None or value <= high)
        rows.append(_row("range", min=_text(low), max=_text(high), inside=inside))
    return rows


def asked(request):
    """What a request asks for, as its protocol writes it."""
    if hasattr(request, "function"):
        return "%02X %d+%d" % (request.function, request.address, request.count)
    return getattr(request, "identifier", "901F")


def feeds(site, index):
    """[(source, parameter, factor text)] of what a point feeds."""
    found = []
    for source in site.sources:
        for one in source.inputs:
            for point, above, below in one.points:
                if point == index:
                    found.append((source.name, one.parameter, "%d/%d" % (above, below) if below > 1 else str(above)))
    return found


def _row(step, **fields):
    fields["step"] = step
    return fields


def _hex(data):
    return "".join(["%02X" % byte for byte in data])


def _text(value):
    return None if value is None else str(value)
