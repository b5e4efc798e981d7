"""Mutated and random streams for every codec, the same on every runtime; what may come out of them is checked by code
that shares nothing with the codecs.

`CODECS[name]()` makes one; `one(codec, seed, number)` runs the stream of that number and gives (events, frames found,
replies accepted): equal events on all runtimes. A violation is an AssertionError, an exception that escapes is one too.
`many(name, seed, first, count)` runs a range of streams and gives what they did with a digest of their events. Run as a
script: fuzzing.py NAME SEED FIRST COUNT, prints that as JSON.

A stream is one to three pieces: a good frame, one with bytes changed, left out or repeated, one whose changed bytes got
a right check again (so that only address, identifier or length tell it apart), random bytes, random bytes with a right
check. It is fed in up to four cuts and ended by silence.
"""

import binascii
import hashlib
import json
import sys

from carbonterm.errors import CarbonError, FrameError, NumberError
from carbonterm.field import analog, cjt188, dlt645, dlt645_items, hj212, hj212_roles, json_text, modbus, mqtt
from carbonterm.gm.sm4 import Cipher
from carbonterm.number import Number

CPYTHON = sys.implementation.name == "cpython"


class Chance:
    """Random numbers of a text: SHA-256 of it and a counter, fast on every runtime."""

    def __init__(self, text):
        self._text = text
        self._count = 0
        self._pool = b""
        self._at = 0

    def byte(self):
        if self._at == len(self._pool):
            self._pool = hashlib.sha256(("%s %d" % (self._text, self._count)).encode()).digest()
            self._count += 1
            self._at = 0
        self._at += 1
        return self._pool[self._at - 1]

    def below(self, n):
        """Integer from 0 to n - 1; n at most 65536."""
        return self.byte() * n >> 8 if n < 256 else (self.byte() << 8 | self.byte()) * n >> 16

    def bytes(self, n):
        return bytes([self.byte() for _ in range(n)])

    def choice(self, items):
        return items[self.below(len(items))]


class Codec:
    """What a codec adds: NAME, `good`, whole frames of all kinds; seal(raw), the bytes with a right check; marks, bytes
    that mean something; decoders() for both roles and exchange() for a request; meaning(frame), a text; and the oracles
    proper(raw), whether these bytes are a frame, and answers(raw), whether they answer what `exchange` asked."""

    longest = 300  # bytes that a decoder may hold at most

    def piece(self, chance):
        kind = chance.below(8)
        if kind == 0:
            return chance.bytes(chance.below(40))
        if kind == 1:
            return self.seal(chance.bytes(chance.below(30)) + self.seal(b""))
        raw = chance.choice(self.good)
        if kind < 4:
            return raw
        line = bytearray(raw)
        for _ in range(1 + chance.below(3)):
            what = chance.byte() if chance.below(2) else chance.choice(self.marks)
            line[chance.below(len(line))] = what
        if kind == 4:
            at, end = chance.below(len(line)), chance.below(len(line))
            line = line[:at] + line[end:]  # left out, or repeated
        return self.seal(bytes(line)) if kind > 5 else bytes(line)

    def stream(self, chance):
        return b"".join([self.piece(chance) for _ in range(1 + chance.below(3))])

    def answers(self, raw):
        return False

    def exchange(self):
        return None


def pieces(chance, line):
    """The stream in one to four parts."""
    cuts = sorted([chance.below(len(line) + 1) for _ in range(chance.below(4))])
    return [line[a:b] for a, b in zip([0] + cuts, cuts + [len(line)])]


def found_in(decoder, parts, longest):
    frames = []
    for part in parts:
        frames += decoder.feed(part)
        assert decoder.pending <= longest
    return frames + decoder.flush()


