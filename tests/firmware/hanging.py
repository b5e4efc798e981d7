"""Runs on MicroPython: the App with a bus whose task is ended from outside, then with a driver that never comes back.

usage: micropython hanging.py FOLDER SITE; prints "cancelled stopped", "cancelled begun N" (how often the task has been
begun), the same with "hangs", and at the end "F901 BUS COUNT" of the error log.
"""

import asyncio
import sys

from carbonterm_device import acquisition
from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder

acquisition.PATIENCE_MS = 500  # a request that takes longer is none


async def never(request, row, timeout):
    while True:
        await port.sleep_ms(1000)


def row_of(app):
    rows = [row for row in app.monitor.tasks() if row["task"] == "lan"] if app.monitor else []
    return rows[0] if rows else None


async def until(app, condition):
    while row_of(app) is None or not condition(row_of(app)):
        await port.sleep_ms(20)


async def main():
    with open(sys.argv[2], "rb") as file:
        app = App(Folder(sys.argv[1]), file.read(), Clock(0))
    running = asyncio.create_task(app.run())
    await until(app, lambda row: row["state"] == "running")
    next(task for one, task in app.readers if one.name == "lan").cancel()
    await until(app, lambda row: row["state"] == "stopped")
    print("cancelled stopped")
    await until(app, lambda row: row["starts"] == 2 and row["state"] == "running")
    print("cancelled begun", row_of(app)["starts"])
    one = next(one for one, _ in app.readers if one.name == "lan")
    good, one.driver.ask = one.driver.ask, never
    one.bus.timeout_ms = 100
    await until(app, lambda row: row["state"] == "stopped")
    print("hangs stopped")
    one.driver.ask = good
    await until(app, lambda row: row["starts"] == 3 and row["state"] == "running")
    print("hangs begun", row_of(app)["starts"])
    for row in app.monitor.errors():
        if row["code"] == "F901":
            print(row["code"], row["where"], row["count"])
    app.stopping = True
    await running


asyncio.run(main())
