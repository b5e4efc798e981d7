"""The maintenance port: what a person who stands before the terminal may ask it (10.6.1). It writes to no meter.

A question is one line of JSON; lines of JSON answer it, the last {"event": "done"} or {"event": "error", "kind",
"what", "hint"}. `do` says what: status, health, tasks, faults, errors, selfcheck (docs/monitoring.md), watch (points as
they are now), explain (a point, step by step), probe (one raw read in every type and order), scan (who is on a line),
manual (what was entered by hand), enter (takes an operator's signed record). docs/commissioning.md has the fields.

On a terminal it listens on a socket of the file system whose mode says who may come; `who` is the name that goes into
the log, once for each kind of question of a connection. Questions take their turn with acquisition's at the bus's lock.
Without a terminal (`carbonterm scan` and the like start the firmware so) the same is asked by stdin and answered on
stdout, of any device or host.
"""

import asyncio
import json
import sys

from carbonterm import site as sites
from carbonterm.errors import CarbonError, quoted
from carbonterm.field import cjt188, explain, modbus, places, requests, views
from carbonterm.field.dlt645 import SILENCE_MS, V2007
from carbonterm.field.inbound import KINDS
from carbonterm.field.plan import plan
from carbonterm.field.requests_dlt645 import Dlt645Request
from carbonterm.number import Number
from carbonterm_device.bus import LinkDown, NoAnswer, Refused
from carbonterm_device.line import SerialLine
from carbonterm_device.network import TcpBus
from carbonterm_device.ports import port as default_port
from carbonterm_device.recorder import REFUSED, SILENT, missing, reading
from carbonterm_device.search import Scan, Settings

LONGEST = 4096  # bytes of a request
PARITIES = ("none", "even", "odd")
TIMEOUT_MS = 1000


class Asked(CarbonError):
    """A question that makes no sense."""


