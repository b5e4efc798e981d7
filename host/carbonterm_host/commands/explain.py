"""carbonterm explain: a point from the wire to what it feeds, step by step (docs/commissioning.md)."""

import getpass
import tempfile
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm.field import explain, inbound, models, requests
from carbonterm.ledger import entry as entries
from carbonterm.nearest import hint
from carbonterm.number import Number
from carbonterm_host import bundles, desk
from carbonterm_host.commands import models as models_command
from carbonterm_host.commands import pull
from carbonterm_host.commands.watch import QUALITY, compiled
from carbonterm_host.screen import JSON, OK, USAGE, Failure, console, put, say


def main(
    point: str = typer.Argument(help="name of a point · 数据点"),
    file: Path = typer.Argument(help="site.yaml"),
    log: Path | None = typer.Option(None, help="data folder or bundle: the last value logged · 数据目录或数据包"),
    terminal: str | None = typer.Option(None, help="a terminal's folder or socket: its last answer · 终端"),
    live: bool = typer.Option(False, help="ask the meter now, from here · 现在读取"),
    who: str | None = typer.Option(None, help="your name, for the terminal's log · 操作人"),
    json: bool = JSON,
):
    """Explain a point: its meter, model, register, bytes, every step to its value, and what it feeds · 解释数据点."""
    site = compiled(file)
    names = [row.name for row in site.points]
    if point not in names:
        raise Failure(USAGE, f"{file} has no point '{point}'", hint(point, names))
    index = names.index(point)
    told = describe(site, index)
    if terminal or live:
        place = terminal if terminal else None
        with desk.Desk.at(place, who or getpass.getuser(), None, site.canonical()) as asked:
            (event,) = asked.ask({"do": "explain", "point": point})
        told["answer"] = {"raw": event["raw"], "steps": event["steps"], "time_ms": event["time_ms"],
                          "value": event["value"], "quality": QUALITY[event["quality"]]}  # fmt: skip
    if log:
        told["logged"] = _logged(log, point)
    if json:
        put(told)
    else:
        _show(told, site.zone)
    return OK


def describe(site, index):
    """What the site document says of a point, for JSON."""
    point = site.points[index]
    meter = site.meters[point.meter]
    bus = site.buses[meter.bus]
    if meter.protocol in inbound.KINDS:
        asked = None  # it sends by itself
    else:
        request = requests.make(point.meter, meter, point)
        request.add(index, point)
        asked = explain.asked(request)
    model, register = _model(meter, point)
    return {
        "point": point.name, "unit": point.unit, "quantity": point.quantity, "kind": point.kind,
        "interval_ms": point.interval_ms,
        "bus": {"name": bus.name, "kind": bus.kind, "address": bus.address, "port": bus.port},
        "meter": {"name": meter.name, "protocol": meter.protocol, "unit": meter.unit, "serial": meter.serial,
                  "ct": meter.ct, "pt": meter.pt},
        "model": model, "register": register,
        "asked": asked, "place": str(point.address), "type": point.type, "order": point.order,
        "scale": str(point.scale), "modulus": _text(point.modulus), "limit_per_hour": _text(point.limit),
        "min": _text(point.minimum), "max": _text(point.maximum),
        "feeds": [{"source": source, "parameter": parameter, "factor": factor}
                  for source, parameter, factor in explain.feeds(site, index)],
        "answer": None, "logged": None,
    }  # fmt: skip


def _model(meter, point):
    """(id, {name, title_zh, where, source} of its register, or None where it has none such)."""
    try:
        model = models.load(meter.model)
    except CarbonError:  # a file of the site's own
        return meter.model, None
    for row in model["registers"]:
        if meter.protocol == inbound.HJ212:
            found = f"{row['item']}-{row['field']}" == point.address.partition("/")[2]
        else:
            found = models.place(model, row)[:4] == (point.function, point.address, point.type, point.order)
        if found:
            return meter.model, {"name": row["name"], "title_zh": row["title_zh"], "source": row["source"],
                                 "where": models_command.where(model, row)}  # fmt: skip
    return meter.model, None


