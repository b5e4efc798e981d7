"""Runs on MicroPython: delivers a log that is there, as a terminal does it after an outage.

usage: micropython deliver.py FOLDER PORT CA.der PUBLIC MQTT MOST; MQTT: JSON of the way over a broker, or null; MOST:
entries of a batch, 0 for the usual. Prints JSON {"ms": from the first step to the last receipt,
"requests", "connections", "retries"}.
"""

import asyncio
import json
import sys
import time

from carbonterm.gm import sm2
from carbonterm.ledger.segment import Log
from carbonterm.uplink.outbox import SEND
from carbonterm_device.delivery import Delivery
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder


class Centre:
    name = "centre"
    host = "127.0.0.1"

    def __init__(self, number, ca, public, mqtt):
        self.mqtt = mqtt
        self.port = number
        self.ca = ca
        self.public = public


class Counted:
    """A link whose requests are counted."""

    def __init__(self, link):
        self._link = link
        self.peer, self.passed_on, self.close = link.peer, link.passed_on, link.close
        self.requests = 0

    @property
    def connections(self):
        return self._link.connections

    async def ask(self, epoch):
        self.requests += 1
        return await self._link.ask(epoch)

    async def send(self, batch):
        self.requests += 1
        return await self._link.send(batch)


async def main(folder, number, ca, public, mqtt, most):
    with open(ca, "rb") as file:
        centre = Centre(int(number), file.read(), bytes.fromhex(public), json.loads(mqtt))
    log = Log(Folder(folder), "T1", 0, sm2.Signer(bytes(31) + b"\x01"))
    delivery = Delivery(log, centre, port, closing=True, **({"max_entries": int(most)} if int(most) else {}))
    delivery._link = link = Counted(delivery._link)
    start = time.time_ns()
    await delivery.run()
    spent = (time.time_ns() - start) // 1000000
    if delivery.outbox.state != SEND or delivery.outbox.cursor != log.size:
        raise RuntimeError(delivery.outbox.error)
    print(json.dumps({"ms": spent, "requests": link.requests, "connections": link.connections,
                      "retries": delivery.outbox.retries}))  # fmt: skip


asyncio.run(main(*sys.argv[1:]))
