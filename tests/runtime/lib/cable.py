"""Two serial ports with a cable between them (CPython only)."""

import os
import select
import threading
import tty


class Cable(threading.Thread):
    """Two ptys back to back: what is written to one end's device comes out of the other's."""

    def __init__(self):
        super().__init__(daemon=True)
        self.masters, self.slaves = zip(*(os.openpty() for _ in range(2)), strict=True)
        for slave in self.slaves:
            tty.setraw(slave)
        self.ends = [os.ttyname(slave) for slave in self.slaves]
        self.stopping = os.pipe()

    def run(self):
        other = dict(zip(self.masters, reversed(self.masters), strict=True))
        while True:
            ready = select.select([*self.masters, self.stopping[0]], [], [])[0]
            if self.stopping[0] in ready:
                return
            for one in ready:
                os.write(other[one], os.read(one, 4096))

    def close(self):
        os.write(self.stopping[1], b"x")
        self.join()
        for end in (*self.masters, *self.slaves, *self.stopping):
            os.close(end)