class Desk:
    """Answers questions. site: a Site or None; driver(row) gives the bus of a site's. acquisitions, terminal, status()
    and monitor: of a running terminal, or none of them: then buses are opened as they are asked for, without a site by
    device or host."""

    def __init__(self, site, driver, acquisitions=(), terminal=None, status=None, port=default_port, monitor=None):
        self.site = site
        self._driver = driver
        self._acquisitions = acquisitions
        self._terminal = terminal
        self._status = status
        self._port = port
        self._monitor = monitor
        self._opened = {}

    def close(self):
        for bus in self._opened.values():
            bus.close()

    async def answer(self, line, tell, told):
        """Answers one line by awaiting tell(object). told: the kinds of question this connection has in the log."""
        try:
            question = json.loads(line)
        except ValueError:
            question = None
        try:
            known = sorted(_ANSWERS)
            if not isinstance(question, dict) or question.get("do") not in known:
                raise Asked("this is no question", 'ask with one line of JSON, {"do": …}: ' + " ".join(known))
            self._note(question, told)
            await _ANSWERS[question["do"]](self, question, tell)
            await tell({"event": "done"})
        except CarbonError as error:
            await tell({"event": "error", "kind": _kind(error), "what": error.what, "hint": error.hint})

    def _note(self, question, told):
        """Writes into the log who looked; the word is given by who may open the socket, and believed."""
        if self._terminal is None:
            return
        if self._terminal.site is None:
            raise Asked("the terminal has not begun", "ask again in some seconds")
        who = _text(question, "who", 64)
        kind = "%s %s" % (question["do"], question.get("bus") or question.get("point") or "")
        if kind not in told and len(told) < 16:
            told.append(kind)
            self._terminal.audit(who, "maintenance", kind.strip()[:200])

    # --- buses -----------------------------------------------------------------------------------------------------

    def _bus(self, question):
        """(bus, site's row or None) of the question's "bus", or of its "device" or "host" where that is allowed."""
        name = question.get("bus")
        if name is None and self._terminal is None and self.site is None:
            return self._free(question), None
        rows = self.site.buses
        for index, row in enumerate(rows):
            if row.name == name or (name is None and len(rows) == 1):
                if row.kind in KINDS:
                    raise Asked("nobody can be asked on bus %s, which is %s" % (quoted(row.name), row.kind),
                                "see what came: watch")  # fmt: skip
                if self._acquisitions:
                    return self._acquisitions[index].driver, row
                if row.name not in self._opened:
                    self._opened[row.name] = self._driver(row)
                return self._opened[row.name], row
        names = " ".join([row.name for row in rows])
        raise Asked("there is no bus %s" % quoted(str(name)), "the buses are: " + names)

    def _free(self, question):
        where = question.get("device") or question.get("host")
        if where not in self._opened:
            if question.get("device"):
                self._opened[where] = SerialLine(_text(question, "device", 255), gap_ms=20)
            else:
                self._opened[where] = TcpBus(_text(question, "host", 255), _integer(question, "port", 1, 65535, 502))
        return self._opened[where]

    def _lines(self, question, row, bus):
        """[Settings] of the question, or those of its line; [None] on a network."""
        if isinstance(bus, TcpBus):
            return [None]
        if row is not None and row.kind == places.INPUTS:
            raise Asked("bus %s has inputs, which answer nobody" % quoted(row.name), "see them: watch, explain")
        given = question.get("settings")
        if given is None:
            return [Settings(row.port, row.parity, row.stop) if row is not None else Settings(9600, "none", 1)]
        found = []
        for one in given if isinstance(given, list) else [None]:
            good = isinstance(one, list) and len(one) == 3 and one[1] in PARITIES and one[2] in (1, 2)
            if not good or one[0] not in self._port.BAUDS:
                raise Asked("settings are [[baud, parity, stop bits]]", "e.g. [[9600, \"even\", 1]]")
            found.append(Settings(one[0], one[1], one[2]))
        if not found:
            raise Asked("no settings to try", "give at least one")
        return found

    # --- answers ---------------------------------------------------------------------------------------------------

    async def status(self, question, tell):
        if self._status is None:
            raise Asked("there is no terminal here", "ask one by its maintenance socket")
        await tell({"event": "status", "status": self._status()})

    async def about(self, question, tell):
        """health, tasks, faults, errors, selfcheck: what the monitor answers, in one event of that name."""
        if self._monitor is None:
            raise Asked("there is no terminal here", "ask one by its maintenance socket")
        what = question["do"]
        given = [question["sheet"]] if what == "selfcheck" and "sheet" in question else []
        await tell({"event": what, what: getattr(self._monitor, what)(*given)})

    async def scan(self, question, tell):
        bus, row = self._bus(question)
        lines = self._lines(question, row, bus)
        serial = lines[0] is not None
        protocols = question.get("protocols") or (list(places.PROTOCOLS) if serial else [places.MODBUS])
        for protocol in protocols:
            if protocol not in (places.PROTOCOLS if serial else [places.MODBUS]):
                raise Asked("no search for %s on %s" % (quoted(str(protocol)), bus.where),
                            "protocols: " + " ".join(places.PROTOCOLS if serial else [places.MODBUS]))  # fmt: skip
        low, high = _integer(question, "from", 0, 255, 1), _integer(question, "to", 0, 255, 247)
        if low > high:
            raise Asked("units from %d to %d" % (low, high), "the first is not above the last")
        timeout = _integer(question, "timeout_ms", 20, 10000, 200)
        wildcard = _integer(question, "wildcard_ms", 20, 10000, SILENCE_MS)
        units, thorough = range(low, high + 1), question.get("thorough") is True
        await Scan(bus, lines, protocols, units, timeout, wildcard, thorough, tell, self._port).run()

    async def probe(self, question, tell):
        bus, row = self._bus(question)
        lines = self._lines(question, row, bus)
        protocol = question.get("protocol", places.MODBUS)
        expect = question.get("expect")
        expect = None if expect is None else Number(_text(question, "expect", 40))
        timeout = _integer(question, "timeout_ms", 20, 60000, TIMEOUT_MS)
        request, item = _request(question, protocol, lines[0] is not None)
        data, raw = await bus.ask(request, lines[0], timeout)
        found = []
        if question.get("views") is not False:
            if protocol == places.MODBUS:
                found = views.of_registers(data, request.address)
            elif protocol == places.CJT188:
                found = views.of_items(data)
            else:
                found = views.of_digits(data, item)
        data = data.data if protocol == places.CJT188 else data
        await tell({"event": "answer", "raw": _hex(raw), "data": _hex(data), "views": len(found)})
        for view in views.ranked(found, expect):
            one = view.row()
            one["event"] = "view"
            await tell(one)

    async def watch(self, question, tell):
        """A row for each point; `bus`, `meter`: of this bus or meter only."""
        only_bus, only_meter = question.get("bus"), question.get("meter")
        site = self._needs_site()
        for only, rows in ((only_bus, site.buses), (only_meter, site.meters)):
            names = [row.name for row in rows]
            if only is not None and only not in names:
                raise Asked("there is no %s" % quoted(str(only)), "there are: " + " ".join(names[:40]))
        for index, bus in enumerate(site.buses):
            if only_bus not in (None, bus.name):
                continue
            if self._acquisitions:
                said = self._acquisitions[index].said
            else:
                said = await self._ask_all(index, only_meter)
            for request in said:
                time_ms, rows, _, _ = said[request]
                for row in rows:
                    point = site.points[row[0]]
                    meter = site.meters[point.meter].name
                    if only_meter in (None, meter):
                        await tell(_point(point, meter, bus.name, time_ms, row, site.zone))

    async def _ask_all(self, index, only_meter=None, only_point=None):
        """What acquisition keeps of its last rounds, asked now: {request: (time, rows, frames, data)}."""
        site, said = self.site, {}
        row = site.buses[index]
        if row.kind in KINDS:
            return said  # what is sent comes to the terminal only
        bus, gone = self._bus({"bus": row.name})[0], []
        for request in plan(site, index):
            meter = site.meters[request.meter]
            if only_meter not in (None, meter.name):
                continue
            if only_point is not None and only_point not in [point for point, _ in request.points]:
                continue
            data, frames, quality = None, [], SILENT
            if request.meter not in gone:
                try:
                    data, raw = await bus.ask(request, meter, meter.timeout_ms or row.timeout_ms)
                    frames = [raw]
                except (NoAnswer, LinkDown):
                    gone.append(request.meter)
                except Refused as refusal:
                    frames, quality = [refusal.raw], REFUSED
            rows = []
            for point, place in request.points:
                if data is None:
                    rows.append(missing(point, 0, quality))
                else:
                    value, _ = requests.value(request, data, site.points[point], place)
                    rows.append(reading(point, site.points[point], 0, value))
            said[request] = self._port.now_ms(), rows, frames, data
        return said

    async def explain(self, question, tell):
        site, name = self._needs_site(), _text(question, "point", 64)
        names = [point.name for point in site.points]
        if name not in names:
            raise Asked("there is no point %s" % quoted(name), "the points are: " + " ".join(names[:40]))
        index = names.index(name)
        meter = site.meters[site.points[index].meter]
        if self._acquisitions:
            said = self._acquisitions[meter.bus].said
        else:
            said = await self._ask_all(meter.bus, None, index)
        for request in said:
            time_ms, rows, frames, data = said[request]
            for row in rows:
                if row[0] == index:
                    bus = site.buses[meter.bus].name
                    event = _point(site.points[index], meter.name, bus, time_ms, row, site.zone)
                    event["event"], event["raw"], event["steps"] = "explained", _hex(b"".join(frames)), []
                    if data is not None:
                        place = dict(request.points)[index]
                        event["steps"] = explain.steps(site, index, request, place, data)
                    await tell(event)
                    return
        raise NoAnswer("%s was not asked yet" % name, "it is asked every %d ms" % site.points[index].interval_ms)

    async def manual(self, question, tell):
        """What was entered by hand, and what is missing."""
        from carbonterm_device import byhand

        for event in byhand.listed(self._needs_terminal()):
            await tell(event)

    async def enter(self, question, tell):
        """Takes an operator's signed `record`, as hex; answers when it is durable."""
        from carbonterm_device import byhand

        seq, record = byhand.take(self._needs_terminal(), _text(question, "record", LONGEST))
        digest = "".join(["%02x" % byte for byte in record.digest])
        await tell({"event": "taken", "epoch": self._terminal.log.epoch, "seq": seq, "digest": digest})

    def _needs_terminal(self):
        if self._terminal is None:
            raise Asked("there is no terminal here", "ask one by its maintenance socket")
        return self._terminal

    def _needs_site(self):
        if self.site is None:
            raise Asked("there is no site document here", "name one")
        return self.site

    async def serve(self, reader, writer):
        """One connection of the socket, until it is closed."""
        told, held = [], b""

        async def tell(event):
            writer.write(json.dumps(event).encode() + b"\n")
            await writer.drain()

        try:
            while True:
                data = await reader.read(512)
                if not data:
                    break
                held += data
                while b"\n" in held:
                    line, held = held.split(b"\n", 1)
                    if line.strip():
                        await self.answer(line, tell, told)
                if len(held) > LONGEST:
                    await tell({"event": "error", "kind": "usage", "what": "a question too long", "hint": ""})
                    break
        except OSError:  # whoever asked has gone
            pass
        finally:  # whatever it was: nobody waits at a connection that nobody answers
            try:
                writer.close()
                await writer.wait_closed()
            except OSError:
                pass