def one(codec, seed, number):
    chance = Chance("%s %d %d" % (codec.NAME, seed, number))
    line = codec.stream(chance)
    if hasattr(codec, "judge"):
        return codec.judge(chance, line)
    parts = pieces(chance, line)
    events, count, taken = [], 0, 0
    for decoder, again in zip(codec.decoders(), codec.decoders()):
        frames = found_in(decoder, parts, codec.longest)
        for frame in frames:
            assert codec.proper(frame.raw) and frame.raw in line
            events += [frame.raw, codec.meaning(frame).encode()]
        events.append(b"%d %d" % (decoder.dropped, decoder.errors))
        count += len(frames)
        if number & 3 == 0:  # cuts make no difference
            whole = found_in(again, [line], codec.longest)
            assert [f.raw for f in whole] == [f.raw for f in frames]
    exchange = codec.exchange()
    if exchange:
        reply = None
        for part in parts:
            reply = reply or exchange.feed(part)
        reply = reply or exchange.flush()
        if reply:
            assert codec.proper(reply.raw) and codec.answers(reply.raw)
            events += [b"reply", reply.raw]
            taken = 1
        events.append(b"%d" % exchange.foreign)
    return b"|".join(events), count, taken


def many(name, seed, first, count):
    """{"streams", "frames", "accepted", "violations", "digest", "failing": [(number, what)]} of the streams from
    `first` on."""
    codec = CODECS[name]()
    digest = hashlib.sha256()
    frames = accepted = 0
    failing = []
    for number in range(first, first + count):
        try:
            events, found, taken = one(codec, seed, number)
        except Exception as error:
            failing.append((number, "%s %s" % (type(error).__name__, error)))
            continue
        digest.update(events)
        frames += found
        accepted += taken
    shown = binascii.hexlify(digest.digest()).decode()
    return {"streams": count, "frames": frames, "accepted": accepted, "digest": shown, "failing": failing[:10],
            "violations": len(failing)}  # fmt: skip


# --- Modbus --------------------------------------------------------------------------------------------------------


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return table


_CRC = _crc_table()