def _logged(path, name):
    """The newest reading of a point in a log, None where there is none."""
    if not path.exists():
        raise Failure(USAGE, f"there is no {path}", "name a terminal's data folder or a bundle")
    with tempfile.TemporaryDirectory() as folder:
        if path.is_dir():
            pull.to_file(path, Path(folder) / "log.bundle")
            path = Path(folder) / "log.bundle"
        found = bundles.read(path)
    index, last = None, None
    for raw, _ in found.entries:
        one = entries.decode(raw)
        if one.kind == entries.CONFIG:
            names = [row.name for row in sites.decode(one.body[1]).points]
            index = names.index(name) if name in names else None
        elif one.kind == entries.READINGS and index is not None:
            for row in one.body[0]:
                if row[0] == index:
                    last = one, row
    if last is None:
        return None
    one, (_, offset, quality, exponent, mantissa) = last
    return {"seq": one.seq, "time_ms": one.time_ms + offset, "quality": QUALITY[quality],
            "value": None if mantissa is None else str(Number(mantissa, exponent)),
            "frames": None if one.body[1] is None else one.body[1].hex()}  # fmt: skip


def _text(value):
    return None if value is None else str(value)


_STEPS = {
    "asked": lambda s: (say("asked", "请求"), f"{s['protocol']} {s['unit']}: {s['what']}"),
    "bytes": lambda s: (say("bytes of the value", "数值字节"), f"{s['hex']} ({s['place']})"),
    "meter": lambda s: (say("the meter says", "仪表示值"), f"{s['value']} {s['unit']}"),
    "unreadable": lambda s: (say("cannot be read", "无法解读"), s["why"]),
    "read": lambda s: (say("read as", "解读为"),
                       f"{s['type']} {s['order']} → {s['value'] or say('no value', '无数值')}"),
    "scaled": lambda s: (say("times", "乘以"), s["scale"] + _ratios(s)),
    "value": lambda s: (say("value", "数值"), f"{s['value']} {s['unit']}"),
    "range": lambda s: (say("range", "范围"), f"{s['min'] or '…'} – {s['max'] or '…'}: "
                        + (say("inside", "范围内") if s["inside"] else say("outside, suspect", "超出，可疑"))),
}  # fmt: skip


def _show(told, zone):
    out = console()
    table = Table(title=told["point"], title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    bus, meter, register = told["bus"], told["meter"], told["register"]
    rows = [
        (say("bus", "总线"), f"{bus['name']} · {bus['kind']} {bus['address']} {bus['port']}"),
        (say("meter", "仪表"), f"{meter['name']} · {meter['protocol']} {meter['unit']}"),
        (say("model", "型号"), told["model"]),
        (say("register", "寄存器"), f"{register['name']} {register['title_zh']} · {register['where']}"
         if register else f"{told['place']} {told['type']} {told['order']}"),
        (say("source of that", "出处"), register["source"] if register else say("the site document", "站点文件")),
    ]  # fmt: skip
    if told["answer"]:
        rows.append((say("answer", "应答"), told["answer"]["raw"] or say("none", "无")))
        rows += [_STEPS[step["step"]](step) for step in told["answer"]["steps"]]
        rows.append((say("quality", "质量"), f"{told['answer']['quality']}, {_at(told['answer'], zone)}"))
    else:
        rows.append((say("scale", "比例"), told["scale"] + _ratios(meter)))
        rows.append((say("range", "范围"), f"{told['min'] or '…'} – {told['max'] or '…'} {told['unit']}"))
    if told["logged"]:
        one = told["logged"]
        rows.append((say("last in the log", "最新记录"), f"{one['value'] or '–'} {told['unit']}, {one['quality']}, "
                     f"{_at(one, zone)}, {say('entry', '条目')} {one['seq']}"))  # fmt: skip
        rows.append(("SM3 " + say("of the frames", "报文摘要"), one["frames"] or say("none came", "无")))
    for feed in told["feeds"]:
        rows.append((say("feeds", "用于"), f"{feed['source']} · {feed['parameter']} × {feed['factor']}"))
    for row in rows:
        table.add_row(*row)
    out.print(table)


def _ratios(row):
    return "".join(f", {name.upper()} {row[name]}" for name in ("ct", "pt") if row[name])


def _at(one, zone):
    return clock.text(one["time_ms"], zone)