_ANSWERS = {
    "status": Desk.status, "scan": Desk.scan, "probe": Desk.probe, "watch": Desk.watch, "explain": Desk.explain,
    "manual": Desk.manual, "enter": Desk.enter, "health": Desk.about, "tasks": Desk.about, "faults": Desk.about,
    "errors": Desk.about, "selfcheck": Desk.about,
}  # fmt: skip


def _request(question, protocol, serial):
    """(a Request of a probe, the identifier it asks or None)."""
    if protocol not in (places.PROTOCOLS if serial else [places.MODBUS]):
        raise Asked("no %s here" % quoted(str(protocol)), "protocols: " + " ".join(places.PROTOCOLS))
    if protocol == places.MODBUS:
        unit, function = _integer(question, "unit", 0, 255, 1), _integer(question, "function", 1, 4, 3)
        request = requests.ModbusRequest(None, unit, 0, function, _integer(question, "address", 0, 65535, 0))
        request.reach(_integer(question, "count", 1, 125, 2))
        if function < 3:
            raise Asked("functions 1 and 2 read coils, which are no numbers", "use 3 or 4")
        modbus.read_request(function, request.address, request.count)
        return request, None
    unit = question.get("unit")
    places.check_unit(protocol, unit if unit else "")
    if protocol == places.CJT188:
        return _Cjt188Raw(unit, question.get("order") or cjt188.HIGH_FIRST), None
    item = question.get("item") or ("00010000" if protocol == V2007 else "9010")
    places.check_point(protocol, 0, item, "XX", "ABCD")
    return Dlt645Request(None, unit, 0, item, 8), item


