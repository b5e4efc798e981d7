"""A simulated HJ 212 station on TCP: connects to an upper computer, uploads, and connects again when it is cut off."""

import asyncio

from carbonterm_host.simulate.faults import Faults
from carbonterm_host.simulate.truth import Clock, Truth

TURN_S = 0.1
AGAIN_S = 1


class LoggerLine:
    """`cems` (carbonterm_host.simulate.cems) at `host`:`port`; speed of its time, faults as in Faults."""

    def __init__(self, cems, host, port, seed=1, speed=1, truth=None, faults=()):
        self.cems = cems
        self.host, self.port = host, port
        self.faults = Faults(seed, faults)
        self.truth = Truth(truth)
        self.clock = Clock(speed)
        self.connected = self.sent = 0

    async def run(self, stopped):
        """Until the asyncio Event `stopped` is set; then writes ground truth."""
        self.cems.begin(self.clock.now_ms(), self.faults, self.truth)
        while not stopped.is_set():
            try:
                reader, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await _until(stopped, AGAIN_S)
                continue
            self.connected += 1
            hears = asyncio.create_task(self._hear(reader, writer))
            try:
                while not stopped.is_set() and not hears.done():
                    for data in self.cems.poll(self.clock.now_ms()):
                        writer.write(data)
                        self.sent += 1
                    await writer.drain()
                    await _until(stopped, TURN_S)
            except OSError:
                pass
            hears.cancel()
            await asyncio.gather(hears, return_exceptions=True)
            writer.close()
        self.truth.write([{"final": True, "faults": self.faults.table()}])

    async def _hear(self, reader, writer):
        while data := await reader.read(4096):
            for answer in self.cems.hear(data, self.clock.now_ms()):
                writer.write(answer)


async def _until(event, seconds):
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass
