"""What people see of the platform's store: JSON per terminal and one plain page, Chinese and English.

Figures are the terminal's own, decoded from its entries, with the names of its site document where there is one.
"""

import html as markup

from sqlalchemy import select
from sqlalchemy.sql import func

from carbonterm import cbor, clock
from carbonterm.gm import sm3
from carbonterm.ledger import entry as formats
from carbonterm.ledger.tree import leaf
from carbonterm.number import Number
from carbonterm_host.platform.access import notices
from carbonterm_host.platform.data import jobs
from carbonterm_host.platform.inventory import notices as inventory
from carbonterm_host.platform.inventory.figures import site_of
from carbonterm_host.platform.quality import notices as quality
from carbonterm_host.platform.store import checkpoints, entries, evidence, figures, find_end, logs

FORKS = 20  # shown per epoch
_QUALITIES = ("有效 good", "估算 estimated", "存疑 suspect", "无效 invalid", "无应答 silent", "被拒 refused")
_CHINESE = {"second": "秒", "minute": "分", "hour": "时", "day": "日", "month": "月", "year": "年"}


def terminals(store):
    """[{"terminal", "epochs", "entries"}] of all registered terminals."""
    with store.read() as connection:
        rows = connection.execute(
            select(logs.c.terminal_id, func.count(), func.sum(logs.c.next_seq))
            .group_by(logs.c.terminal_id).order_by(logs.c.terminal_id)
        ).all()  # fmt: skip
    return [{"terminal": name, "epochs": epochs, "entries": count} for name, epochs, count in rows]


def terminal(store, terminal_id):
    """Everything about one terminal as plain JSON values, or None; the epochs in order, figures of the newest."""
    with store.read() as connection:
        found = connection.execute(
            select(logs).where(logs.c.terminal_id == terminal_id).order_by(logs.c.epoch)
        ).all()  # fmt: skip
        if not found:
            return None
        site = site_of(connection, found[-1])
        return {
            "terminal": terminal_id,
            "name": site.name if site else None,
            "epochs": [_epoch(connection, log, site) for log in found],
            "closings": _latest(connection, found[-1], formats.CLOSING, site),
            "emissions": _latest(connection, found[-1], formats.EMISSION, site),
        }


def html(store, name, public, asks):
    """The page as text; asks: who asks for it, as the gate has it (scope["access"])."""
    parts = [
        '<!doctype html><html lang="zh"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        "<title>carbonterm</title><style>:root{color-scheme:light dark}",
        "body{font:15px/1.5 sans-serif;margin:1.5em;max-width:70em}",
        # a table that is wider than the screen scrolls by itself
        "table{display:block;overflow-x:auto;border-collapse:collapse;margin:.5em 0 1.5em}",
        "td,th{border:1px solid #8888;padding:.2em .6em;text-align:left;white-space:nowrap}",
        "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}",
        ".bad{color:#b00;color:light-dark(#b00,#ff8080)}code{overflow-wrap:anywhere}</style>",
        f"<h1>碳计量平台 Carbon platform: {markup.escape(name)}</h1>",
        f"<p>公钥 Public key (SM2): <code>{public.hex()}</code></p>",
    ]
    parts.extend(notices.lines(store, asks["person"]))
    parts.extend(jobs.lines(store))
    listed = [row for row in terminals(store) if row["terminal"] not in asks["hidden"]]
    if not listed:
        parts.append("<p>还没有登记终端。No terminal is registered yet: <code>carbonterm platform register</code></p>")
    for row in listed:
        parts.append(_section(terminal(store, row["terminal"])))
        parts.extend(inventory.lines(store, row["terminal"]))
        parts.extend(quality.lines(store, row["terminal"]))
    return "\n".join(parts)


