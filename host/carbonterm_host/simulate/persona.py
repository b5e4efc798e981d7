"""How a simulated meter speaks: one class for each protocol, on the core's codecs in their METER role.

    key             what kind of frames it hears: a line has one decoder for each
    able            the faults that can befall it
    hears(frame)    whether a request found by that decoder is meant for this meter
    answer(frame, fault) -> list of frames as bytes, the first without leaders   [] where it is silent
    spoil(...)      see carbonterm_host.simulate.wire: faults of the frame

A fault of the frame that depends on the protocol (a wrong checksum, another meter's address) is made here, so that the
rest of the line knows nothing but bytes. Runs on MicroPython as well.
"""

import binascii

from carbonterm import clock
from carbonterm.field import cjt188, dlt645, dlt645_items, modbus, places
from carbonterm_host.simulate import faults as table
from carbonterm_host.simulate import said

_CLOCKS = {"04000101": "date", "04000102": "time", "C010": "date", "C011": "time"}
_ONLY_DLT645 = ("follow", "follow-lost", "follow-wrong")


def persona(meter, dialect, short):
    """The persona of a meter by the protocol of its model; ValueError for one that is on no line."""
    protocol = meter.model["protocol"]
    try:
        places.check_unit(protocol, meter.unit)
    except dlt645.FrameError as error:
        raise ValueError("%s: %s" % (meter.name, error))
    if protocol == places.MODBUS:
        return Modbus(meter)
    if protocol == places.CJT188:
        return Cjt188(meter, dialect, short)
    if protocol in (dlt645.V2007, dlt645.V1997):
        return Dlt645(meter, protocol)
    raise ValueError("model %s is %s, which is no meter on a bus" % (meter.model["id"], protocol))


def _able(*without):
    return [name for name in table.names(*table.METERS) if name not in without]


class Modbus:
    """A Modbus RTU slave: holding and input registers, read only."""

    key = places.MODBUS
    able = _able("leaders", *_ONLY_DLT645)

    def __init__(self, meter):
        self.meter = meter

    @staticmethod
    def decoder():
        return modbus.RtuDecoder(modbus.METER)

    def hears(self, frame):
        return frame.unit == self.meter.unit

    def answer(self, frame, fault):
        pdu = modbus.refusal(frame.pdu)
        if pdu is None:
            request = modbus.parse_request(frame.pdu)
            if request.function not in (modbus.HOLDING, modbus.INPUT_REGISTERS):
                pdu = modbus.exception(request.function, 1)
            else:
                data, code = self.meter.read(request.function, request.address, request.count, fault)
                if data is None:
                    pdu = modbus.exception(request.function, code)
                else:
                    pdu = modbus.read_response(request.function, data)
        return modbus.rtu(frame.unit, pdu)

    def broken(self, reply, at, byte):
        """The reply with another byte and a CRC that is wrong for it."""
        return reply[:at] + bytes((byte,)) + reply[at + 1 :]

    def misframed(self, reply, chance):
        """Another function, or another count than there are bytes."""
        at = 1 + chance.below(2)
        return modbus.rtu(reply[0], self.broken(reply, at, reply[at] ^ 1 << chance.below(7))[1:-2])

    def foreign(self, reply, chance):
        """A good reply of another unit, with other values."""
        return modbus.rtu(reply[0] % 247 + 1, reply[1:3] + bytes([byte ^ 0x55 for byte in reply[3:-2]]))

    def other_item(self, reply, chance):
        """A good reply of this unit to another read: fewer registers."""
        if len(reply) < 9:
            return b""
        return modbus.rtu(reply[0], reply[1:2] + bytes((reply[2] - 2,)) + reply[3:-4])

    def wildcard(self, reply, chance):
        return modbus.rtu(0, reply[1:-2])


