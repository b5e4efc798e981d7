"""The firmware on a microcontroller: main.py on its file system calls `main()` after each reset (docs/boards.md).

Watchdog, clock chip, network, storage, then the App with the site document. Crash-only: an error that reaches the top
is written down, the board resets, and the next start says in the log what it was. Ctrl-C leads to MicroPython's prompt.
"""

import asyncio
import gc
import io
import json
import os
import sys
import time

import carbonterm_board as about

from carbonterm.clock import UNSET
from carbonterm.errors import CarbonError
from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.ring import Ring, RingAndFolder
from carbonterm_device.storage import Folder

DATA, SITE, NETWORK, CRASH = "/data", "/site.bin", "/network.json", "/crash.txt"
TIMESERVER = "/timeserver"  # its name, where one is to be asked
RELEASE, REFUSED = "/release", "/refused.txt"  # of the firmware that was deployed, and why one was not taken
SEGMENT = 1 << 16  # bytes: a start reads one of them, and has to be done before the watchdog bites
FEED_MS = 1000
LONGEST_TURN_MS = 60000  # without a round of commits, after which the watchdog is left alone
AGAIN_S = 10  # before the reset behind a second crash in a row, so that a person gets in


def storage():
    """Where keys and log lie: segments in the ring of the partition "log", the rest in the folder DATA."""
    folder = Folder(DATA)
    try:
        device = port.block_device("log")
    except OSError:
        return folder
    return RingAndFolder(Ring(device, about.FLASH[1]), folder)


class _Board(App):
    """An App that says in its log how this start came about."""

    told = ()

    def _start(self):
        super()._start()
        if self.clock.state == UNSET and self.terminal.known_ms is not None:
            port.presume_clock(self.terminal.known_ms)
        for what, detail in self.told:
            self.terminal.audit("board", what, detail[:200])
        self.terminal.commit()
        _forget(CRASH)  # the log says it now
        _forget(REFUSED)
        log = self.terminal.log
        print("%s runs: epoch %d, %d entries · 运行中" % (log.terminal_id, log.epoch, log.size))

    def _console(self, line):
        """As the App's, and "status", which is answered with a line "status {…}"."""
        if line.strip() != b"status":
            super()._console(line)
            return
        gc.collect()
        try:
            found = json.dumps(self.status())
        except MemoryError:  # who asks asks again
            return
        print("status", found)


async def _live(app, dog):
    """Feeds the watchdog as long as the rounds of commit go on."""
    running = asyncio.create_task(app.run("status", True))
    asking = _ask_time(app)
    beat, since = None, port.ticks_ms()
    while not running.done():
        if port.status.get("time_ms") != beat:
            beat, since = port.status.get("time_ms"), port.ticks_ms()
        if dog and port.ticks_diff(port.ticks_ms(), since) < LONGEST_TURN_MS:
            dog.feed()
        await port.sleep_ms(FEED_MS)
    await running
    if asking:
        asking.cancel()


def _ask_time(app):
    """The task that asks a time server, where one is named; None."""
    name = (_text(TIMESERVER) or "").strip()
    if not name:
        return None

    def told(text):
        app.terminal.audit("clock", "time server", text)

    def wrong(text):
        app.err("F402", "time server", text)

    try:
        from carbonterm_device.timeserver import TimeServer  # an image may have none

        server = TimeServer(name, app.clock, port, told, wrong)
    except (ImportError, ValueError) as error:
        wrong("%s: %s" % (TIMESERVER, error))
        return None

    async def run():
        while app.terminal.site is None:  # the log's first entries come first
            await port.sleep_ms(FEED_MS)
        await server.run()

    return asyncio.create_task(app._guarded("time server", run))


def _text(path):
    """What a start before this one wrote down and no log tells of yet; None if there is nothing."""
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):  # there is none, or it is no text
        return None


def _forget(name):
    try:
        os.remove(name)
    except OSError:
        return


def _write_down(error):
    gc.collect()
    try:
        text = io.StringIO()
        sys.print_exception(error, text)
        text = text.getvalue()
        print(text)
        if text[-1000:] != _text(CRASH):  # a board that crashes day and night spares its flash
            with open(CRASH, "w") as file:
                file.write(text[-1000:])
    except (OSError, MemoryError):  # the reset that follows needs none of it
        print("it cannot be written down")


def _source():
    """The source of the time for Clock; the board's clock is set here where a clock chip knows the time."""
    try:
        return "rtc" if port.wake_clock() else None
    except (OSError, CarbonError) as error:
        print("the clock chip does not answer:", error)
        return None


def _join():
    """Starts the network by NETWORK ({"name", "secret"} of a Wi-Fi); the interface goes on by itself."""
    kind = dict(about.NETWORK)["kind"]
    if kind == "none":
        return
    found = {}
    try:
        with open(NETWORK) as file:
            found = json.load(file)
    except (OSError, ValueError):
        if kind == "wifi":
            print("no network: /network.json does not say which")
            return
    try:
        port.network_up(found.get("name"), found.get("secret"))
    except OSError as error:
        print("no network:", error)


def main():
    """Runs the terminal or collector; returns where there is nothing to run, or on Ctrl-C."""
    try:
        with open(SITE, "rb") as file:
            document = file.read()
    except OSError:
        print("no site document: carbonterm board provision · 未配置")
        return
    dog = port.watchdog()
    crash, refused = _text(CRASH), _text(REFUSED)
    try:
        port.tend_heap(16)
        app = _Board(storage(), document, Clock(0, _source()), SEGMENT)
        app.release_file = RELEASE
        app.told = [("start", "cause: %s; %s" % (port.reset_cause(), about.NAME))]
        if crash:
            app.told.append(("crash", crash.strip().split("\n")[-1]))
        if refused:
            app.told.append(("upgrade refused", refused))
        _join()
        asyncio.run(_live(app, dog))
    except KeyboardInterrupt:
        print("stopped")
    except Exception as error:
        _write_down(error)
        print("crashed")
        if crash:
            for _ in range(AGAIN_S):
                if dog:
                    dog.feed()
                time.sleep(1)
        port.reset()
