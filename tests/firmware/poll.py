"""A small master around the firmware's buses, for the tests: runs on MicroPython or CPython, as the terminal does.

Standard input (an argument of MicroPython has at most 255 bytes) is a JSON object: "buses": [["tcp", host, port] or
["rtu", path, baud, parity, stop]], "reads": per bus a list of [unit, function, address, count], "rounds" (null: until
killed), "timeout", "retries", "pause" between rounds (all in ms). Prints one JSON object per read as it ends, and one
with the buses' counters at the end. A task beside them counts its turns: an event loop that is blocked shows.
"""

import asyncio
import json
import sys

from carbonterm.errors import CarbonError
from carbonterm_device.bus import LinkDown, NoAnswer, Refused
from carbonterm_device.line import SerialLine
from carbonterm_device.network import TcpBus
from carbonterm_device.ports import port

NAMES = ((NoAnswer, "NoAnswer"), (Refused, "Refused"), (LinkDown, "LinkDown"), (CarbonError, "CarbonError"))
turns = 0


async def tick():
    global turns
    while True:
        await port.sleep_ms(5)
        turns += 1


def say(value):
    print(json.dumps(value))
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


async def poll(number, bus, reads, job):
    done = 0
    while job["rounds"] is None or done < job["rounds"]:
        for unit, function, address, count in reads:
            row = {"bus": number, "unit": unit, "function": function, "address": address, "count": count}
            start, before = port.ticks_ms(), turns
            for _ in range(1 + job["retries"]):
                try:
                    data, raw = await bus.read(unit, function, address, count, job["timeout"])
                    row.update({"data": data.hex(), "raw": raw.hex(), "error": None})
                    break
                except CarbonError as error:
                    name = next(name for kind, name in NAMES if isinstance(error, kind))
                    row.update({"error": name, "what": error.what, "hint": error.hint})
                    if name == "Refused":
                        break
            row.update({"ms": port.ticks_diff(port.ticks_ms(), start), "turns": turns - before})
            say(row)
        done += 1
        await port.sleep_ms(job["pause"])


async def main(job):
    ticker = asyncio.create_task(tick())
    buses = [TcpBus(*place[1:]) if place[0] == "tcp" else SerialLine(*place[1:]) for place in job["buses"]]
    await asyncio.gather(*[poll(i, bus, job["reads"][i], job) for i, bus in enumerate(buses)])
    ticker.cancel()
    names = ("requests", "replies", "timeouts", "errors", "exceptions", "dropped", "opened")
    say({"counters": [{name: getattr(bus.counters, name) for name in names} for bus in buses]})
    for bus in buses:
        bus.close()


asyncio.run(main(json.loads(sys.stdin.read())))