class Dlt645:
    """A DL/T 645 meter of either edition; what is asked beyond its model's registers: date and time, blocks."""

    key = "dlt645"
    able = _able()

    def __init__(self, meter, edition):
        self.meter = meter
        self.edition = edition
        self._fault = None
        self._told = {}
        self._rest = None  # of data in two frames: (identifier, bytes)
        self._meter = dlt645.Meter(meter.unit, self._payload, self._set_time)

    @staticmethod
    def decoder():
        return dlt645.Decoder(dlt645.METER)

    def hears(self, frame):
        return frame.address == dlt645.BROADCAST or dlt645.covers(frame.address, self.meter.unit)

    def answer(self, frame, fault):
        edition = dlt645.FUNCTIONS[frame.function][0]
        if edition not in (None, self.edition):
            return b""  # it does not know this function: meters of the other edition share the line
        if frame.function in (dlt645.READ_FOLLOW, dlt645.READ_FOLLOW_97) and self._rest is not None:
            return self._second(frame, fault)
        self._fault, self._told, self._rest = fault, {}, None
        reply = self._meter.answer(frame, 0) or b""
        if not reply or not self._told:
            return reply
        self.meter.tell(self._told, fault, item=frame.identifier)
        if fault in ("exception", "busy"):
            error = dlt645.NO_SUCH_DATA if fault == "exception" else 1
            return self._frame(dlt645.error_response(frame.function, error))
        if fault in _ONLY_DLT645:
            found = dlt645.Decoder(dlt645.MASTER).feed(reply)[0]
            half = len(found.payload) >> 1
            self._rest = found.identifier, found.payload[half:], fault, self.meter.row
            return self._frame(dlt645.read_response(found.identifier, found.payload[:half], True))
        return reply

    def _second(self, frame, own_fault):
        identifier, payload, fault, row = self._rest
        self._rest = None
        self.meter.row = row
        if table.leaves(own_fault) != table.READABLE:
            row["spoilt"] = True
        if fault == "follow-lost":
            return b""
        seq = frame.seq or 1
        if fault == "follow-wrong":
            if self.edition == dlt645.V2007:
                return self._frame(dlt645.follow_response(identifier, payload, seq % 255 + 1))
            identifier = "%04X" % (int(identifier, 16) ^ 1)
        return self._frame(dlt645.follow_response(identifier, payload, seq))

    def _frame(self, pdu):
        return dlt645.frame(self.meter.unit, pdu, 0)

    def _payload(self, identifier):
        found = self.meter.spoken(identifier, self._fault)
        if found is not None:
            self._told[self.meter.state.find(identifier).name] = found[1]
            return found[0]
        if identifier in _CLOCKS:
            return self._time(_CLOCKS[identifier])
        try:
            rows = dlt645_items.items(identifier)
        except dlt645.FrameError:
            return None
        known = [row for row in rows if self.meter.state.find(row.code) is not None]
        if len(rows) < 2 or not known:
            return None
        parts = []
        for row in rows[: rows.index(known[-1]) + 1]:
            found = self.meter.spoken(row.code, self._fault)
            if found is None:
                parts.append(b"\xff" * row.size)
            else:
                self._told[self.meter.state.find(row.code).name] = found[1]
                parts.append(found[0])
        return b"".join(parts)

    def _time(self, what):
        state = self.meter.state
        state.advance(self.meter.clock.now_ms())
        if state.clock_wrong:
            return bytes(4 if what == "date" else 3)
        ms = state.own_clock()
        year, month, day, hour, minute, second = clock.civil(ms, state.zone)[:6]
        if what == "time":
            return dlt645_items.write("hhmmss", "%02d:%02d:%02d" % (hour, minute, second))
        week = (ms + state.zone * 60000) // 86400000 + 4
        return dlt645_items.write("YYMMDDWW", "%04d-%02d-%02d %02d" % (year, month, day, week % 7))

    def _set_time(self, pdu):
        """The meter's clock is set by a broadcast, as exactly as its line is fast."""
        state = self.meter.state
        state.advance(self.meter.clock.now_ms())
        second, minute, hour, day, month, year = [(byte >> 4) * 10 + (byte & 15) for byte in pdu[1:7]]
        told = clock.stamp(2000 + year, month, day, hour, minute, second, 0, state.zone)
        state.clock_wrong = None
        state.clock_ms += told - state.own_clock()

    def broken(self, reply, at, byte):
        return reply[:at] + bytes((byte,)) + reply[at + 1 :]

    def misframed(self, reply, chance):
        """A wrong end, second 68, or length, with a checksum that is right for it."""
        return _misframed(reply, chance, (7, 9))

    def foreign(self, reply, chance):
        last = (int(self.meter.unit[-2:]) + 1) % 100
        found = dlt645.Decoder(dlt645.MASTER).feed(reply)[0]
        return dlt645.frame(self.meter.unit[:-2] + "%02d" % last, _other_values(found.pdu, 5), 0)

    def other_item(self, reply, chance):
        found = dlt645.Decoder(dlt645.MASTER).feed(reply)[0]
        if found.error is not None:
            return b""
        pdu = bytearray(found.pdu)
        pdu[2] ^= 1
        return dlt645.frame(self.meter.unit, bytes(pdu), 0)

    def wildcard(self, reply, chance):
        found = dlt645.Decoder(dlt645.MASTER).feed(reply)[0]
        return dlt645.frame(chance.choice((dlt645.WILDCARD, dlt645.BROADCAST, "000000000000")), found.pdu, 0)


