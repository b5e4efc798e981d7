"""The dialogues of HJ 212-2017 and -2025: a data logger (数采仪) and its upper computer (上位机), no I/O, no clock.

Both get packets (from `hj212.Decoder`) and the time in ms, and give bytes to send. An upload that wants an
acknowledgement is sent, waits for 9014 with its own QN, and is sent again until its resends are spent; one upload at a
time, so what arrives is in order. A request goes the way 9011 (will do), data, 9012 (done). An upper computer
acknowledges when its caller says so, after the data is safe; what comes a second time (hj212.Packet.key) is told
as such and acknowledged again. Time-outs are 10 s and three resends unless the centre sets others (CN 1000).

Example, an upper computer:

    for packet in decoder.feed(received):
        if upper.receive(packet, now) == DATA:
            store(packet)                       # durable first
        if packet.wants_ack:
            send(upper.acknowledge(packet))
"""

from carbonterm import clock
from carbonterm.errors import FrameError
from carbonterm.field import hj212

DATA, AGAIN, ANSWER, RESULT, REQUEST, ACKNOWLEDGED, OTHER, FOREIGN = (
    "data", "again", "answer", "result", "request", "acknowledged", "other", "foreign",
)  # fmt: skip  # what a received packet was
ASKED, WORKING, DONE, REFUSED, FAILED, TIMED_OUT = "asked", "working", "done", "refused", "failed", "timed out"

UPLOADS = ("2011", "2021", "2031", "2041", "2051", "2061", "2081")
_ZONE = 480  # Beijing time, as the text wants it


def moment(ms, zone=_ZONE):
    """14 digits of a time, as DataTime has them."""
    return "%04d%02d%02d%02d%02d%02d" % clock.civil(ms, zone)[:6]


def request_number(ms, zone=_ZONE):
    """17 digits of a time, as QN has them."""
    return moment(ms, zone) + "%03d" % clock.civil(ms, zone)[6]


def split(items, room=600):
    """List of lists of items, each with a data area of at most `room` bytes; the first item (DataTime) in each.

    FrameError where one item does not fit.
    """
    first, parts = items[:1], []
    current, used = list(first), len(hj212.area_of(first).encode())
    least = used
    for item in items[1:]:
        size = len(hj212.area_of([item]).encode()) + 1
        if least + size > room:
            raise FrameError("an item of %d bytes" % size, "a packet has room for %d" % (room - least))
        if used + size > room:
            parts.append(current)
            current, used = list(first), least
        current.append(item)
        used += size
    parts.append(current)
    return parts


class _Station:
    def __init__(self, mn, pw, st, version, timeout_ms, resends, zone, cipher):
        hj212.flag(version)
        self.mn, self.pw, self.st, self.version = mn, pw, st, version
        self.timeout_ms, self.resends, self.zone, self.cipher = timeout_ms, resends, zone, cipher
        self._last = 0

    def _number(self, now_ms):
        """A QN that was not given yet."""
        self._last = max(now_ms, self._last + 1)
        return request_number(self._last, self.zone)

    def _packet(self, qn, st, cn, items=(), ack=False, more=()):
        marks = hj212.flag(self.version, ack, bool(more) and more[0][0] == "PNUM")
        head = [("QN", qn), ("ST", st), ("CN", cn), ("PW", self.pw), ("MN", self.mn), ("Flag", marks)]
        return hj212.packet(head + list(more), items, self.cipher)

    def _reply(self, packet, cn, items=()):
        # a station that gave no QN gets the answer without one
        if packet.qn is None:
            head = [("ST", hj212.INTERACTION), ("CN", cn), ("PW", self.pw), ("MN", packet.mn)]
            return hj212.packet(head + [("Flag", hj212.flag(self.version))], items, self.cipher)
        return self._packet(packet.qn, hj212.INTERACTION, cn, items)


