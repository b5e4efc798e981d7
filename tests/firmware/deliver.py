"""Runs on MicroPython: appends to the log in FOLDER and delivers it, until it is killed or all is acknowledged.

usage: micropython deliver.py FOLDER HOST PORT CA.der PUBLIC SEED TOTAL [MQTT [PATIENCE]]; TOTAL 0: goes on for ever;
MQTT: JSON of the way over a broker, or null; PATIENCE: seconds for an answer. Prints "found N", "acked N" when the
centre has signed for N entries, "error TEXT" for each new trouble, "status JSON" at the end.
"""

import asyncio
import json
import sys

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm_device.delivery import Delivery
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from seeded import Random

TIME_MS = 1750000000000


class Centre:
    name = "centre"

    def __init__(self, host, number, ca, public, mqtt=None):
        self.mqtt = mqtt
        self.host = host
        self.port = number
        self.ca = ca
        self.public = public


async def append(log, delivery, total, random):
    while total == 0 or log.size < total:
        for _ in range(random.between(1, 3)):
            log.append(TIME_MS + log.next_seq * 1000, 3, entry.READINGS, [[[0, 0, 0, -2, log.next_seq]], None])
        log.commit()
        delivery.wake()
        await port.sleep_ms(random.between(0, 30))
    log.checkpoint()
    delivery.wake()


async def main(folder, host, number, ca, public, seed, total, mqtt="null", patience="3"):
    mqtt = json.loads(mqtt)
    with open(ca, "rb") as file:
        centre = Centre(host, int(number), file.read(), bytes.fromhex(public), mqtt)
    log = Log(Folder(folder), "T1", 0, sm2.Signer(bytes(31) + b"\x01"))
    print("found", log.size)
    delivery = Delivery(
        log, centre, port, timeout_s=int(patience), max_entries=20, max_bytes=4096, first_ms=10, longest_ms=100
    )  # fmt: skip
    tasks = [
        asyncio.create_task(delivery.run()),
        asyncio.create_task(append(log, delivery, int(total), Random(int(seed)))),
    ]
    acked, error = None, ""
    box = delivery.outbox
    while not (int(total) and log.size >= int(total) and delivery.idle()) and not delivery.status()["stopped"]:
        if box.cursor != acked:
            acked = box.cursor
            print("acked", acked)
        if box.error != error:
            error = box.error
            print("error " + error)
        await port.sleep_ms(1)
    print("status " + json.dumps(delivery.status()))
    for task in tasks:
        task.cancel()
    await port.sleep_ms(10)


asyncio.run(main(*sys.argv[1:]))
