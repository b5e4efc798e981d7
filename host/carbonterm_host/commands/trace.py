"""`carbonterm trace`: a figure of a bundle down to the meter's frames, each step with its proof (docs/trace.md)."""

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from carbonterm import cbor, clock, formula
from carbonterm.accounting import source as accounting
from carbonterm.errors import CarbonError, ClockError
from carbonterm.figures import PLACES, recorded
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.series import combine, gaps
from carbonterm.series.manual import STATES
from carbonterm.site_rows import Row
from carbonterm.uplink.message import Receipt
from carbonterm_host import bundles, tracer_formed
from carbonterm_host.proofs import Book
from carbonterm_host.screen import JSON, UNVERIFIED, USAGE, Failure, console, put, say
from carbonterm_host.tracer import Tracer

HINT = "write SEQ, EPOCH/SEQ or NAME PERIOD START, such as: electricity day 2026-11-21; --list shows all"
_METHODS_ZH = {"linear": "线性插值", "nearest": "最近邻插值", "counted": "表计累计"}
LENGTHS = (19, 16, 13, 10, 7, 4)  # of START as people write it, by period: 2026-11-21T14 is an hour


def main(
    file: Path = typer.Argument(help="FILE.bundle"),
    figure: list[str] = typer.Argument(None, help="SEQ, or NAME PERIOD START · 序号，或 名称 周期 起始"),
    everything: bool = typer.Option(False, "--all", help="every reading, not the first and last only · 列出全部读数"),
    show_list: bool = typer.Option(False, "--list", help="the figures there are · 列出全部数据"),
    json: bool = JSON,
):
    """Follow a figure to its method, factors, settlements, readings, frames and meter, with proofs · 数据溯源."""
    if show_list == bool(figure):
        raise Failure(USAGE, "give one figure, or --list", HINT)
    found = bundles.read(file)
    try:
        tracer = Tracer(Book(found))
    except CarbonError as error:
        raise Failure(UNVERIFIED, f"{file}: {error.what}", "see carbonterm verify for all that is wrong") from None
    if show_list:
        return _listed(tracer, json)
    traces = [trace(tracer, one, everything) for one in select(tracer, " ".join(figure))]
    result = {"ok": all(one["ok"] for one in traces), "terminal": found.terminal_id, "begins": tracer.begins,
              "figures": traces}  # fmt: skip
    if json:
        put(result)
    else:
        for one in traces:
            console().print(_tree(one))
        if tracer.begins:
            print(say("the bundle begins with entry {1} of epoch {0}: from earlier readings nothing can be recomputed",
                      "日志包自纪元 {0} 第 {1} 条起：更早的读数无从重算").format(*tracer.begins))  # fmt: skip
        print(say("every step holds", "各级均一致") if result["ok"] else say("NOT every step holds", "存在不一致"))
    return None if result["ok"] else UNVERIFIED


def select(tracer, text):
    """The Figures that a text of the command line names, at least one; Failure otherwise."""
    words = text.split()
    found = []
    if len(words) == 1:
        epoch, _, seq = words[0].rpartition("/")
        if seq.isdecimal() and (not epoch or epoch.isdecimal()):
            index = tracer.book.find(int(seq), int(epoch) if epoch else None)
            found = [one for one in tracer.figures if one.index == index]
            if not found:
                kind = entries.KINDS[tracer.book.entries[index].kind]
                raise Failure(USAGE, f"entry {seq} is a {kind} entry and holds no figure", HINT)
    elif len(words) > 2 and words[-2] in clock.PERIODS:
        period = clock.PERIODS.index(words[-2])
        name = " ".join(words[:-2])
        for one in tracer.figures:
            if (one.name, one.period) == (name, period) and one.start_ms == _start(words[-1], period, one.site.zone):
                found.append(one)
    if not found:
        raise Failure(USAGE, f"there is no figure '{text}' in the bundle", HINT)
    return found


def _start(text, period, zone):
    """Milliseconds of a start as people write it, in the site's zone; None where it is no time."""
    full = text + "2000-01-01T00:00:00"[len(text) :]
    try:
        return clock.parse(full + clock.zone_text(zone)) if len(text) == LENGTHS[period] else None
    except ClockError:
        return None


def _named(figure):
    return f"{figure.name} {clock.PERIODS[figure.period]} {_civil(figure)}"