def modbus_crc(data):
    """As the text describes it: one table of 16 bits, made bit by bit, not the codec's two of bytes."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    return crc


def _modbus_pdus():
    ask = modbus.read_request
    return (
        ask(3, 0x0C83, 4), modbus.read_response(3, bytes(range(8))), modbus.read_response(3, bytes(range(6))),
        modbus.read_response(4, bytes(range(8))), modbus.exception(3, 2), modbus.exception(4, 2),
        modbus.write_request(6, 1, 0x0304), modbus.write_request(16, 1, b"\1\2\3\4"), ask(1, 0, 9),
        modbus.read_response(1, b"\x03\x01"), modbus.read_response(3, bytes(range(8))),
    )  # fmt: skip


def _message(frame):
    parse = modbus.parse_request if frame.role == modbus.REQUEST else modbus.parse_response
    try:
        said = parse(frame.pdu)
    except FrameError as error:
        return error.what
    data = None if said.data is None else binascii.hexlify(said.data).decode()
    return "%s %s %s %s %s" % (said.function, said.address, said.count, data, said.exception)


def _modbus_answers(unit, pdu):
    """Whether they answer the read of 4 registers of unit 17 with function 3."""
    wanted = (10, b"\3\x08") if pdu[0] == 3 else (2, b"\x83" + pdu[1:2])
    return unit == 17 and (len(pdu), pdu[:2]) == wanted


class ModbusRtu(Codec):
    NAME = "modbus-rtu"
    marks = (0, 1, 2, 3, 4, 8, 16, 17, 0x83, 0x90, 255)

    def __init__(self):
        self.good = [modbus.rtu(unit, pdu) for unit in (17, 17, 18) for pdu in _modbus_pdus()]

    def seal(self, raw):
        body = raw[:-2] if len(raw) > 4 else raw + b"\x11\3"
        crc = modbus_crc(body)
        return body + bytes((crc & 255, crc >> 8))

    def decoders(self):
        return modbus.RtuDecoder(modbus.MASTER), modbus.RtuDecoder(modbus.METER)

    def exchange(self):
        return modbus.Exchange(17, modbus.read_request(3, 0x0C83, 4))

    def meaning(self, frame):
        return _message(frame)

    def proper(self, raw):
        return modbus_crc(raw[:-2]) == raw[-2] | raw[-1] << 8

    def answers(self, raw):
        return _modbus_answers(raw[0], raw[1:-2])


class ModbusTcp(Codec):
    NAME = "modbus-tcp"
    marks = (0, 0, 1, 2, 3, 6, 8, 11, 17, 0x83)

    def __init__(self):
        places = (770, 17), (770, 17), (771, 17), (770, 18)
        self.good = [modbus.tcp(transaction, unit, pdu) for transaction, unit in places for pdu in _modbus_pdus()]

    def seal(self, raw):
        rest = raw[6:] if len(raw) > 7 else raw + b"\x11\3"
        return b"\3\2\0\0\0" + bytes((len(rest) & 255,)) + rest

    def decoders(self):
        return modbus.TcpDecoder(modbus.MASTER), modbus.TcpDecoder(modbus.METER)

    def exchange(self):
        return modbus.Exchange(17, modbus.read_request(3, 0x0C83, 4), 770)

    def meaning(self, frame):
        return "%d %s" % (frame.transaction, _message(frame))

    def proper(self, raw):
        return raw[2:4] == b"\0\0" and raw[4] << 8 | raw[5] == len(raw) - 6

    def answers(self, raw):
        return raw[:2] == b"\3\2" and _modbus_answers(raw[6], raw[7:])


# --- DL/T 645 and CJ/T 188: 68 … sum 16 ----------------------------------------------------------------------------


class Summed(Codec):
    def seal(self, raw):
        start = max(raw.find(b"\x68"), 0)
        body = raw[start:-2] if len(raw) - start > 4 else b"\x68" + raw
        return raw[:start] + body + bytes((sum(body) & 255, 0x16))

    def proper(self, raw):
        total = 0
        for byte in raw[:-2]:
            total += byte
        return raw[0] == 0x68 and raw[-1] == 0x16 and total % 256 == raw[-2]


class Dlt645(Summed):
    marks = (0x68, 0x16, 0xFE, 0x33, 0x34, 0x91, 0x81, 0xB1, 0xD1, 0x11, 0x01, 4, 8, 0xAA)
    OWN, OTHER = "201000000012", "201000000013"

    def __init__(self):
        say, own = dlt645.read_response, self.OWN
        self.request = dlt645.read_request(self.ASKED)
        pdus = [say(self.ASKED, b"\x26\0\1\0"), say(self.ASKED, b"\x26\0\xff\0"), say(self.ASKED, b"\x99\1\2\3", True),
                say(self.BESIDE, b"\1\0\0\0"), dlt645.error_response(self.request[0], 2), self.request,
                dlt645.follow_response(self.ASKED, b"\1\2\3\4", 1), say(self.BLOCK, bytes(range(20))),
                dlt645.address_response(own), dlt645.freeze_response()]  # fmt: skip
        self.good = [dlt645.frame(address, pdu, leaders)
                     for address, leaders in ((own, 0), (own, 4), (self.OTHER, 2)) for pdu in pdus]  # fmt: skip
        self.good += self.good[:2]
        address = bytes((0x12, 0, 0, 0, 0x10, 0x20))
        self._head = b"\x68" + address + b"\x68"
        self._wire = bytes([byte + 0x33 & 255 for byte in self.WIRE])

    def decoders(self):
        return dlt645.Decoder(dlt645.MASTER), dlt645.Decoder(dlt645.METER)

    def exchange(self):
        return dlt645.Exchange(self.OWN, self.request)

    def meaning(self, frame):
        wrong = dlt645.fault(frame.pdu)
        if wrong or not frame.identifier:
            return "%s %s" % (frame.address, wrong)
        try:
            found = dlt645_items.values(frame.identifier, frame.payload)
        except FrameError as error:
            return error.what
        return " ".join(["%s=%s" % (one.code, one.value) for one in found])

    def answers(self, raw):
        if raw[:8] != self._head:
            return False
        if raw[8] == 0xC0 | self.WIRE_FUNCTION:
            return raw[9] == 1
        width = len(self._wire)
        control = 0x80 | self.WIRE_FUNCTION
        return raw[8] in (control, control | 0x20) and raw[9] >= width and raw[10 : 10 + width] == self._wire


class Dlt6452007(Dlt645):
    NAME = "dlt645-2007"
    ASKED, BESIDE, BLOCK, WIRE, WIRE_FUNCTION = "00010000", "00020000", "0001FF00", b"\0\0\1\0", 0x11


class Dlt6451997(Dlt645):
    NAME = "dlt645-1997"
    ASKED, BESIDE, BLOCK, WIRE, WIRE_FUNCTION = "9010", "9020", "901F", b"\x10\x90", 0x01


class Cjt188(Summed):
    NAME = "cjt188"
    marks = (0x68, 0x16, 0xFE, 0x10, 0x20, 0x30, 0x81, 0xC1, 0x90, 0x1F, 7, 0xAA, 0x2C, 22, 46)
    OWN = "78330011223344"

    def __init__(self):
        water = b"\0\x77\x66\x55\x2c\0\x77\x66\x55\x2c" + bytes((0x31, 1, 0x22, 0x11, 5, 0x15, 0x20, 0x21, 0x84))
        heat = (bytes((5, 0, 0, 0, 8)) + bytes((5, 0, 0, 0, 8)) + bytes((0, 0, 0, 0, 0x17)) + bytes((0, 0, 0, 0, 0x35))
                + bytes((0, 0, 0, 0, 0x2C)) + bytes(9) + bytes((0x31, 1, 0x22, 0x11, 5, 0x15, 0x20, 0, 0)))  # fmt: skip
        self.good = []
        for type, address in ((0x10, self.OWN), (0x10, self.OWN), (0x20, self.OWN), (0x10, "78330011223345")):
            for ser in (7, 7, 8):
                asked = cjt188.Decoder(cjt188.METER).feed(cjt188.read_data(type, address, ser))[0]
                data = heat if type == 0x20 else water
                self.good += [cjt188.respond(asked, data, leaders=2), cjt188.refuse(asked), asked.raw,
                              cjt188.respond(asked, data, cjt188.Profile(cjt188.LOW_FIRST)),
                              cjt188.respond(asked, data[:4])]  # fmt: skip
        self._head = b"\x68\x10\x44\x33\x22\x11\x00\x33\x78"

    def decoders(self):
        return cjt188.Decoder(cjt188.MASTER), cjt188.Decoder(cjt188.METER)

    def exchange(self):
        return cjt188.Exchange(cjt188.read_data(0x10, self.OWN, 7))

    def meaning(self, frame):
        said = []
        for profile in cjt188.suggest(frame):
            said += ["%s %s %s" % (item.code, item.value, item.unit) for item in cjt188.readings(frame, profile)]
        return "%s %s %s" % (frame.address, frame.control, " ".join(said))

    def answers(self, raw):
        if raw[:9] != self._head:
            return False
        if raw[9] & 0xC0 == 0xC0:
            return raw[9] & 0x1F == 1 and raw[10] == 3 and raw[11] == 7
        return raw[9] & 0xDF == 0x81 and raw[10] > 2 and raw[11:13] in (b"\x90\x1f", b"\x1f\x90") and raw[13] == 7


# --- HJ 212 --------------------------------------------------------------------------------------------------------


def hj_crc(data):
    """The register is shifted by a byte before the byte comes in, so only its low half counts."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ byte
        register = register >> 8 ^ _CRC[register & 255]
    return register