class _Cjt188Raw(requests.Request):
    """901F as it comes: which profile it is has yet to be seen."""

    __slots__ = ("order",)

    def __init__(self, unit, order):
        super().__init__(None, unit, 0)
        self.order = order
        self.sent, self.awaited = 20, 63
        self._frame(0)

    def _frame(self, number):
        return cjt188.read_data(cjt188.ANY_TYPE, self.unit, number, profile=cjt188.Profile(self.order))

    def talk(self, number):
        return _Cjt188Talk(cjt188.Exchange(self._frame(number & 255)))


class _Cjt188Talk(requests.Talk):
    def take(self, frame):
        self.exchange = None
        if frame.error:
            self.refusal = "an error", "see which edition and identifier order the meter has", False
        else:
            self.data = frame


def _point(point, meter, bus, time_ms, row, zone):
    _, offset, quality, exponent, mantissa = row
    return {
        "event": "point", "point": point.name, "meter": meter, "bus": bus, "unit": point.unit,
        "time_ms": time_ms + offset, "zone": zone, "quality": quality,
        "value": None if mantissa is None else str(Number(mantissa, exponent)),
    }  # fmt: skip


def _kind(error):
    if isinstance(error, LinkDown):
        return "unreachable"
    if isinstance(error, (NoAnswer, Refused)):
        return "silent" if isinstance(error, NoAnswer) else "refused"
    return "usage"


def _text(question, name, limit):
    value = question.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise Asked("%s must be a text of 1 to %d characters" % (name, limit))
    return value


def _integer(question, name, low, high, default):
    value = question.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Asked("%s must be an integer from %d to %d" % (name, low, high))
    return value


def _hex(data):
    return "".join(["%02X" % byte for byte in data])


async def stdio(document, driver, port=default_port):
    """Answers questions of stdin on stdout until stdin ends; document: a canonical site document or None."""
    desk = Desk(None if document is None else sites.decode(document), driver, port=port)
    lines, there = [], asyncio.Event()

    def heard(line):
        lines.append(line)
        there.set()

    async def tell(event):
        sys.stdout.write(json.dumps(event) + "\n")
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()

    listener = asyncio.create_task(port.console_lines(heard))
    while True:
        if not lines:
            there.clear()
            await there.wait()
        line = lines.pop(0)
        if not line:
            break
        if line.strip():
            await desk.answer(line, tell, [])
    desk.close()
    listener.cancel()
    return 0
