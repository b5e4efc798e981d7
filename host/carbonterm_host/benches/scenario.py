"""A scenario: a TOML file that says what stands on the bench, what happens, and what has to come of it (docs/bench.md).

`load(name)` gives a Scenario, from a file or of those shipped; `Bad` with file, key and the way out where it is none.
The table [site] is a site file (docs/site.md) whose buses have no place: the bench gives them one.
"""

import json
import re
import tomllib
from datetime import time
from pathlib import Path

from carbonterm.errors import CarbonError
from carbonterm.field import models
from carbonterm.field import places as kinds
from carbonterm_host import site_yaml
from carbonterm_host.benches import entrances, events
from carbonterm_host.benches.expect import EXPECTATIONS
from carbonterm_host.screen import Failure
from carbonterm_host.simulate import faults as fault_table
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.yaml_reader import Mistakes, nearest

SHIPPED = Path(__file__).parent / "scenarios"
SUFFIX = ".scenario.toml"
TIMES = ("real", "simulated")
BOARDS = ("process",)
AS_IT_IS = "as-it-is"  # folder of a run without a defect
TERMINAL = "CT-BENCH-1"
_UNITS = {"ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}
_KEYS = ("title", "time", "lasts", "site", "expect")
_SHORT = ("lasts", "begins", "events", "expect", "every")
_MORE = ("about", "seed", "begins", "board", "boards", "meters", "faults", "events", "centres", "held", "defects",
         "short")  # fmt: skip
_FLASH = ("block", "ring", "files", "program", "cycles", "segment_size")


class Bad(CarbonError):
    """A scenario that cannot be run: what is wrong in which file and key, and the way out."""


class Scenario:
    """What a file says. ms: how long it lasts; begins: milliseconds since local midnight, or None; board: a table;
    boards: rows of benches.standing, row: the one it is run with, None: a process; meters: {name: [rate, {register:
    start}]}; faults: rows for Faults.add; events: of carbonterm_host.benches.events; expect: {name: value}; defects:
    {name: table}."""

    def __init__(self, path, document, short=False):
        self.path = Path(path)
        self.name = self.path.name.removesuffix(SUFFIX)
        top = self._table(document, "the scenario", _KEYS, _MORE)
        given = self._table(top.get("short", {}), "[short]", (), _SHORT)
        self.short = short and bool(given)
        if self.short:
            top = self._shortened(top, given)
        self.title, self.about = self._text(top, "title"), top.get("about", "")
        self.time = self._one_of(top, "time", TIMES)
        self.ms = self.duration(top["lasts"], "lasts")
        self.seed = self._whole(top, "seed", 1, 0, 2**31)
        self.centres = self._whole(top, "centres", 0 if self.simulated else 1, 0, 4)
        self.held = top.get("held", False) is True
        self.begins = self._begins(top.get("begins"))
        self.board = self._board(top.get("board", {}))
        self.source = self._table(top["site"], "[site]", ("buses", "meters", "points"),
                                  ("terminal", "name", "zone", "nodes", "sources", "boundary", "settings", "manual",
                                   "virtual", "factors_on"))  # fmt: skip
        self._check_places()
        self.row, self.boards = None, []
        self.site = self.compile({bus["name"]: self._anywhere(bus) for bus in self.source["buses"]})
        self.vias = {}
        self.meters = self._meters(top.get("meters", {}))
        self.faults = [self._fault(row, f"[[faults]] number {n}") for n, row in enumerate(top.get("faults", []), 1)]
        self.faults.sort(key=lambda row: row[1] < 1)  # one at most befalls an answer: those that must come first
        self.events = []
        for number, row in enumerate(top.get("events", []), 1):
            self.events += events.read(self, row, f"[[events]] number {number}")
        self.events.sort(key=lambda event: event.at_ms)
        self.expect = self._expectations(top["expect"])
        self.defects = {self.name_of_folder(name, "[defects]"): self._defect(row, f"[defects.{name}]")
                        for name, row in top.get("defects", {}).items()}  # fmt: skip
        self.boards = self._boards(top)
        self.row = self.boards[0] if self.boards else None

    @property
    def simulated(self):
        return self.time == "simulated"

    # --- the site ----------------------------------------------------------------------------------------------------

    def site_text(self, places, centres=()):
        """site.yaml with a place for each bus, a path, (host, port) or {key: value}, and rows of centres; one row a
        line."""
        buses, senders = [], [bus["name"] for bus in self.source["buses"] if bus["kind"] == kinds.HTTPS]
        for bus in self.source["buses"]:
            place = places[bus["name"]]
            if isinstance(place, dict):
                buses.append({**bus, **place})
            elif bus["kind"] == "modbus-tcp":
                place = {"host": place[0], "port": place[1]} if isinstance(place, tuple) else {"host": "127.0.0.1"}
                buses.append({**bus, **place})
            else:
                buses.append({**bus, "device": place})
        head = {"terminal": TERMINAL, "name": self.title, "zone": "+08:00"}
        token = {"token": entrances.TOKEN_SM3}
        meters = [{**row, **token} if row.get("bus") in senders else row for row in self.source["meters"]]
        document = {**head, **self.source, "buses": buses, "meters": meters}
        if self.row and "settings" in self.row:
            document["settings"] = self.row["settings"]
        if "manual" in self.source:
            document["operators"] = [{"name": "bench", "public": events.OPERATOR.public.hex()}]
        if centres:
            document["centres"] = list(centres)
        lines = []
        for key, value in document.items():
            if isinstance(value, list):
                lines += [f"{key}:", *(f"  - {_json(row)}" for row in value)]
            else:
                lines.append(f"{key}: {_json(value)}")
        return "\n".join(lines) + "\n"

    def compile(self, places, centres=(), folder=Path(".")):
        """The Site of `site_text`; Bad with each mistake beside the row it is in."""
        text = self.site_text(places, centres)
        try:
            return site_yaml.compile_text(text, str(self.path), folder)
        except Mistakes as mistakes:
            lines = text.split("\n")
            said = [f"{what}: {lines[line - 1].strip()[:120]}" + (f"\n    → {hint}" if hint else "")
                    for _, line, _, what, hint in mistakes.rows]  # fmt: skip
            raise self.bad("[site]", "\n  ".join(said), "docs/site.md says what a site file has") from None

    def _check_places(self):
        for bus in self.source["buses"]:
            if not isinstance(bus, dict) or "name" not in bus or "kind" not in bus:
                raise self.bad("[site] buses", "a bus needs 'name' and 'kind'", 'like {name = "line", kind = "serial"}')
            if "device" in bus or "host" in bus:
                raise self.bad("[site] buses", f"bus {bus['name']} has a place", "leave it out: the bench gives it one")
            if self.simulated and bus["kind"] not in entrances.LINES:
                raise self.bad("[site] buses", f"bus {bus['name']} is {bus['kind']}, and time is simulated",
                               'make it a serial line, or time = "real"')  # fmt: skip

    # --- tables ------------------------------------------------------------------------------------------------------

    def bad(self, where, what, hint=""):
        return Bad(f"{self.path}: {where}: {what}", hint)

    def _table(self, value, where, required, optional=()):
        if not isinstance(value, dict):
            raise self.bad(where, "it has to be a table", "docs/bench.md has an example")
        known = [*required, *optional]
        for key in value:
            if key not in known:
                raise self.bad(where, f"there is no key '{key}'", nearest(key, known))
        for key in required:
            if key not in value:
                raise self.bad(where, f"'{key}' is missing", "docs/bench.md says what each key is")
        return value

    def table(self, value, where, required, optional=()):
        """The table, if it has these keys."""
        return self._table(value, where, required, optional)

    def name_of_folder(self, name, where):
        """The name, if a folder may have it: what is left of a run lies in one."""
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name) or name == AS_IT_IS:
            raise self.bad(where, f"'{name}' is no name for a folder", "letters, digits, . - _")
        return name

    def _shortened(self, top, given):
        """The document with what [short] says; an expectation that is false there is left out."""
        expect = {**top["expect"], **given.get("expect", {})}
        every = self._table(given.get("every", {}), "[short] every", (), [row["name"] for row in top["site"]["points"]])
        points = [{**row, "every": every.get(row["name"], row["every"])} for row in top["site"]["points"]]
        return {**top, **given, "site": {**top["site"], "points": points},
                "expect": {name: value for name, value in expect.items() if value is not False}}  # fmt: skip

    def _text(self, table, key):
        if not isinstance(table[key], str) or not table[key]:
            raise self.bad(key, "it has to be a text", f'write it like {key} = "…"')
        return table[key]

    def _one_of(self, table, key, choices):
        if table[key] not in choices:
            raise self.bad(key, f"'{table[key]}' is none of them", "one of: " + ", ".join(choices))
        return table[key]

    def _whole(self, table, key, default, low, high):
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.bad(key, f"'{value}' is no number from {low} to {high}", f"write it like {key} = {default}")
        return value

    def duration(self, text, where):
        """Milliseconds of a text like 500ms, 40s, 15min, 168h, 7d."""
        digits = str(text).rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = str(text)[len(digits) :]
        if not digits.isdigit() or unit not in _UNITS:
            raise self.bad(where, f"'{text}' is no duration", "write it like 500ms, 40s, 15min, 168h or 7d")
        return int(digits) * _UNITS[unit]

    def _begins(self, text):
        if text is None:
            return None
        try:
            found = time.fromisoformat(text)
        except (TypeError, ValueError):
            raise self.bad("begins", f"'{text}' is no time of day", 'write it like begins = "23:59:30"') from None
        return ((found.hour * 60 + found.minute) * 60 + found.second) * 1000

    def _board(self, value):
        board = self._table(value, "[board]", (), ("kind", "heap", "flash", "segment_size"))
        if board.get("kind", "process") not in BOARDS:
            raise self.bad("[board] kind", f"'{board['kind']}' is none of them", "one of: " + ", ".join(BOARDS))
        if "flash" in board:
            if not self.simulated:
                raise self.bad("[board] flash", "it is worn in simulated time only", 'time = "simulated"')
            self._table(board["flash"], "[board] flash", _FLASH)
        return board

    def _boards(self, top):
        rows = top.get("boards", [])
        if not rows:
            return []
        if "board" in top:
            raise self.bad("[board]", "it is for a process, and there are [[boards]]", "leave one of them out")
        from carbonterm_host.benches import standing  # what runs as a process needs no tools for boards

        found = [standing.read(self, row, f"[[boards]] number {n}") for n, row in enumerate(rows, 1)]
        names = [row["name"] for row in found]
        for name in names:
            if names.count(name) > 1:
                raise self.bad("[[boards]]", f"two are named {name}", 'give them names: name = "left"')
        return found

    def _meters(self, value):
        found, known = {}, {meter.name: meter for meter in self.site.meters}
        for name, row in self._table(value, "[meters]", (), known).items():
            if self.site.buses[known[name].bus].kind in entrances.NOT_ASKED:
                self.vias[name] = self._via(known[name], row, f"[meters.{name}]")
                continue
            row = self._table(row, f"[meters.{name}]", (), ("rate", "start"))
            found[name] = [row.get("rate"), row.get("start")]
            meter = Meter(name, known[name].unit, models.load(known[name].model))
            meter.settings = 1, *found[name]
            try:
                meter.begin(_Still(), None, None)
            except (ValueError, TypeError) as error:
                raise self.bad(f"[meters.{name}]", str(error), "rate and totals are decimal texts") from None
        return found

    def _via(self, meter, row, where):
        """Which system sends for a meter of the HTTPS endpoint."""
        self._table(row, where, ("via",))
        if meter.protocol != kinds.HTTPS or row["via"] not in entrances.VIAS:
            known = ", ".join(entrances.VIAS)
            raise self.bad(where, f"nothing comes via '{row['via']}'", f"of a meter on an https bus: {known}")
        return row["via"]

    def _anywhere(self, bus):
        """A place for a bus, to check the site with."""
        if bus["kind"] not in entrances.NOT_ASKED:
            return f"/dev/{bus['name']}"
        return entrances.place(bus["kind"], Path("/dev"), 1)

    def _fault(self, row, where):
        row = self._table(row, where, ("name",), ("probability", "meter", "from", "until", "limit"))
        self.meter(row, where)
        since = self.duration(row.get("from", "0s"), f"{where} from") // 1000
        until = self.duration(row["until"], f"{where} until") // 1000 if "until" in row else None
        made = [row["name"], row.get("probability", 1.0), row.get("meter"), since, until, row.get("limit")]
        try:
            fault_table.Fault(*made)
        except (ValueError, TypeError) as error:
            raise self.bad(where, str(error), "docs/simulate.md has the table of faults") from None
        return made

    def meter(self, row, where):
        """The row's meter or None; Bad where the site has none of that name."""
        names = [meter.name for meter in self.site.meters]
        if "meter" in row and row["meter"] not in names:
            raise self.bad(f"{where} meter", f"there is no meter '{row['meter']}'", nearest(row["meter"], names))
        return row.get("meter")

    def bus(self, row, where):
        names = [bus.name for bus in self.site.buses]
        if row["bus"] not in names:
            raise self.bad(f"{where} bus", f"there is no bus '{row['bus']}'", nearest(row["bus"], names))
        return row["bus"]

    def _expectations(self, value):
        found = self._table(value, "[expect]", (), EXPECTATIONS)
        if not found:
            raise self.bad("[expect]", "nothing is expected", "begin with verified = true, lost = 0")
        for name, wanted in found.items():
            why = EXPECTATIONS[name].refuses(wanted, self)
            if why:
                raise self.bad(f"[expect] {name}", why, EXPECTATIONS[name].example)
        return found

    def _defect(self, row, where):
        does = row.get("does") if isinstance(row, dict) else None
        if does not in events.DEFECTS:
            raise self.bad(where, f"'{does}' is no defect", "does = one of: " + ", ".join(events.DEFECTS))
        self._table(row, where, ("does", *events.DEFECTS[does]), ("title", "every"))
        self.meter(row, where)
        if does == "cramped":
            self._whole(row, "heap", 0, 32, 1 << 20)
            if self.simulated:
                raise self.bad(where, "the heap is cramped in real time only", 'time = "real"')
        return row


class _Still:
    """A clock that stands, to try a meter's settings with."""

    start_ms = 0


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def shipped():
    """Names of the scenarios that come with carbonterm."""
    return sorted(path.name.removesuffix(SUFFIX) for path in SHIPPED.glob("*" + SUFFIX))


def load(name, short=False):
    """The Scenario of a file, or of one that is shipped; Bad where it is none. short: as its table [short] says."""
    path = Path(name)
    if not path.exists():
        path = SHIPPED / f"{name}{SUFFIX}"
        if not path.exists():
            raise Bad(f"there is no scenario '{name}'", "name a file, or one of: " + ", ".join(shipped()))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Bad(f"{path}: this is no TOML: {error}", "docs/bench.md has an example") from None
    except OSError as error:
        raise Bad(f"{path} cannot be read: {error.strerror}", "name a file") from None
    try:
        return Scenario(path, document, short)
    except (CarbonError, Failure):
        raise
    except (TypeError, AttributeError, KeyError, IndexError, ValueError) as error:  # a number where a table should be
        what = f"something in it has another form than it should: {error}"
        raise Bad(f"{path}: {what}", "docs/bench.md says what each key is") from None
