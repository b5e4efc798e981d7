"""The boards of a scenario: rows of [[boards]] checked, and what stands on the bench made of one."""

import copy
from pathlib import Path

from carbonterm_host.benches.entrances import LINES, NOT_ASKED
from carbonterm_host.benches.process import Process
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import provision
from carbonterm_host.screen import USAGE, Failure

VIRTUAL, PORT = "virtual", "port"
_MORE = {
    VIRTUAL: ("micropython",),  # an interpreter's path, default this machine's
    PORT: ("port", "devices", "power", "host"),
}


def make(scenario, folder, offset_ms, defect=None):
    """What the scenario puts on the bench; defect: a row of [defects] or None."""
    heap = defect["heap"] << 10 if defect and defect["does"] == "cramped" else None
    if scenario.row is None:
        return Process(scenario, folder, offset_ms, heap)
    from carbonterm_host.benches import onboard  # who has no boards needs no tools for them

    if scenario.row["kind"] == VIRTUAL:
        return onboard.Virtual(scenario, scenario.row, folder, offset_ms, heap)
    if heap is not None:
        raise Failure(USAGE, "the heap of a real board is what it is", "another defect, or a virtual board")
    return onboard.Connected(scenario, scenario.row, folder, offset_ms)


def read(scenario, row, where):
    """A row of [[boards]] with what it leaves out; Bad where it is none, or the scenario is nothing for that board."""
    if not isinstance(row, dict) or (("port" in row) == ("kind" in row)) or row.get("kind", VIRTUAL) != VIRTUAL:
        raise scenario.bad(where, 'it has to say kind = "virtual", or port = "…" of a real one', "docs/bench.md")
    kind = PORT if "port" in row else VIRTUAL
    scenario.table(row, where, ("board",), ("name", "kind", "image", "lines", *_MORE[kind]))
    try:
        board = boards.load(row["board"])
    except Failure as failure:
        raise scenario.bad(f"{where} board", failure.what, failure.hint) from None
    if board.family == "unix":
        raise scenario.bad(f"{where} board", f"{board.name} is a computer", "leave [[boards]] out")
    if scenario.simulated:
        raise scenario.bad(where, "a board has its own time", 'time = "real"')
    for bus in scenario.site.buses:
        if bus.kind in NOT_ASKED:
            raise scenario.bad(where, f"on bus {bus.name} ({bus.kind}) a bench sends to a process only",
                               "leave the bus out, or [[boards]]")  # fmt: skip
    made = {**row, "kind": kind, "name": scenario.name_of_folder(row.get("name", board.name), f"{where} name")}
    if "image" in row:
        made["image"] = scenario.path.parent / row["image"]
    made["lines"] = _lines(scenario, board, row.get("lines", {}), where)
    if kind == PORT:
        _real(scenario, made, where)
    if board.profile == "collector":
        given = scenario.source.get("settings", {})
        kept = {key: value for key, value in given.items() if key != "closings"}  # which its terminal makes
        made["settings"] = {**kept, "profile": "collector"}
    for event in scenario.events:
        if event.do == "enter" and board.profile == "collector":
            raise scenario.bad(where, "nothing is entered by hand into a collector", "leave the event out")
    _fits(scenario, board, made, where)
    return made


def _lines(scenario, board, given, where):
    """{bus: UART}; those that are not named are taken in order."""
    names = [row["name"] for row in board.uarts]
    buses = [bus.name for bus in scenario.site.buses if bus.kind in LINES]
    scenario.table(given, f"{where} lines", (), buses)
    for uart in given.values():
        if uart not in names:
            raise scenario.bad(f"{where} lines", f"{board.name} has no UART '{uart}'", "there are: " + ", ".join(names))
    free = [name for name in names if name not in given.values()]
    found = dict(given)
    for bus in buses:
        if bus not in found:
            if not free:
                raise scenario.bad(where, f"{board.name} has {len(names)} UARTs, the site {len(buses)} lines",
                                   "another board, or fewer lines")  # fmt: skip
            found[bus] = free.pop(0)
    return found


def _real(scenario, row, where):
    devices = scenario.table(row.setdefault("devices", {}), f"{where} devices", (), row["lines"])
    for bus in row["lines"]:
        if not isinstance(devices.get(bus), str):
            raise scenario.bad(f"{where} devices", f"it does not say where this computer is on line {bus}",
                               f'devices = {{{bus} = "/dev/ttyUSB0"}}, an adapter on the same wires')  # fmt: skip
    for event in scenario.events:
        if event.do == "brown-out":
            raise scenario.bad(where, "nobody can say when a real board's supply dips", "power-cut, or a virtual one")
        if event.do == "power-cut" and "power" not in row:
            raise scenario.bad(where, "the power is cut, and nothing switches it",
                               'power = ["uhubctl", "-l", "1-1", "-p", "2", "-a", "{to}"], or what you have')
    power = row.get("power", [""])
    if not isinstance(power, list) or not power or not all(isinstance(one, str) for one in power):
        raise scenario.bad(f"{where} power", "it is a list of texts, a command", 'power = ["switch", "{to}"]')


def _fits(scenario, board, row, where):
    """The site document as this board will have it."""
    places = {bus["name"]: row["lines"].get(bus["name"], ("127.0.0.1", 502)) for bus in scenario.source["buses"]}
    one = copy.copy(scenario)
    one.row = row
    site = one.compile(places)
    try:
        provision.check_site(board, site, site.terminal_id)
    except Failure as failure:
        raise scenario.bad(where, failure.what, failure.hint) from None


def override(scenario, name, port=None, devices=None):
    """The scenario with one board, virtual where port is None."""
    where = {"kind": VIRTUAL} if port is None else {"port": port, "devices": devices or {}}
    scenario.boards = [read(scenario, {"board": name, **where}, "--board")]
    scenario.row = scenario.boards[0]


def each(scenario):
    """[(Scenario with one row or none, folder's name or "")]: a scenario is run with one board after the other."""
    if len(scenario.boards) < 2:
        return [(scenario, Path())]
    found = []
    for row in scenario.boards:
        one = copy.copy(scenario)
        one.row, one.name = row, f"{scenario.name}@{row['name']}"
        found.append((one, Path(row["name"])))
    return found
