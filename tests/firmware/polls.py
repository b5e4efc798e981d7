"""Runs on MicroPython: a stream without a descriptor, as TLS streams are, in a poll set while many others come."""

import asyncio
import io
import select

from carbonterm_device.ports import port


class NoDescriptor(io.IOBase):
    def ioctl(self, request, argument):
        return 0 if request == 3 else -1


async def main():
    port.reserve_polls(40)
    poller = asyncio.core._io_queue.poller
    kept = [NoDescriptor()]
    poller.register(kept[0], select.POLLIN)
    for number in range(39):
        kept += [open("/dev/null"), bytearray(100)]  # noqa: SIM115 - they are all open at once
        poller.register(kept[-2], select.POLLOUT)
        ready = [one for one in poller.ipoll(0)]
        assert len(ready) == number + 1, (number, ready)
    for one in kept[1::2]:
        poller.unregister(one)
        one.close()
    print("alive")


asyncio.run(main())