def _civil(figure):
    return clock.text(figure.start_ms, figure.site.zone)[: LENGTHS[figure.period]]


def _listed(tracer, json):
    rows = []
    for one in tracer.figures:
        entry, value = tracer.book.entries[one.index], tracer.value(one)
        rows.append({"figure": _named(one), "epoch": entry.epoch, "seq": entry.seq, "kind": entries.KINDS[one.kind],
                     "value": None if value is None else str(value), "unit": _unit(one)})  # fmt: skip
    if json:
        put({"terminal": tracer.book.bundle.terminal_id, "figures": rows})
        return
    table = Table(box=None, header_style="bold")
    for heading in (say("figure", "数据"), say("entry", "记录"), say("value", "数值"), ""):
        table.add_column(heading)
    for row in rows:
        table.add_row(escape(row["figure"]), f"{row['epoch']}/{row['seq']}", row["value"] or "?", row["unit"])
    console().print(table)


def _unit(figure):
    return "tCO2e" if figure.kind == entries.EMISSION else figure.site.unit(figure.subject)


# --- the object -----------------------------------------------------------------------------------------------------


def trace(tracer, figure, everything=False):
    """The object that --json prints of one figure; everything: each reading instead of the first and last."""
    value = tracer.value(figure)
    out = {"figure": _named(figure), "value": None if value is None else str(value), "unit": _unit(figure)}
    if figure.kind == entries.EMISSION:
        out |= _emission(tracer, figure, everything)
    else:
        out |= _settlement(tracer, figure, everything)
    config = tracer.book.entries[figure.config]
    out["site"] = {
        "version": figure.site.version, "name": figure.site.name, **_at(tracer, figure.config),
        "digest": config.body[0].hex() if config.kind == entries.CONFIG else None,
    }  # fmt: skip
    out["checkpoint"] = _checkpoint(tracer, figure.index)
    out["ok"] = _holds(out)
    return out


def _holds(value):
    """True if no `equal` or proof's `ok` anywhere in the object is false."""
    if isinstance(value, dict):
        return value.get("equal", True) and value.get("ok", True) and all(_holds(one) for one in value.values())
    return all(_holds(one) for one in value) if isinstance(value, list) else True


def _at(tracer, index):
    one = tracer.book.entries[index]
    return {"epoch": one.epoch, "seq": one.seq, "proof": tracer.book.report(index)}


def _emission(tracer, figure, everything):
    source = figure.site.sources[figure.subject]
    compiled = source.compiled
    parameters, exact = tracer.accounted(figure)
    gases = accounting.parts(compiled)
    constants = [_constant(row) for row in [*compiled[accounting.CONSTANTS], *(gwp for _, _, gwp in gases)]]
    row = tracer.row(figure)
    body = tracer.book.entries[figure.index].body
    return {
        "emission": {"version": body[2], "reason": body[4] if len(body) > 4 else None, "quality": row[1],
                     "digest": row[4].hex(), **_at(tracer, figure.index)},
        "versions": [_version(tracer, one) for one in tracer.versions(figure)],
        "recomputed": {
            "exact": None if exact is None else str(exact), "places": PLACES,
            "rounded": None if exact is None else str(recorded(exact)), "equal": tracer.equal(figure),
        },
        "source": {
            "name": source.name, "method": compiled[accounting.METHOD][0], "version": compiled[accounting.METHOD][1],
            "source": compiled[accounting.SOURCE], "scope": compiled[accounting.SCOPE],
            "gas": ", ".join(gas for gas, _, _ in gases), "sign": compiled[accounting.SIGN],
            "formula": "; ".join(formula.text(steps) for _, steps, _ in gases), "constants": constants,
        },
        "activity": [
            {
                "parameter": name, "unit": unit, "value": None if total is None else str(total),
                "points": [
                    {"ratio": f"{numerator}/{denominator}"} | _part(tracer, figure, point, closing, everything)
                    for point, numerator, denominator, closing in parts
                ],
            }
            for name, unit, total, parts in parameters
        ],
    }  # fmt: skip


def _constant(row):
    name, unit, exponent, mantissa, origin = row
    out = {"name": name, "value": str(Number(mantissa, exponent)), "unit": unit}
    if origin is None:
        return out | {"factor": None}
    since, until = (None if at is None else clock.text(at, accounting.ZONE)[:10] for at in origin[4:])
    return out | {"factor": origin[0], "document": origin[1], "basis": origin[2], "confidence": origin[3],
                  "valid_from": since, "valid_before": until}  # fmt: skip


def _version(tracer, figure):
    """One of the versions of a figure of emissions, in short."""
    one, value = tracer.book.entries[figure.index], tracer.value(figure)
    reason = one.body[4] if len(one.body) > 4 else None
    return {"version": one.body[2], "value": None if value is None else str(value), "reason": reason,
            "epoch": one.epoch, "seq": one.seq}  # fmt: skip


def _formed(tracer, figure, everything):
    """A settlement of a manual or virtual point: the amounts, or the parts down to their readings."""
    again = tracer.settled(figure)[0]
    point = figure.site.all_points[figure.subject]
    out = {
        "settlement": {"quality": tracer.row(figure)[1], **_at(tracer, figure.index)},
        "increment": {"recomputed": None if again is None else str(again), "equal": tracer.equal(figure)},
        "mode": point.kind,
    }  # fmt: skip
    if tracer_formed.is_manual(figure):
        zone = figure.site.zone
        return out | {"amounts": [
            {"from": clock.text(one.start_ms, zone)[:10], "to": clock.text(one.end_ms - 1, zone)[:10],
             "value": str(one.value), "unit": point.unit, "state": STATES[one.state], "operator": one.operator,
             "basis": one.basis, "note": record.note, "record": one.digest.hex(), **_at(tracer, index),
             "evidence": [{"file": name, "sm3": digest.hex()} for name, digest in record.evidence]}
            for one, index, record in tracer_formed.amounts(tracer, figure)
        ]}  # fmt: skip
    parts = []
    for index, numerator, denominator in point.parts:
        closing, amount = (get(figure, index, figure.index + 1) for get in (tracer.closing, tracer.amount))
        part = {"ratio": f"{numerator}/{denominator}", "amount": None if amount is None else str(amount)}
        parts.append(part | _part(tracer, figure, index, closing, everything))
    return out | {"op": point.op, "note": point.note, "parts": parts}


def _part(tracer, figure, index, closing, everything):
    """A point of a figure, down to its readings."""
    if closing is None:
        return {"missing": figure.site.all_points[index].name}
    return {"figure": _named(closing), "value": str(tracer.value(closing)), "unit": _unit(closing),
            "source": combine.collected(figure.site, index), **_settlement(tracer, closing, everything)}  # fmt: skip


def _settlement(tracer, figure, everything):
    if figure.steps is None:
        return _formed(tracer, figure, everything)
    again, first, last, between = tracer.settled(figure)
    row = tracer.row(figure)
    out = {
        "settlement": {"quality": row[1], **_at(tracer, figure.index)},
        "increment": {"recomputed": None if again is None else str(again), "equal": tracer.equal(figure)},
        "meter": _meter(figure),
        "readings": {"believed": sum(step.believed for step in between),
                     "held": sum(not step.believed for step in between)},
    }  # fmt: skip
    if tracer.fills(figure):
        out["fills"] = [_fill(tracer, one) for one in tracer.fills(figure)]
    if first is not None:
        shown = between if everything else [first] if first is last else [first, last]
        out["readings"]["rows"] = [_reading(tracer, step, figure.site.zone) for step in shown]
    return out


def _fill(tracer, one):
    """A gap of the period's point and what became of it, as its entry says."""
    _, method, from_ms, to_ms, days, exponent, first, last, places, before, after = one.body
    zone = one.site.zone
    return {
        "from": clock.text(from_ms, zone), "to": clock.text(to_ms, zone), "method": gaps.METHODS[method],
        "first": str(Number(first, exponent)), "last": str(Number(last, exponent)),
        "known_hours": [str((Number(part) / 3600000).round(2).normal()) for part in days],
        "before": str(Number(before, places)), "after": None if after is None else str(Number(after, places)),
        "by": tracer.book.entries[one.index].terminal_id, **_at(tracer, one.index),
    }  # fmt: skip


def _reading(tracer, step, zone):
    one = tracer.book.entries[step.index]
    frames = one.body[1] if one.kind == entries.READINGS else None
    return {
        "time": clock.text(step.time_ms, zone), "value": str(step.value), "quality": step.quality, "verdict": step.word,
        "total": str(step.total), "row": step.row, "frames": frames.hex() if isinstance(frames, bytes) else None,
        **_at(tracer, step.index),
    }  # fmt: skip


def _meter(figure):
    point = figure.site.points[figure.subject]
    meter = figure.site.meters[point.meter]
    out = {"point": point.name, "quantity": point.quantity, "scale": str(point.scale), "function": point.function,
           "address": point.address, "type": point.type, "order": point.order, "meter": meter.name,
           "bus": figure.site.buses[meter.bus].name}  # fmt: skip
    return out | {name: _shown(getattr(meter, name)) for name, _ in meter.fields() if name not in ("name", "bus")}


def _shown(value):
    """A field of a site row as JSON."""
    if isinstance(value, Row):
        return {name: _shown(getattr(value, name)) for name, _ in value.fields()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return value if value is None or isinstance(value, int | str) else str(value)


def _checkpoint(tracer, index):
    one = tracer.book.entries[index]
    found = tracer.book.head(one.epoch, one.seq)
    if found is None:
        return {"ok": False, "why": f"entry {one.seq} is under no checkpoint yet"}
    size, _, head = found
    receipts = []
    for body, signature in tracer.book.bundle.receipts:
        receipt = Receipt.decode(cbor.encode((body, signature)))
        public = tracer.book.bundle.centres.get(receipt.centre)
        if receipt.epoch == one.epoch and receipt.next_seq > one.seq and public is not None:
            good = tracer.book.verify(public, body, signature)
            receipts.append({"centre": receipt.centre, "next_seq": receipt.next_seq, "ok": good})
    signed = [(name, time_s) for name, _, time_s, _ in head.signatures if name in tracer.book.bundle.centres]
    return {
        "size": size, "root": head.root.hex(), "receipts": receipts,
        "cosignatures": [{"centre": name, "time": clock.text(time_s * 1000)} for name, time_s in signed],
    }  # fmt: skip


# --- the tree -------------------------------------------------------------------------------------------------------


def _tree(one):
    head = Tree(f"[bold]{escape(one['figure'])}[/bold] = {one['value'] or '?'} {one['unit']}")
    if "emission" in one:
        row = one["emission"]
        text = say("emission entry", "排放记录") + f" {_seq(row)}, " + say("version", "版本") + f" {row['version']}"
        head.add(text + f", SM3 {row['digest'][:16]}…" + (f", {escape(row['reason'])}" if row["reason"] else ""))
        for other in one["versions"] if len(one["versions"]) > 1 else ():
            text = say("version", "版本") + f" {other['version']}: {other['value'] or '?'} t, "
            head.add(text + say("entry", "记录") + f" {other['epoch']}/{other['seq']} {escape(other['reason'] or '')}")
        again = one["recomputed"]
        branch = head.add(say("recomputed", "重算") + f" {again['rounded'] or '?'} {_mark(again['equal'])}")
        branch.add(f"{again['exact'] or '?'} t, " + say("rounded to 6 places", "修约至 6 位"))
        _source(head, one["source"])
        for parameter in one["activity"]:
            text = f"{parameter['parameter']} = {parameter['value'] or '?'} {parameter['unit']}"
            branch = head.add(say("activity data", "活动数据") + " " + escape(text))
            for part in parameter["points"]:
                if "missing" in part:
                    branch.add(f"{escape(part['missing'])} ✗")
                    continue
                text = f"{part['figure']} = {part['value']} {part['unit']} × {part['ratio']}"
                text += ", " + say(part["source"], _SOURCES_ZH[part["source"]])
                _closing(branch.add(escape(text)), part)
    else:
        _closing(head, one)
    site = one["site"]
    text = say("site document", "站点文件") + f" {site['version']}, " + say("entry", "记录") + f" {_seq(site)}"
    head.add(text + (f", SM3 {site['digest'][:16]}…" if site["digest"] else ""))
    found = one["checkpoint"]
    if "why" in found:
        head.add(f"{found['why']} ✗")
        return head
    text = say("checkpoint over {} entries, root", "检查点覆盖 {} 条，根")
    branch = head.add(text.format(found["size"]) + f" {found['root'][:16]}…")
    for row in found["cosignatures"]:
        branch.add(say("cosigned by", "联署") + f" {row['centre']}, {row['time']}")
    for row in found["receipts"]:
        text = say("receipt of {} over {} entries", "{} 的回执，覆盖 {} 条").format(row["centre"], row["next_seq"])
        branch.add(f"{text} {_mark(row['ok'])}")
    return head


def _source(head, source):
    text = f"{source['method']} {source['version']}, {source['source']}: {source['formula']}"
    branch = head.add(say("method", "方法") + " " + escape(text))
    for row in source["constants"]:
        text = f"{row['name']} = {row['value']} {row['unit']}"
        if row["factor"] is None:
            branch.add(escape(text) + say(" (given by hand)", "（人工给定）"))
            continue
        until = f"{row['valid_from'] or '…'} – {row['valid_before'] or '…'}"
        where = f"{row['document']} ({row['basis']}, {row['confidence']}; {until})"
        branch.add(escape(text)).add(escape(f"{row['factor']}: {where}"))


_SOURCES_ZH = {"automatic": "自动采集", "manual": "人工采集", "both": "自动和人工采集"}


def _made(branch, part):
    """A manual settlement's amounts, a virtual one's parts."""
    for row in part.get("amounts", ()):
        who = row["operator"] + ("" if row["basis"] == "key" else say(" (on the page)", "（网页填报）"))
        text = f"{row['from']} – {row['to']}: {row['value']} {row['unit']}, {who}, {row['state']}"
        text = say("by hand", "人工填报") + " " + escape(text) + ", " + say("entry", "记录")
        one = branch.add(f"{text} {_seq(row)}")
        for file in row["evidence"]:
            one.add(say("evidence", "凭证") + escape(f" {file['file']}, SM3 {file['sm3'][:32]}…"))
    for row in part.get("parts", ()):
        if "missing" in row:
            branch.add(f"{escape(row['missing'])} ✗")
        else:
            _closing(branch.add(escape(f"{row['figure']}: {row['amount'] or '?'} {row['unit']} × {row['ratio']}")), row)


def _closing(branch, part):
    again = part["increment"]
    text = say("settlement entry", "结算记录") + f" {_seq(part['settlement'])}, "
    branch.add(text + say("recomputed", "重算") + f" {again['recomputed'] or '?'} {_mark(again['equal'])}")
    if "mode" in part:
        _made(branch, part)
        return
    for row in part.get("fills", ()):
        told = say("gap", "缺失") + f" {row['from']} – {row['to']}, "
        if row["after"] is None:
            told += say("not filled", "未补全")
        else:
            told += say(row["method"], _METHODS_ZH[row["method"]])
            told += say(", total {before} → {after}", "，累计 {before} → {after}").format(**row)
        branch.add(told + ", " + say("entry", "记录") + f" {_seq(row)}")
    rows = branch.add(say("readings: {believed} believed, {held} held", "读数：采信 {believed}，搁置 {held}")
                      .format(**part["readings"]))  # fmt: skip
    for row in part["readings"].get("rows", ()):
        rows.add(f"{row['time']}  {row['value']}  " + say("entry", "记录") + f" {_seq(row)}").add(
            say("frames", "报文") + f" SM3 {row['frames'][:32] + '…' if row['frames'] else '–'}"
        )
    meter = part["meter"]
    text = f"{meter['meter']} ({meter['model']}), " + say("unit", "地址") + f" {meter['unit']}"
    place = branch.add(say("meter", "仪表") + " " + escape(text))
    place.add(escape(f"{meter['quantity']}: {meter['type']} {meter['order']} @ {meter['address']} × {meter['scale']}"))
    if meter["serial"]:
        place.add(say("serial number", "出厂编号") + " " + escape(meter["serial"]))
    certificate = meter["certificate"]
    if certificate:
        text = f"{certificate['number']}, {certificate['authority']}, {certificate['date']} – {certificate['due']}"
        place.add(say("certificate", "证书") + " " + escape(text))


def _seq(row):
    proof = row["proof"]
    if "checkpoint" not in proof:
        return f"{row['epoch']}/{row['seq']} ✗ {escape(proof['why'])}"
    path = say("proof of {} hashes", "证明 {} 个散列").format(len(proof["path"]))
    return f"{row['epoch']}/{row['seq']} ({path} {_mark(proof['ok'])})"


def _mark(good):
    return "✓" if good else "✗"