class Hj212(Codec):
    NAME = "hj212-2017"
    VERSION, CIPHER = "2017", None
    longest = 1100
    marks = b"#;=,&-.0159NMCPR\r\n\xff\x00"
    MN = "A16F000169"

    def __init__(self):
        self.good = []
        area = [[("DataTime", "20261121080000")], [("a05001-Avg", "12.50"), ("a05001-Flag", "N")], [("a-Cou", "-")]]
        for mn in (self.MN, self.MN, "B16F000169"):
            logger = hj212_roles.Logger(mn, "1", "31", self.VERSION, cipher=self.CIPHER)
            logger.upload("2011", area[:2], 1795208460000, ack=False)
            logger.upload("2051", area, 1795208400000, again=True)
            self.good += logger.poll(1795208460000)
        upper = hj212_roles.Upper(self.MN, "1", "31", self.VERSION, cipher=self.CIPHER)
        self.good += [upper.set_time(1795208400000), b"##0036ST=91;CN=9014;MN=A16F000169;CP=&&&&0000\r\n"]

    def seal(self, raw):
        segment = raw[6:-6] if len(raw) > 14 else b"CN=2011;MN=A16F000169;CP=&&" + raw + b"&&"
        return b"##%04d" % len(segment) + segment + b"%04X" % hj_crc(segment) + b"\r\n"

    def decoders(self):
        return (hj212.Decoder(self.CIPHER),)

    def proper(self, raw):
        segment = bytes(raw[6:-6])
        if b"CP=&&{0x" in segment:
            segment = hj212.decrypted(segment, self.CIPHER)
        sizes = len(segment), len(raw) - 12
        return raw[:2] == b"##" and int(raw[2:6].decode()) in sizes and int(raw[-6:-2].decode(), 16) == hj_crc(segment)

    def meaning(self, packet):
        heard = hj212_roles.Upper(self.MN, "1", "31", self.VERSION).receive(packet, 0)
        head = bytes(packet.raw[6 : packet.raw.find(b"CP=&&")]).split(b";")
        assert (heard == hj212_roles.FOREIGN) == (b"MN=" + self.MN.encode() not in head)
        said = ["%s-%s %s %s" % (one.code, one.kind, one.value, one.flag) for one in hj212.readings(packet)]
        return "%s %s %s" % (heard, packet.cn, " ".join(said))


