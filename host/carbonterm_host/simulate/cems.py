"""A simulated flue gas monitor: its data logger speaks HJ 212 (2017 or 2025), and a centre that treats it badly.

No I/O and no clock: `Cems` is a station (it connects, uploads, repeats what nobody acknowledged, answers requests),
`Centre` the upper computer at the other end; whoever has the line carries the bytes. Both are the roles of
carbonterm.field.hj212_roles with faults, seeded and counted as those of meters. Runs on MicroPython as well.
"""

from carbonterm.field import hj212
from carbonterm.field.hj212_roles import ACKNOWLEDGED, DATA, REQUEST, Logger, Upper, moment
from carbonterm_host.simulate.chance import mixed
from carbonterm_host.simulate.profile import FULL, MINUTE_MS, load

# command: milliseconds between two uploads
PERIODS = {hj212.REALTIME: MINUTE_MS, hj212.MINUTE: 10 * MINUTE_MS, hj212.HOUR: 60 * MINUTE_MS,
           hj212.DAY: 1440 * MINUTE_MS}  # fmt: skip
# factor: value at full load in the last digit, decimals
FACTORS = (("a00000", 42500, 2), ("a05001", 19650000, 2), ("a19001", 852, 2), ("a01012", 1185, 1), ("a21002", 4310, 2))
ZONE = 480
PACKET = ("noise-before", "truncated", "crc", "glued", "silent", "flagged")
CENTRE = ("no-ack", "old-ack", "double-ack", "wrong-request", "set-time")


class Cems:
    """`mn`, `pw`: number and password of the station; version "2017" or "2025"; cipher: of SM4 for 2025, or None.
    split_at: bytes of a data area beyond which it is split."""

    def __init__(self, name, mn, pw, version="2017", cipher=None, seed=1, split_at=600):
        self.name = name
        self.seed = seed
        self.logger = Logger(mn, pw, "31", version, cipher=cipher)
        self._decoder = hj212.Decoder(cipher)
        self._split_at = split_at
        self._due = {}
        self._late = []  # (command, items) of uploads that nobody acknowledged
        self._of = {}  # QN: (command, items)

    def begin(self, now_ms, faults, truth):
        self.start_ms, self.faults, self.truth = now_ms, faults, truth
        self._due = {cn: now_ms - now_ms % period + period for cn, period in PERIODS.items()}

    def poll(self, now_ms):
        """List of bytes to send now."""
        for cn in sorted(self._due):
            while self._due[cn] <= now_ms:
                self._upload(cn, self._due[cn], now_ms)
                self._due[cn] += PERIODS[cn]
        while self.logger.lost:
            cn, items = self._of.pop(self.logger.lost.pop(0))
            self._late.append((cn, items))
        if self._late and not self.logger.waiting:
            cn, items = self._late.pop(0)
            self._queue(cn, items, now_ms, True)
        return [self._spoilt(data, now_ms) for data in self.logger.poll(now_ms)]

    def hear(self, data, now_ms):
        """List of bytes to answer with."""
        answers = []
        for packet in self._decoder.feed(data):
            what = self.logger.receive(packet, now_ms)
            if what == ACKNOWLEDGED:
                self._of.pop(packet.qn, None)
            elif what == REQUEST:
                answers.append(self.logger.accept(packet))
                if not self.logger.fault(packet):
                    answers.append(self.logger.finish(packet))
        return answers

    def _upload(self, cn, moment_ms, now_ms):
        flag = "N"
        if self.faults.choose(self.name, self._elapsed(now_ms), ("flagged",)):
            flag = self.faults.random.choice(("C", "M", "D", "T"))
        kind = "Rtd" if cn == hj212.REALTIME else "Avg"
        items, told = [[("DataTime", moment(moment_ms if kind == "Rtd" else moment_ms - PERIODS[cn], ZONE))]], {}
        for code, full, places in FACTORS:
            text = self.value(code, full, places, moment_ms)
            items.append([("%s-%s" % (code, kind), text), ("%s-Flag" % code, flag)])
            told["%s/%s-%s" % (cn, code, kind)] = text
        self.truth.add({"time_ms": moment_ms, "meter": self.name, "item": cn, "datatime": items[0][0][1],
                        "registers": told, "flag": flag, "fault": "flagged" if flag != "N" else None})  # fmt: skip
        self._queue(cn, items, now_ms, False)

    def value(self, code, full, places, moment_ms):
        """Decimal text of a factor: it follows the load."""
        part = load(self.seed + mixed(code) % 1000, (moment_ms + ZONE * MINUTE_MS) // MINUTE_MS)
        digits = str(full * part // FULL)
        digits = "0" * (places + 1 - len(digits)) + digits
        return digits[:-places] + "." + digits[-places:]

    def _queue(self, cn, items, now_ms, again):
        for qn in self.logger.upload(cn, items, now_ms, again=again, room=self._split_at):
            self._of[qn] = (cn, items)

    def _elapsed(self, now_ms):
        return (now_ms - self.start_ms) // 1000

    def _spoilt(self, data, now_ms):
        """The bytes of a packet with what befalls them on the way."""
        fault = self.faults.choose(self.name, self._elapsed(now_ms), PACKET[:-1])
        chance = self.faults.random
        if fault == "noise-before":
            return self.faults.noise() + data
        if fault == "truncated":
            return data[: chance.randint(1, len(data) - 1)]
        if fault == "crc":
            at = len(data) - 3
            return data[:at] + (b"0" if data[at] != 48 else b"1") + data[at + 1 :]
        if fault == "glued":
            return data + data
        return b"" if fault == "silent" else data


class Centre:
    """The upper computer of one station; `taken`: list of (command, DataTime, {name: text}) of what was new, as it
    came. `name`: of the station, for the faults' counts."""

    def __init__(self, name, mn, pw, version="2017", cipher=None):
        self.name = name
        self.upper = Upper(mn, pw, "31", version, cipher=cipher)
        self._wrong = Upper(mn, pw + "0", "31", version, cipher=cipher)
        self._decoder = hj212.Decoder(cipher)
        self._before = None  # the packet that was acknowledged last
        self.taken = []
        self.copies = 0

    def begin(self, now_ms, faults):
        self.start_ms, self.faults = now_ms, faults

    def hear(self, data, now_ms):
        """List of bytes to answer with."""
        answers = []
        for packet in self._decoder.feed(data) + self._decoder.flush():
            what = self.upper.receive(packet, now_ms)
            if packet.wants_ack:
                answers += self._answer(packet, what == DATA, now_ms)
        return answers

    def poll(self, now_ms):
        """List of bytes to send: open requests again."""
        return self.upper.poll(now_ms) + self._wrong.poll(now_ms)

    def _answer(self, packet, new, now_ms):
        if new:
            told = {name: text for item in packet.items for name, text in item if name != "DataTime"}
            self.taken.append((packet.cn, packet.get("DataTime"), told))
        else:
            self.copies += 1
        ack = self.upper.acknowledge(packet)
        fault = self.faults.choose(self.name, (now_ms - self.start_ms) // 1000, CENTRE)
        before, self._before = self._before, packet
        if fault == "no-ack":
            return []
        if fault == "old-ack" and before is not None:
            return [self.upper.acknowledge(before)]
        if fault == "double-ack":
            return [ack, ack]
        if fault in ("wrong-request", "set-time"):
            asks = self.upper if fault == "set-time" else self._wrong
            if asks.state not in ("asked", "working"):
                return [ack, asks.set_time(now_ms)]
        return [ack]