class Cjt188:
    """A CJ/T 188 meter: 901F, its address, its clock. dialect: [type, identifier order, unit first]."""

    key = places.CJT188
    able = _able(*_ONLY_DLT645)

    def __init__(self, meter, dialect, short):
        self.meter = meter
        self.type, order, self.unit_first = dialect
        self.profile = cjt188.Profile(order, self.unit_first)
        heat = meter.model["medium"] == "heat"
        self.layout = cjt188.VOLUME if not heat else cjt188.HEAT_43 if short else cjt188.HEAT_46

    @staticmethod
    def decoder():
        return cjt188.Decoder(cjt188.METER)

    def hears(self, frame):
        asked, own = frame.address, self.meter.unit
        fits = all([asked[i : i + 2] in ("AA", own[i : i + 2]) for i in range(0, 14, 2)])
        return fits and frame.type in (cjt188.ANY_TYPE, self.type)

    def answer(self, frame, fault):
        frame = cjt188.Frame(self.type, self.meter.unit, frame.control, frame.data, frame.raw)
        if frame.function == cjt188.READ_ADDRESS:
            return cjt188.respond(frame, b"")
        if frame.function == cjt188.WRITE_DATA and frame.di == cjt188.TIME:
            return cjt188.respond(frame, b"")
        if frame.function != cjt188.READ_DATA or frame.di != cjt188.CURRENT or fault in ("exception", "busy"):
            if frame.di == cjt188.CURRENT:
                self.meter.tell({}, fault, item="901F")
            return cjt188.refuse(frame)
        data, told = self._data(fault)
        self.meter.tell(told, fault, item="901F")
        return cjt188.respond(frame, data)

    def _data(self, fault):
        """(data, {register name: text}) of 901F: registers of the model, zeros for what it has none for, the clock."""
        state = self.meter.state
        parts, told = [], {}
        for code, what, size, decimals in self.layout:
            if what == "clock":
                parts.append(self._time())
                continue
            if what == "status":
                parts.append(bytes(size))
                continue
            found = self.meter.spoken(code, fault)
            register = state.find(code)
            if found is None:
                digits, unit = bytes(size), _DEFAULT.get(what)
            else:
                digits, text, unit = found[0], found[1], register.row["unit"]
                if (len(digits), register.places) != (size, decimals):
                    digits = self._resized(digits, register.places, size, decimals)
                    text = said.digits(digits, decimals)
                told[register.name] = text
            code = [_UNIT_CODES[unit]] if what in ("energy", "power", "flow", "volume") else []
            parts.append(bytes(code) + digits if self.unit_first else digits + bytes(code))
        return b"".join(parts), told

    @staticmethod
    def _resized(data, places, size, decimals):
        """Digits with `places` decimals in the room that a layout has: those that do not fit are cut off."""
        text = binascii.hexlify(bytes(reversed(data))).decode()
        text = ("0" * (2 * size) + text[: len(text) - places + decimals])[-2 * size :]
        return bytes(reversed(binascii.unhexlify(text)))

    def _time(self):
        state = self.meter.state
        if state.clock_wrong:
            return bytes(7)
        return cjt188.clock_bytes(clock.civil(state.own_clock(), state.zone)[:6])

    def broken(self, reply, at, byte):
        return reply[:at] + bytes((byte,)) + reply[at + 1 :]

    def misframed(self, reply, chance):
        return _misframed(reply, chance, (10,))

    def foreign(self, reply, chance):
        found = cjt188.Decoder(cjt188.MASTER).feed(reply)[0]
        last = (int(self.meter.unit[-2:], 16) + 1) & 255
        data = found.data[:5] + bytes([byte ^ 1 for byte in found.data[5:7]]) + found.data[7:]
        return cjt188.frame(found.type, self.meter.unit[:-2] + "%02X" % last, found.control, data)

    def other_item(self, reply, chance):
        """The answer to an earlier request: another SER."""
        found = cjt188.Decoder(cjt188.MASTER).feed(reply)[0]
        at = 0 if found.error else 2
        data = found.data[:at] + bytes((found.data[at] + 255 & 255,)) + found.data[at + 1 :]
        return cjt188.frame(found.type, self.meter.unit, found.control, data)

    def wildcard(self, reply, chance):
        found = cjt188.Decoder(cjt188.MASTER).feed(reply)[0]
        return cjt188.frame(found.type, chance.choice(("AA" * 7, "99" * 7, "00" * 7)), found.control, found.data)


def _other_values(pdu, at):
    """A PDU whose data differ in a digit from `at` on."""
    return pdu[:at] + bytes([byte ^ 1 for byte in pdu[at:]])


def _misframed(reply, chance, ats):
    """Another end byte, or another byte at one of `ats` and the checksum that goes with it."""
    pick = chance.below(len(ats) + 1)
    if pick == len(ats):
        return reply[:-1] + b"\x17"
    at = ats[pick]
    body = reply[:at] + bytes((reply[at] + 1 + chance.below(200) & 255,)) + reply[at + 1 : -2]
    return body + bytes((sum(body) & 255, 0x16))


_DEFAULT = {"energy": "kWh", "power": "kW", "flow": "m3/h", "volume": "m3"}
_UNIT_CODES = {row[0]: code for code, row in cjt188.UNITS.items() if row[1] == 0}