class Hj2122025(Hj212):
    NAME = "hj212-2025"
    VERSION, CIPHER = "2025", Cipher(b"0123456789abcdef")
    longest = 6200


# --- MQTT and JSON: one mistake ends the stream --------------------------------------------------------------------


class Mqtt(Codec):
    NAME = "mqtt"
    marks = (0, 1, 2, 4, 0x10, 0x20, 0x30, 0x32, 0x3A, 0x40, 0x7F, 0x80, 0x82, 0x90, 0xC0, 0xFF)
    LIMIT = 60

    def __init__(self):
        self.good = [
            mqtt.connect("ct-1", 60, True, "user", b"word", ("t", b"gone", 1, True)), mqtt.connect("c"), mqtt.connack(),
            mqtt.publish("a/b", b"12.5"), mqtt.publish("a/b", b"{}", 1, 7), mqtt.publish("a", bytes(90), 1, 8, True),
            mqtt.puback(7), mqtt.subscribe(3, [("a/+", 1), ("b/#", 0)]), mqtt.suback(3, [1, 0]), mqtt.pingreq(),
            mqtt.pingresp(), mqtt.disconnect(),
        ]  # fmt: skip

    def seal(self, raw):
        return raw[:1] + bytes((min(len(raw) - 2, 127) if len(raw) > 2 else 0,)) + raw[2:129] if raw else b"\xc0\0"

    def judge(self, chance, line):
        """The packets found are the stream's beginning, byte for byte, and nothing comes behind a mistake."""
        seen = []
        for parts in (pieces(chance, line), [line]):
            decoder, packets, wrong = mqtt.Decoder(self.LIMIT), [], None
            for part in parts:
                try:
                    packets += decoder.feed(part)
                except FrameError as error:
                    if wrong is None:
                        packets += decoder.found
                    assert wrong is None or wrong == error.what
                    wrong = error.what
            seen.append([self._shown(packet) for packet in packets] + ["ok" if wrong is None else "broken"])
        assert seen[0] == seen[1]  # which rule is broken first may depend on the cuts, that one is does not
        held, at = [packet.raw for packet in packets], 0
        if None not in held:
            at = len(b"".join(held))
            assert line[:at] == b"".join(held)
        return "|".join(seen[0]).encode(), len(packets), 0

    @staticmethod
    def _shown(packet):
        payload = None if packet.payload is None else binascii.hexlify(packet.payload).decode()
        return "%d %s %s %s %s %s" % (packet.kind, packet.id, packet.topic, payload, packet.qos, packet.code)


