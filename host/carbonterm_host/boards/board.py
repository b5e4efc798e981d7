"""A board is a folder: boards/<name>/ with board.toml, manifest.py and wiring.md. docs/boards.md describes the fields.

`load` gives a Board; `check` gives all that is wrong with a folder, each with the way out.
"""

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from carbonterm_host.screen import USAGE, Failure

FAMILIES = ("esp32", "rp2", "stm32", "unix")
PROFILES = ("terminal", "collector")
CONFIDENCES = ("run", "datasheet", "memory")
ARCHITECTURES = (
    "",
    "armv6m",
    "armv7m",
    "armv7em",
    "armv7emsp",
    "armv7emdp",
    "xtensa",
    "xtensawin",
    "rv32imc",
    "x64",
    "x86",
)
NETWORKS = ("wifi", "lan", "w5500", "system", "none")
CLOCKS = ("own", "ds3231", "system")
FILES = ("board.toml", "manifest.py", "wiring.md")
# T/CSMT draft 10.2.1: a terminal's main unit has at least four serial ports; a collector is not bound by it
TERMINAL_UARTS = 4
COLLECTOR_HEAP = 192 << 10
KINDS = "ipc", "gateway"
# a terminal's data sheet: what of clause 10 and 11.13 no program can measure
SHEET = {
    "kind": "ipc or gateway: 10.1 a) or b)", "cpu_mhz": "highest clock of the processor",
    "screen_mm": "diagonal of the screen, 0: none", "ethernet": "Ethernet ports", "usb": "USB ports",
    "supply_v": "[lowest, highest] supply, V AC", "temperature_c": "[lowest, highest] in operation",
    "humidity_pct": "[lowest, highest], without condensation", "mounting": "ways: rack, rail, wall",
    "modules": "what can be exchanged one by one",
    "vibration": "what vibration and shock it stands, by which test: 11.13",
    "source": "the paper that says so",
}  # fmt: skip
_SIZE = re.compile(r"([0-9]+)(KiB|MiB|GiB)?")
_UNITS = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def root():
    """The folder of all boards: $CARBONTERM_BOARDS, or the one of this checkout."""
    named = os.environ.get("CARBONTERM_BOARDS")
    return Path(named) if named else Path(__file__).resolve().parents[3] / "boards"


