"""Runs on MicroPython: the App with a bus whose task is ended from outside, then with a driver that never comes back.

usage: micropython hanging.py FOLDER SITE STATUS; prints "cancelled stopped", "cancelled begun N" (how often the task
has been begun), the same with "hangs", as its status file says, "patience MS" (how long the bus had when its driver was
asked), and at the end "F901 BUS COUNT" of the error log. Its ticks go on by a minute while the driver hangs, so that
nobody has to wait for it.
"""

import asyncio
import json
import sys

from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder

MINUTE_MS, LONG_MS = 60000, 29000  # a time-out that is long, and with the patience still within a minute
asked, ahead = [], [0]
real = port.ticks_ms
port.ticks_ms = lambda: port.ticks_add(real(), ahead[0])


def row_of(app):
    try:
        with open(sys.argv[3]) as file:
            rows = json.load(file)["tasks"]
    except (OSError, ValueError):
        return None
    rows = [row for row in rows if row["task"] == "lan"]
    return rows[0] if rows else None


def works(row):
    return row["state"] in ("running", "failed")  # nobody is at the other end


async def until(app, condition):
    while row_of(app) is None or not condition(row_of(app)):
        await port.sleep_ms(20)


async def main():
    with open(sys.argv[2], "rb") as file:
        app = App(Folder(sys.argv[1]), file.read(), Clock(0))
    running = asyncio.create_task(app.run(sys.argv[3]))
    await until(app, works)
    port.CANCELS_LATE = False  # else a task of a bus outlives whatever cancels it
    next(task for one, task in app.readers if one.name == "lan").cancel()
    await until(app, lambda row: row["state"] == "stopped")
    print("cancelled stopped")
    await until(app, lambda row: row["starts"] == 2 and works(row))
    print("cancelled begun", row_of(app)["starts"])
    one = next(one for one, _ in app.readers if one.name == "lan")

    async def never(request, row, timeout):
        asked.append(port.ticks_diff(one.alive_until, port.ticks_ms()))
        while True:
            await port.sleep_ms(1000)

    good, one.driver.ask = one.driver.ask, never
    one.bus.timeout_ms, one.bus.retries = LONG_MS, 9
    await until(app, lambda row: asked)
    ahead[0] = MINUTE_MS
    await until(app, lambda row: row["state"] == "stopped")
    print("hangs stopped")
    print("patience", asked[0])
    one.driver.ask = good
    await until(app, lambda row: row["starts"] == 3 and works(row))
    print("hangs begun", row_of(app)["starts"])
    for row in app.monitor.errors():
        if row["code"] == "F901":
            print(row["code"], row["where"], row["count"])
    app.stopping = True
    await running


asyncio.run(main())