class Json(Codec):
    NAME = "json"
    marks = b'{}[]",:-+.eE0159\\u/tfn \t\n\x00\x7f\x80\xc3\xe4\xff'
    good = (
        b'{"source": "s-1", "id": "7f-1", "time": 1795208400000, "values": {"E1": "1234.50", "T": 21.5, "P": null}}',
        b'[1, -2.5e3, 0.10, true, false, null, "\\u4e2d\\n\\"", {"a": {"b": [[]]}}]', "\"中文\"".encode(), b"-0.0",
    )  # fmt: skip

    def seal(self, raw):
        return b"[" + raw[1:-1] + b"]"

    def judge(self, chance, line):
        """What is taken is a document for CPython's parser too, and the same one."""
        line = self.piece(chance)
        try:
            found = json_text.parse(line)
        except CarbonError as error:
            return error.what.encode(), 0, 0
        if CPYTHON:
            assert _same(found, json.loads(line.decode(), parse_float=json_text.decimal, parse_int=json_text.decimal))
        return _canonical(found).encode(), 1, 0


def _same(ours, theirs):
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(_same(a, b) for a, b in zip(ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


def _canonical(value):
    if isinstance(value, dict):
        return "{" + ",".join(sorted([key + ":" + _canonical(value[key]) for key in value])) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_canonical(item) for item in value]) + "]"
    return str(value)


# --- analogue inputs and pulses: no frames, so a stream is what a converter and a counter may say --------------------


# in thousandths of mA or V: low end, span, valid from, valid to
_SIGNALS = (("0-10V", 0, 10000, -200, 10200), ("4-20mA", 4000, 16000, 3800, 20500))


class Analog(Codec):
    NAME = "analog"

    def stream(self, chance):
        return chance.bytes(20)

    def judge(self, chance, line):
        """A value is the line through the ends of the range, to half a unit of its last place, and only of a signal
        within the limits; a count that ran over its end has the pulses that it was moved by."""
        kind, start, span, least, most = _SIGNALS[line[0] & 1]
        low, high = [int.from_bytes(line[at : at + 2], "big") - 32768 for at in (1, 3)]  # tenths of the quantity
        signal = int.from_bytes(line[5:7], "big") * 24 // 65 - 1000 if line[0] & 6 else chance.choice((least, most))
        signal += line[7] % 3 - 1 if line[0] & 8 else 0
        places = line[8] % 7
        try:
            scale = analog.Scale(kind, Number(low, -1), Number(high, -1), places)
        except NumberError:
            assert low == high
            return b"no range", 0, 0
        value, why = scale.value(Number(signal, -3))
        assert (why is None) == (value is not None) == (least <= signal <= most)
        if value is not None:
            said = value.mantissa * 10 ** (value.exponent + places)  # in units of the last place
            exact = (low * span + (signal - start) * (high - low)) * 10**places  # over 10 * span
            assert abs(2 * (said * 10 * span - exact)) <= 10 * span
        counter = analog.Pulses(Number(1 + line[9], -2), 8 + line[10] % 57)
        before, moved = [int.from_bytes(line[at : at + 4], "big") % (1 << counter.bits) for at in (11, 15)]
        after = (before + moved) % (1 << counter.bits)
        assert counter.pulses(before, after) == moved
        return ("%s %s %s" % (value, why, counter.value(after))).encode(), 1, 0


CODECS = {made.NAME: made for made in
          (ModbusRtu, ModbusTcp, Dlt6452007, Dlt6451997, Cjt188, Hj212, Hj2122025, Mqtt, Json, Analog)}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(many(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