def _epoch(connection, log, site):
    of_log = entries.c.log == log.id
    kinds = connection.execute(select(entries.c.kind, func.count()).where(of_log).group_by(entries.c.kind)).all()
    last_ms = connection.execute(select(entries.c.time_ms).where(of_log, entries.c.seq == log.next_seq - 1)).scalar()
    proofs = connection.execute(
        select(evidence.c.code, func.count()).where(evidence.c.log == log.id).group_by(evidence.c.code)
    ).all()  # fmt: skip
    sealed = connection.execute(
        select(checkpoints.c.size, checkpoints.c.root).where(checkpoints.c.log == log.id)
        .order_by(checkpoints.c.size.desc()).limit(1)
    ).one_or_none()  # fmt: skip
    end = find_end(connection, log)
    return {
        "epoch": log.epoch,
        "public_key": log.public.hex(),
        "entries": log.next_seq,
        "kinds": {formats.KINDS[kind]: count for kind, count in kinds},
        "sealed": sealed.size if sealed else 0,
        "sealed_root": sealed.root.hex() if sealed else sm3.digest(b"").hex(),
        "ended": end.why if end else None,
        "forks": _forks(connection, log),
        "last_entry": _time(last_ms, site),
        "last_heard": _time(log.heard_ms, site),
        "evidence": {code: count for code, count in proofs},
    }


def _forks(connection, log):
    """The first entries that came with other bytes under a right fingerprint, both leaves: the key was used twice."""
    rows = connection.execute(
        select(evidence.c.data, evidence.c.time_ms).where(evidence.c.log == log.id, evidence.c.code == "fork")
        .order_by(evidence.c.id).limit(FORKS)
    ).all()  # fmt: skip
    found = []
    for data, time_ms in rows:
        seq, raw, fingerprint = cbor.decode(data)
        held = connection.execute(
            select(entries.c.leaf, entries.c.fingerprint).where(entries.c.log == log.id, entries.c.seq == seq)
        ).one_or_none()
        found.append({
            "seq": seq, "came": clock.text(time_ms, 0),
            "held_leaf": held.leaf.hex() if held else None,
            "held_fingerprint": held.fingerprint.hex() if held else None,
            "other_leaf": leaf(raw).hex(), "other_fingerprint": fingerprint.hex(),
        })  # fmt: skip
    return found


def _latest(connection, log, kind, site):
    """The newest figure of each period and point or source, the longest period last.

    Newest is what was recorded last: a clock that was wrong may have settled days to come. A period that closed more
    than once, because the clock was set, has the sum of what it closed with.
    """
    of_kind = (figures.c.log == log.id, figures.c.kind == kind)
    newest = (
        select(figures.c.period, figures.c.subject, func.max(figures.c.seq).label("seq"))
        .where(*of_kind).group_by(figures.c.period, figures.c.subject).subquery()
    )  # fmt: skip
    last = figures.alias()
    rows = connection.execute(
        select(figures)
        .join(newest, (figures.c.period == newest.c.period) & (figures.c.subject == newest.c.subject))
        .join(
            last,
            (last.c.log == log.id) & (last.c.kind == kind) & (last.c.seq == newest.c.seq)
            & (last.c.period == newest.c.period) & (last.c.subject == newest.c.subject)
            & (last.c.start_ms == figures.c.start_ms) & (last.c.version == figures.c.version),
        ).where(*of_kind).order_by(figures.c.period, figures.c.subject, figures.c.seq)
    ).all()  # fmt: skip
    parts = {}
    for row in rows:
        parts.setdefault((row.period, row.subject), []).append(row)
    return [_figure(closed, site, _earlier(connection, log, closed[-1])) for closed in parts.values()]


def _earlier(connection, log, row):
    """The versions of a figure of emissions before its last, and the last one's reason: ([{"version", "tco2e"}], text
    or None)."""
    if row.kind != formats.EMISSION or row.version < 2:
        return [], None
    found = connection.execute(
        select(figures.c.version, figures.c.value)
        .where(figures.c.log == log.id, figures.c.kind == row.kind, figures.c.period == row.period,
               figures.c.subject == row.subject, figures.c.start_ms == row.start_ms, figures.c.version < row.version)
        .order_by(figures.c.seq)
    ).all()  # fmt: skip
    raw = connection.execute(select(entries.c.raw).where(entries.c.log == log.id, entries.c.seq == row.seq)).scalar()
    body = formats.decode(raw).body if raw else ()
    return [{"version": one.version, "tco2e": one.value} for one in found], body[4] if len(body) > 4 else None