def size(text):
    """Bytes of "4MiB", "512KiB" or "4096"; ValueError."""
    found = _SIZE.fullmatch(str(text))
    if not found:
        raise ValueError(f"{text!r} is no size; write it like 512KiB or 4MiB")
    return int(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Partition:
    name: str
    offset: int
    size: int
    type: str | int = ""
    subtype: str | int = ""

    @property
    def end(self):
        return self.offset + self.size


@dataclass
class Board:
    """board.toml as it is, sizes in bytes. `uarts`, `network`, `watchdog`, `rtc`: dicts as in the file."""

    name: str
    folder: Path
    title: str
    title_zh: str
    family: str
    chip: str
    profile: str
    confidence: str
    firmware: dict
    mpy: dict
    memory: dict
    partitions: list = field(default_factory=list)
    flash: dict = field(default_factory=dict)
    uarts: list = field(default_factory=list)
    network: dict = field(default_factory=dict)
    watchdog: dict = field(default_factory=dict)
    rtc: dict = field(default_factory=dict)
    usb: list = field(default_factory=list)
    sheet: dict = field(default_factory=dict)

    def partition(self, name):
        return next((one for one in self.partitions if one.name == name), None)


def names():
    """Names of all boards, sorted."""
    return sorted(path.parent.name for path in root().glob("*/board.toml"))


def folder_of(name):
    """A board's folder, by its name or its path; Failure with the names there are."""
    for path in (root() / name, Path(name)):
        if (path / "board.toml").is_file():
            return path
    from carbonterm.nearest import hint

    raise Failure(USAGE, f"there is no board {name} in {root()}", hint(name, names(), "boards"))


def load(name):
    """The Board of a name or folder; Failure with the first mistake in its board.toml."""
    board, mistakes = read(folder_of(name))
    if mistakes:
        raise Failure(USAGE, f"{board_file(name)}: {mistakes[0]}", f"carbonterm board check {name} lists all of them")
    return board


def board_file(name):
    return folder_of(name) / "board.toml"


def read(folder):
    """(Board or None, mistakes) of a folder's board.toml."""
    mistakes = []
    try:
        data = tomllib.loads((folder / "board.toml").read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [f"it cannot be read: {error}"]
    take = _Taker(data, mistakes)
    board = Board(
        name=folder.resolve().name, folder=folder,
        title=take.text("title"), title_zh=take.text("title_zh"), family=take.choice("family", FAMILIES),
        chip=take.text("chip"), profile=take.choice("profile", PROFILES),
        confidence=take.choice("confidence", CONFIDENCES),
        firmware=take.table("firmware", ("build", "at_least"), ("digests", "offset", "uf2_family")),
        mpy=take.table("mpy", ("version", "arch"), ()),
        memory=take.sizes("memory", ("flash", "psram", "ram", "heap")),
        flash=take.table("flash", ("block", "program", "cycles"), (), optional=True),
        network=take.table("network", ("kind",), ("spi", "sck", "mosi", "miso", "cs", "reset")),
        watchdog=take.table("watchdog", ("kind", "seconds"), ("device",)),
        rtc=take.table("rtc", ("kind",), ("sda", "scl")),
        usb=take.table("usb", ("ids",), ()).get("ids", []),
        uarts=take.rows("uart", ("name",), ("id", "tx", "rx", "direction", "device")),
        sheet=take.table("sheet", (), SHEET, optional=True), partitions=[],
    )  # fmt: skip
    for row in take.rows("partition", ("name", "offset", "size"), ("type", "subtype")):
        try:
            row = {**row, "size": size(row.get("size")), "offset": int(row.get("offset", 0))}
            board.partitions.append(Partition(**row))
        except (ValueError, TypeError) as error:
            mistakes.append(f"partition {row.get('name')}: {error}")
    take.rest()
    if not mistakes:
        _consistent(board, mistakes)
    return board, mistakes


class _Taker:
    """Takes the keys of board.toml one by one and notes what is missing, wrong or unknown."""

    def __init__(self, data, mistakes):
        self.data = data
        self.mistakes = mistakes
        self.taken = set()

    def _take(self, key, kind, what, default):
        self.taken.add(key)
        value = self.data.get(key)
        if not isinstance(value, kind):
            self.mistakes.append(f"{key} is missing" if value is None else f"{key} is not {what}")
            return default
        return value

    def text(self, key):
        return self._take(key, str, "a text", "")

    def choice(self, key, allowed):
        value = self.text(key)
        if value and value not in allowed:
            self.mistakes.append(f"{key} is {value!r}; one of {', '.join(allowed)}")
        return value

    def table(self, key, needed, possible, optional=False):
        if optional and key not in self.data:
            return {}
        value = self._take(key, dict, "a table", {})
        return self._row(f"[{key}]", value, needed, possible) if value else {}

    def sizes(self, key, needed):
        found = {}
        for name, text in self.table(key, needed, ()).items():
            try:
                found[name] = size(text)
            except ValueError as error:
                self.mistakes.append(f"[{key}] {name}: {error}")
        return found

    def rows(self, key, needed, possible):
        self.taken.add(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self.mistakes.append(f"{key} is not a list of [[{key}]] tables")
            return []
        return [self._row(f"[[{key}]] {row.get('name', '?')}", row, needed, possible) for row in value]

    def _row(self, where, row, needed, possible):
        self.mistakes += [f"{where} lacks {name}" for name in needed if name not in row]
        unknown = [name for name in row if name not in needed and name not in possible]
        self.mistakes += [f"{where}: unknown key {name}" for name in unknown]
        return {name: value for name, value in row.items() if name not in unknown}

    def rest(self):
        self.mistakes += [f"unknown key {key}" for key in self.data if key not in self.taken]


def _consistent(board, mistakes):
    """What one field says against another."""
    if board.mpy["arch"] not in ARCHITECTURES:
        mistakes.append(f"[mpy] arch {board.mpy['arch']!r} is none that mpy-cross knows: {', '.join(ARCHITECTURES)}")
    if board.network["kind"] not in NETWORKS:
        mistakes.append(f"[network] kind is {board.network['kind']!r}; one of {', '.join(NETWORKS)}")
    if board.rtc["kind"] not in CLOCKS:
        mistakes.append(f"[rtc] kind is {board.rtc['kind']!r}; one of {', '.join(CLOCKS)}")
    for text in board.firmware.get("digests", []):
        if not re.fullmatch("[0-9a-f]{64}", str(text)):
            mistakes.append(f"[firmware] digests: {text!r} is no SHA-256, 64 lower-case hex digits")
    for text in board.usb:
        if not re.fullmatch("[0-9a-f]{4}:[0-9a-f]{4}", str(text)):
            mistakes.append(f"[usb] ids: {text!r} is not vendor:product, each of 4 hex digits")
    if board.profile == "terminal" and len(board.uarts) < TERMINAL_UARTS:
        mistakes.append(f"a terminal has at least {TERMINAL_UARTS} serial ports (T/CSMT draft 10.2.1)")
    if board.profile == "terminal":
        _sheet(board.sheet, mistakes)
    if board.memory["heap"] < COLLECTOR_HEAP:
        mistakes.append(f"[memory] heap is below {COLLECTOR_HEAP >> 10} KiB, which a collector of 16 meters needs")
    if board.memory["heap"] > board.memory["ram"] + board.memory["psram"]:
        mistakes.append("[memory] heap is larger than ram and psram together")
    _pins(board, mistakes)
    if board.family != "unix":
        _flash(board, mistakes)


def _sheet(sheet, mistakes):
    """The data sheet of a terminal: every item of clause 10 that no program can measure."""
    mistakes += [f"[sheet] lacks {name}: {SHEET[name]} (T/CSMT draft 10)" for name in SHEET if name not in sheet]
    for name, value in sheet.items():
        if name in ("supply_v", "temperature_c", "humidity_pct"):
            good = isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)
            if not good or value[0] >= value[1]:
                mistakes.append(f"[sheet] {name} is {value!r}; write [lowest, highest], integers")
        elif name in ("mounting", "modules"):
            if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
                mistakes.append(f"[sheet] {name} is {value!r}; write a list of texts")
        elif name == "kind":
            if value not in KINDS:
                mistakes.append(f"[sheet] kind is {value!r}; one of {', '.join(KINDS)}")
        elif name in ("source", "vibration"):
            if not isinstance(value, str) or not value:
                mistakes.append(f"[sheet] {name} is a text: {SHEET[name]}")
        elif type(value) is not int or value < 0:
            mistakes.append(f"[sheet] {name} is {value!r}; write an integer")


def _pins(board, mistakes):
    used = {}
    rows = [(row["name"], row, ("tx", "rx", "direction")) for row in board.uarts]
    rows += [("network", board.network, ("sck", "mosi", "miso", "cs", "reset")), ("rtc", board.rtc, ("sda", "scl"))]
    for what, row, keys in rows:
        for key in keys:
            if key in row:
                used.setdefault(row[key], []).append(f"{what} {key}")
    mistakes += [f"pin {pin} is used twice: {', '.join(by)}" for pin, by in used.items() if len(by) > 1]
    for row in board.uarts:
        needed = ("device",) if board.family == "unix" else ("id", "tx", "rx")
        mistakes += [f"[[uart]] {row['name']} lacks {key}" for key in needed if key not in row]


def _flash(board, mistakes):
    if not board.flash:
        mistakes.append("[flash] is missing: block, program and cycles")
        return
    block, end = board.flash["block"], 0
    for needed in ("romfs", "vfs"):
        if board.partition(needed) is None:
            mistakes.append(f"there is no partition {needed}")
    for one in sorted(board.partitions, key=lambda one: one.offset):
        if one.offset < end:
            mistakes.append(f"partition {one.name} at {one.offset:#x} lies over the one before, which ends at {end:#x}")
        if one.offset % 4096 or (one.name in ("vfs", "log") and (one.offset % block or one.size % block)):
            mistakes.append(f"partition {one.name} does not begin and end with a block of {block} bytes")
        end = max(end, one.end)
    if end > board.memory["flash"]:
        mistakes.append(f"the partitions end at {end:#x}, the flash at {board.memory['flash']:#x}")


def check(folder):
    """All that is wrong with a board's folder, as texts."""
    board, mistakes = read(folder)
    mistakes = ["board.toml: " + one for one in mistakes]
    for name in FILES[1:]:
        if not (folder / name).is_file():
            mistakes.append(f"{name} is missing: docs/boards.md says what it is for")
    if board is None or mistakes:
        return mistakes
    wiring = (folder / "wiring.md").read_text()
    for row in board.uarts:
        for key in ("tx", "rx", "direction", "device"):
            if key in row and not re.search(rf"(?<![0-9A-Za-z]){re.escape(str(row[key]))}(?![0-9A-Za-z])", wiring):
                mistakes.append(f"wiring.md does not say where {row['name']} {key} ({row[key]}) is")
    return mistakes