class Logger(_Station):
    """A data logger. `lost` lists the QNs of uploads nobody acknowledged, the caller takes them out and keeps the data.

    mn, pw, st: its number, password and system type; version "2017" or "2025"; cipher: see hj212.packet.
    """

    def __init__(self, mn, pw, st, version="2017", timeout_ms=10000, resends=3, zone=_ZONE, cipher=None):
        super().__init__(mn, pw, st, version, timeout_ms, resends, zone, cipher)
        self.lost = []
        self._queue = []  # [qn, bytes, whether an acknowledgement is waited for]
        self._sent_ms = None
        self._tries = 0

    def upload(self, cn, items, now_ms, ack=True, again=False, room=600):
        """Queues data, split where it is too long. items: the first is [("DataTime", …)]; again: make-up data (RF=1).

        List of the QNs. Each part has its own QN and its own acknowledgement.
        """
        parts = split(items, room)
        numbers = []
        for i, part in enumerate(parts):
            more = [("PNUM", len(parts)), ("PNO", i + 1)] if len(parts) > 1 else []
            if again and self.version == "2025":
                more.append(("RF", "1"))
            qn = self._number(now_ms)
            self._queue.append([qn, self._packet(qn, self.st, cn, part, ack, more), ack])
            numbers.append(qn)
        return numbers

    @property
    def waiting(self):
        """Number of packets not sent or not acknowledged yet."""
        return len(self._queue)

    def poll(self, now_ms):
        """List of the packets to send now: the next ones, or one again whose time is over."""
        sent = []
        while self._queue:
            qn, data, ack = self._queue[0]
            if self._sent_ms is not None:
                if now_ms - self._sent_ms < self.timeout_ms:
                    break
                if self._tries > self.resends:
                    self.lost.append(qn)
                    self._next()
                    continue
            sent.append(data)
            if not ack:
                self._next()
                continue
            self._sent_ms = now_ms
            self._tries += 1
            break
        return sent

    def _next(self):
        self._queue.pop(0)
        self._sent_ms, self._tries = None, 0

    def receive(self, packet, now_ms):
        """What a packet was: ACKNOWLEDGED, REQUEST (answer it with accept, then finish), OTHER, FOREIGN.

        CN 1000 sets time-out and resends at once.
        """
        if packet.mn != self.mn:
            return FOREIGN
        if packet.cn in (hj212.DATA_ACK, hj212.NOTIFY_ACK):
            if self._sent_ms is None or packet.qn != self._queue[0][0]:
                return OTHER  # late: it was acknowledged or given up before
            self._next()
            return ACKNOWLEDGED
        if packet.cn[0] == "9":
            return OTHER
        if packet.cn == "1000" and not self.fault(packet):
            self.timeout_ms = _setting(packet, "OverTime", 1, 99999, self.timeout_ms // 1000) * 1000
            self.resends = _setting(packet, "ReCount", 0, 99, self.resends)
        return REQUEST

    def fault(self, packet):
        """QnRtn of a request that must be refused (see hj212.QN_RETURNS), 0 if nothing is wrong with it."""
        if packet.qn is None:
            return 7
        if packet.pw != self.pw:
            return 3
        if packet.st != self.st:
            return 5
        return 0 if packet.cn in hj212.COMMANDS else 8

    def accept(self, request, code=None):
        """Bytes of 9011: code, or `fault(request)`, or 1 (ready to execute)."""
        code = code or self.fault(request) or 1
        return self._reply(request, hj212.REQUEST_ACK, [[("QnRtn", code)]])

    def finish(self, request, code=1):
        """Bytes of 9012: code of hj212.EXE_RETURNS."""
        return self._reply(request, hj212.RESULT, [[("ExeRtn", code)]])


def _setting(packet, name, least, most, before):
    text = packet.get(name)
    if text is None or len(text) > 5 or not all(c in "0123456789" for c in text) or not text:
        return before
    return min(max(int(text), least), most)


class Upper(_Station):
    """An upper computer of one station. At most one request is open: `state` says how it stands, `code` what came back.

    remembered: of how many packets the keys are kept, to tell a second copy.
    """

    def __init__(self, mn, pw, st, version="2017", timeout_ms=10000, resends=3, zone=_ZONE, cipher=None, remembered=64):
        super().__init__(mn, pw, st, version, timeout_ms, resends, zone, cipher)
        self.state = None
        self.code = None
        self._keys = []
        self._remembered = remembered
        self._open = None  # (qn, bytes)
        self._sent_ms = 0
        self._tries = 0

    def receive(self, packet, now_ms):
        """What a packet was: DATA (new), AGAIN (a copy of acknowledged data), ANSWER, RESULT, OTHER, FOREIGN."""
        if packet.mn != self.mn:
            return FOREIGN
        if packet.cn in UPLOADS:
            if self.state == WORKING:
                self._sent_ms = now_ms
            return AGAIN if packet.key in self._keys else DATA
        asked = self._open is not None and packet.qn == self._open[0]
        if packet.cn == hj212.REQUEST_ACK and asked and self.state == ASKED:
            self.code = _setting(packet, "QnRtn", 0, 999, 100)
            self.state, self._sent_ms = (WORKING, now_ms) if self.code == 1 else (REFUSED, now_ms)
            return ANSWER
        if packet.cn == hj212.RESULT and asked and self.state in (ASKED, WORKING):
            self.code = _setting(packet, "ExeRtn", 0, 999, 2)
            self.state = DONE if self.code == 1 else FAILED
            return RESULT
        return OTHER

    def acknowledge(self, packet):
        """Bytes of 9014 for data that is safe now; the packet's key is remembered."""
        key = packet.key
        if key not in self._keys:
            self._keys = self._keys[1 - self._remembered :] if len(self._keys) >= self._remembered else self._keys
            self._keys.append(key)
        return self._reply(packet, hj212.DATA_ACK)

    def ask(self, cn, items, now_ms):
        """Opens a request; bytes to send. FrameError while another one is open."""
        if self.state in (ASKED, WORKING):
            raise FrameError("a request is open", "wait until its state is done, refused, failed or timed out")
        qn = self._number(now_ms)
        self._open = (qn, self._packet(qn, self.st, cn, items, True))
        self.state, self.code, self._sent_ms, self._tries = ASKED, None, now_ms, 1
        return self._open[1]

    def ask_history(self, cn, begin_ms, end_ms, now_ms):
        """Opens a request for data of 2031, 2041, 2051 or 2061 from begin to end (by the start of their windows)."""
        if cn not in ("2031", "2041", "2051", "2061") or begin_ms > end_ms:
            raise FrameError("no history of CN %s from %d to %d" % (cn, begin_ms, end_ms), "CN 2031 2041 2051 2061")
        times = [[("BeginTime", moment(begin_ms, self.zone))], [("EndTime", moment(end_ms, self.zone))]]
        return self.ask(cn, times, now_ms)

    def set_time(self, now_ms):
        """Opens a request that sets the station's clock."""
        return self.ask("1012", [[("SystemTime", moment(now_ms, self.zone))]], now_ms)

    def poll(self, now_ms):
        """List of the packets to send now: the request again if nobody answered it in time."""
        if self.state not in (ASKED, WORKING) or now_ms - self._sent_ms < self.timeout_ms:
            return []
        if self.state == WORKING or self._tries > self.resends:
            self.state = TIMED_OUT
            return []
        self._tries += 1
        self._sent_ms = now_ms
        return [self._open[1]]


class Joiner:
    """Puts packets that were split together again, in any order of arrival.

    Parts belong together by MN, CN, DataTime and PNUM. Of one MN and CN one whole is collected at a time: a part of the
    next one gives the last up (`incomplete` counts). At most `wholes` are collected at once, of at most 100 parts.
    """

    def __init__(self, wholes=16):
        self._parts = []  # [(mn, cn), (DataTime, PNUM), {pno: packet}]
        self._wholes = wholes
        self.incomplete = 0

    def feed(self, packet):
        """List of items of the whole that this packet completes (of one that was not split, its own), else None."""
        if not packet.split:
            return packet.items
        if packet.pno is None or not 1 <= packet.pno <= packet.pnum <= 100:
            raise FrameError("part %s of %d" % (packet.pno, packet.pnum), "PNO is 1 to PNUM, PNUM at most 100")
        place, whole = (packet.mn, packet.cn), (packet.get("DataTime"), packet.pnum)
        entry = None
        for other in self._parts:
            if other[0] == place:
                entry = other
        if entry is not None and entry[1] != whole:
            self._parts.remove(entry)
            self.incomplete += 1
            entry = None
        if entry is None:
            if len(self._parts) >= self._wholes:
                self._parts.pop(0)
                self.incomplete += 1
            entry = [place, whole, {}]
            self._parts.append(entry)
        entry[2][packet.pno] = packet
        if len(entry[2]) < packet.pnum:
            return None
        self._parts.remove(entry)
        items = []
        for pno in range(1, packet.pnum + 1):
            items += [item for item in entry[2][pno].items if item not in items or item[0][0] != "DataTime"]
        return items