def _figure(parts, site, earlier):
    """The JSON of a figure from its rows, one for each time that its period closed; one without a value begins anew."""
    row = parts[-1]
    values = [None if part.value is None else Number(part.value) for part in parts]
    while len(values) > 1 and None in values:
        values.pop(0)
    value = row.value if len(values) == 1 else str(sum(values[1:], values[0]))
    emission = row.kind == formats.EMISSION
    rows = (site.sources if emission else site.all_points) if site else []
    known = rows[row.subject] if row.subject < len(rows) else None
    figure = {
        "period": clock.PERIODS[row.period],
        "start": _time(row.start_ms, site),
        "source" if emission else "point": known.name if known else row.subject,
        "quality": max(part.quality for part in parts[-len(values) :]),
        "tco2e" if emission else "increment": value,
    }
    if emission:
        figure["scope"] = known.scope() if known else None
        figure["version"] = row.version
        figure["earlier"], figure["reason"] = earlier
    else:
        figure["unit"] = site.unit(row.subject) if known else None
    return figure


def _section(found):
    newest = found["epochs"][-1]
    proofs = ", ".join(f"{code} {count}" for epoch in found["epochs"] for code, count in epoch["evidence"].items())
    facts = [
        ("纪元 Epoch", newest["epoch"]),
        ("条目 Entries", newest["entries"]),
        ("已封存 Sealed", newest["sealed"]),
        ("最后条目 Last entry", newest["last_entry"] or "—"),
        ("最后通信 Last heard", newest["last_heard"] or "—"),
    ]
    cells = "".join(f"<tr><th>{name}<td class=n>{markup.escape(str(value))}" for name, value in facts)
    title = markup.escape(found["terminal"] + (f" · {found['name']}" if found["name"] else ""))
    parts = [f"<h2>{title}</h2><table>{cells}</table>"]
    if proofs:
        parts.append(f"<p class=bad>拒收证据 Evidence of refused data: {markup.escape(proofs)}</p>")
    for epoch in found["epochs"]:
        if epoch["ended"]:
            parts.append(f"<p>纪元 Epoch {epoch['epoch']}: {markup.escape(epoch['ended'])}</p>")
        for fork in epoch["forks"][:3]:
            parts.append(
                f"<p class=bad>分叉 Fork: 纪元 epoch {epoch['epoch']}, 第 {fork['seq']} 条 entry {fork['seq']}: "
                f"<code>{fork['held_leaf']}</code> ≠ <code>{fork['other_leaf']}</code></p>"
            )
    if found["emissions"]:
        parts.append("<table><tr><th>周期 Period<th>开始 Start<th>排放源 Source<th>范围 Scope<th>质量 Quality"
                     "<th class=n>tCO2e<th>版本 Version")
        for row in found["emissions"]:
            value = "—" if row["tco2e"] is None else str(Number(row["tco2e"]))
            cells = (_both(row["period"]), row["start"], row["source"], row["scope"], _QUALITIES[row["quality"]])
            before = [f"{one['version']}: {one['tco2e'] or '—'}" for one in row["earlier"]]
            version = f"{row['version']}" + (f" ({row['reason']}; {', '.join(before)})" if before else "")
            parts.append("<tr>" + "".join(f"<td>{markup.escape(str(c))}" for c in cells) + f"<td class=n>{value}"
                         + f"<td>{markup.escape(version)}")
        parts.append("</table>")
    return "\n".join(parts)


def _both(period):
    return f"{_CHINESE[period]} {period}"


def _time(time_ms, site):
    """ISO 8601 in the site's zone (UTC where there is no site), or None."""
    return None if time_ms is None else clock.text(time_ms, site.zone if site else 0)
