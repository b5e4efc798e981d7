"""A change of the site document that is given up in its middle leaves the terminal as it was."""

import asyncio

import pytest

from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.reconfigure import put_in_force
from carbonterm_device.storage import Folder
from carbonterm_host import site_yaml

SITE = """
terminal: T1
name: x
version: %d
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: %d, timeout: 60s, retries: 0}]
meters: [{name: gas, bus: lan, unit: 1, model: generic-gas-modbus}]
points: [{name: A, meter: gas, register: volume, every: %s}]
settings: {commit: 50ms}
"""


async def until(condition):
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it does not come")


async def cancelled(folder):
    asked = []

    async def mute(reader, writer):
        asked.append(await reader.read(100))
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    app = App(Folder(str(folder / "data")), site_yaml.compile_text(SITE % (1, port, "1s")).canonical(), Clock())
    app.site_file = str(folder / "site.bin")
    running = asyncio.create_task(app.run())
    await until(lambda: asked)
    other = site_yaml.compile_text(SITE % (2, port, "2s")).canonical()
    change = asyncio.create_task(put_in_force(app, other, "me", "x"))
    before = app.acquisitions[0]
    await until(lambda: before.finishing)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await until(lambda: len(asked) > 1)  # the bus is asked on
    (one,) = app.acquisitions
    assert one is not before and not one.finishing and app.site.version == app.terminal.site.version == 1
    assert [reader for reader, _ in app.readers] == [one] and not (folder / "site.bin").exists()
    server.close()
    running.cancel()
    for _, task in app.readers:
        task.cancel()


async def fewer_points(folder):
    more = "  - {name: B, meter: gas, register: volume, every: 9s}\nsettings"
    two = (SITE % (1, 9, "1s")).replace("points: [", "points:\n  - ").replace("s}]\nsettings", "s}\n" + more)
    app = App(Folder(str(folder / "data")), site_yaml.compile_text(two).canonical(), Clock())
    app.site_file = str(folder / "site.bin")
    running = asyncio.create_task(app.run(str(folder / "status.json")))
    await until(lambda: app.terminal.site is not None)
    app.terminal.above[1] = 9  # readings of B that are more than its months have been
    assert any("point B" in text for text in app.status()["alarms"])
    await put_in_force(app, site_yaml.compile_text(SITE % (2, 9, "1s")).canonical(), "me", "without B")
    assert app.terminal.site.version == 2 and not any("above twice" in text for text in app.status()["alarms"])
    app.terminal.above[9] = 9  # a mistake in what people see: it is told, and the terminal goes on
    await until(lambda: [text for text in app.errors if text.startswith("heartbeat: ")])
    size = app.terminal.log.size
    app.terminal.audit("me", "x", "y")
    await until(lambda: app.terminal.log.size > size)
    running.cancel()
    for _, task in app.readers:
        task.cancel()


async def memory_ends(folder):
    app = App(Folder(str(folder / "data")), site_yaml.compile_text(SITE % (1, 9, "1s")).canonical(), Clock())
    app.site_file = str(folder / "site.bin")
    running = asyncio.create_task(app.run())
    await until(lambda: app.terminal.site is not None)

    def none_left(*_):
        raise MemoryError

    app.task_of = none_left
    with pytest.raises(MemoryError):
        await put_in_force(app, site_yaml.compile_text(SITE % (2, 9, "2s")).canonical(), "me", "x")
    assert app.terminal.site.version == 2 and (folder / "site.bin").exists()
    assert await asyncio.wait_for(running, 120) == 0  # it ends well, and whoever started it starts it again


@pytest.mark.slow
def test_tasks_that_could_not_be_begun_end_the_terminal(tmp_path):
    asyncio.run(memory_ends(tmp_path))


@pytest.mark.slow
def test_whoever_asked_has_gone(tmp_path):
    asyncio.run(cancelled(tmp_path))


@pytest.mark.slow
def test_a_point_that_went_takes_its_alarms_along(tmp_path):
    asyncio.run(fewer_points(tmp_path))
