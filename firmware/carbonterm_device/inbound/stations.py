"""The upper computer of HJ 212 data loggers over TCP: takes their uploads, acknowledges each when it is durable.

A file in the data folder names the stations, one a line: MN, password and, where data areas are encrypted (2025), the
SM4 key as 32 hex digits; "-" for a password that is not looked at. What a station with a key sends in clear is refused.
Every part of a split upload is an entry of its own, acknowledged by itself, as its sender waits for it; a part without
DataTime has that of the part before it. Make-up data (RF=1, or history under another QN) that the log has already are
left out value by value.
"""

import asyncio
import binascii

from carbonterm.errors import CarbonError, FrameError
from carbonterm.field import hj212, said
from carbonterm.field.hj212_roles import AGAIN, DATA, UPLOADS, Upper
from carbonterm.gm.sm4 import Cipher
from carbonterm_device.inbound.inbox import LOST, Inbox
from carbonterm_device.wires import Outlet, hang_up

CONNECTIONS = 16
IDLE_S = 900


class _Decoder(hj212.Decoder):
    """Decrypts each station's packets with its own key: the head, with the MN, is in clear."""

    def __init__(self, stations):
        super().__init__(True)
        self._stations = stations

    def _frame(self, raw):
        begin = raw.find(b"MN=") + 3
        end = raw.find(b";", begin)
        station = self._stations.get(bytes(raw[begin:end]))
        try:
            return hj212.whole(raw, station and station.cipher)
        except FrameError as error:
            self.errors += 1
            self.refused = error
            return None


class _Station:
    """One logger: its role and what is remembered of its uploads."""

    def __init__(self, mn, password, key, version):
        self.cipher = Cipher(key) if key else None
        self.password = password
        self.upper = Upper(mn, password or "", None, version, cipher=self.cipher)
        self.parts = None  # ((CN, PNUM), DataTime) of the last part of a split upload


class Stations(Inbox):
    def __init__(self, index, site, terminal, clock, port, storage):
        super().__init__(index, site, terminal, clock, port, storage)
        self._stations = {}  # MN in bytes: _Station
        self._connections = 0

    async def serve(self):
        self._stations = self._read(self.secret(self.bus.inbound[0]))
        server = await asyncio.start_server(self._connection, self.bus.address, self.bus.port)
        self.reason, self.connected = "", True
        try:
            while True:
                await self.port.sleep_ms(60000)
        finally:
            server.close()

    def _read(self, data):
        found = {}
        for line in data.decode().split("\n"):
            words = line.split()
            if not words or words[0][0] == "#":
                continue
            try:
                key = binascii.unhexlify(words[2]) if len(words) > 2 else None
                if len(words) not in (2, 3) or (key is not None and len(key) != 16):
                    raise ValueError
            except ValueError:
                hint = "write MN, password (or -) and, where it encrypts, its SM4 key: 32 hex digits"
                raise CarbonError("a line of %s is no station" % self.bus.inbound[0], hint)
            password = None if words[1] == "-" else words[1]
            found[words[0].encode()] = _Station(words[0], password, key, self.bus.inbound[1])
        return found

    async def _connection(self, reader, writer):
        self._connections += 1
        outlet, sender = Outlet(self.port), None
        try:
            if self._connections <= CONNECTIONS:
                sender = asyncio.create_task(self._send(writer, outlet))
                await self._listen(reader, outlet)
        except (OSError, EOFError, asyncio.TimeoutError):
            pass  # a logger comes and goes
        finally:
            self._connections -= 1
            if sender is not None:
                sender.cancel()
            await hang_up(writer)

    async def _send(self, writer, outlet):
        try:
            while True:
                data = await outlet.take(60000)
                if data:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass  # the reader notices as well

    async def _listen(self, reader, outlet):
        decoder = _Decoder(self._stations)
        while True:
            data = await asyncio.wait_for(reader.read(1024), IDLE_S)
            if not data:
                return
            errors = decoder.errors
            for packet in decoder.feed(data):
                try:
                    self._packet(packet, outlet)
                except FrameError as error:
                    self.counters.refused += 1
                    self.warn("upload refused", "%s: %s" % (packet.mn, error.what))
            self.counters.refused += decoder.errors - errors

    def _packet(self, packet, outlet):
        sender, station = self.senders.get(packet.mn), self._stations.get(packet.mn.encode())
        if sender is None or station is None:
            self.counters.foreign += 1
            self.warn("unknown station", "MN %s" % packet.mn)
            return
        if packet.cn not in UPLOADS:
            return
        if station.password is not None and packet.pw != station.password:
            raise FrameError("the password is wrong")
        if station.cipher and packet.items and packet.raw.find(hj212.SEALED) < 0:
            raise FrameError("the data area is in clear, and the station has a key")  # anybody could have written it
        if station.password is None:
            station.upper.pw = packet.pw or ""

        def done(word):
            if packet.wants_ack and word != LOST:
                outlet.put(station.upper.acknowledge(packet))

        kind = station.upper.receive(packet, self.clock.now_ms())
        if kind == AGAIN:
            self.counters.again += 1
            sender.heard = self.port.ticks_ms()
            done(AGAIN)
        elif kind == DATA:
            told = said.of_packet(packet.cn, self._items(packet, station), self.site.zone, sender.points)
            if told:
                self.take(sender, packet.raw, told, done, waits=packet.wants_ack)
            else:
                sender.heard = self.port.ticks_ms()
                done(DATA)  # nothing that the site document wants: it need not come again

    @staticmethod
    def _items(packet, station):
        """The packet's items, with the DataTime of the part before where this one has none."""
        when, place = packet.get("DataTime"), (packet.cn, packet.pnum)
        if packet.split:
            if when is None and station.parts is not None and station.parts[0] == place:
                return [[("DataTime", station.parts[1])]] + packet.items
            if when is not None:
                station.parts = place, when
        return packet.items
