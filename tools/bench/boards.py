"""Boards: deploying to a virtual one, what an image weighs and keeps in RAM, flashing through a simulated boot loader.

Everything here is simulated but MicroPython, mpremote and esptool; a real line of 115200 baud takes its own time.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, flash, image, modules, virtual
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from tools.bench.measure import Unavailable, command

NAME, ROUNDS = "esp32-s3-n8r2", 5
UNCHANGED_S, MODULE_S, IMAGE, ROM, MPY, COLD_S = 2, 5, 160 << 10, 30 << 10, 60 << 10, 0.5
FLASH = 4 << 20
_SELDOM = "dlt645", "cjt188", "tcp", "certificate", "identifier"  # what most collectors of Modbus meters do without
IMAGES = (("Modbus on lines, a centre by HTTPS", (*_SELDOM, "mqtts", "sntp")),
          ("Modbus on lines, a centre by MQTT over TLS", (*_SELDOM, "https")),
          ("every kind of meter and centre", ()))  # fmt: skip
_HERE = Path(__file__).parent / "device" / "retained.py"


def run():
    """Rows of all five."""
    with tempfile.TemporaryDirectory() as folder:
        return [*deploying(Path(folder)), *weighing(Path(folder)), *running(), *flashing(Path(folder))]


def deploying(folder):
    image.build(NAME, folder / "image", arch=virtual.arch())
    other = _longer(folder / "image", folder / "other")
    taken = {"unchanged": [], "module": []}
    with VirtualBoard(boards.load(NAME), folder / "board") as board:
        _deploy(board, folder / "image")
        for turn in range(ROUNDS):
            taken["module"].append(_deploy(board, (other, folder / "image")[turn % 2]))
            taken["unchanged"].append(_deploy(board, (other, folder / "image")[turn % 2]))
    return [
        _row("deploy, nothing changed, virtual board", statistics.median(taken["unchanged"]), "s", UNCHANGED_S),
        _row("deploy, one module changed, virtual board", statistics.median(taken["module"]), "s", MODULE_S),
    ]


def _deploy(board, folder):
    """Seconds from opening the port to the reset."""
    begun = time.monotonic()
    with Remote(board.port, 30) as remote:
        deploy.deploy(remote, board.board, folder)
        remote.restart()
    return time.monotonic() - begun


def _longer(built, folder):
    """A copy of an image with one module of another length."""
    folder.mkdir()
    files = image.unpacked((built / image.ROMFS).read_bytes())
    files["carbonterm/uplink/message.mpy"] += bytes(40)
    data = image.romfs([image.Module(path, one) for path, one in files.items()])
    manifest = json.loads((built / image.MANIFEST).read_text())
    for name in (one["name"] for one in manifest["files"]):
        (folder / name).write_bytes(data if name == image.ROMFS else (built / name).read_bytes())
    for one in manifest["files"]:
        if one["name"] == image.ROMFS:
            one.update(size=len(data), sm3=image.digest(data))
    (folder / image.MANIFEST).write_bytes(image.canonical(manifest))
    return folder


def weighing(folder):
    rows = [_romfs(what, without) for what, without in IMAGES]
    for runtime, arch in (("micropython32", "x86"), ("micropython", "x64")):
        try:
            binary = command(runtime)[0][0]
        except Unavailable as reason:
            rows.append({"what": f"retained RAM, {runtime}", "figure": None, "unit": "B", "peer": None,
                         "peer_figure": None, "ratio": str(reason), "target": "", "ok": None})  # fmt: skip
            continue
        board = boards.load(NAME)
        board.mpy = {**board.mpy, "arch": arch}
        found = image.compiled(board)
        place = folder / arch
        for one in found:
            path = place / "lib" / one.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one.data)
        (place / "romfs").write_bytes(image.romfs(found))
        core = _core()
        rom, _ = _retained(binary, place / "romfs", core)
        mpy, cold_us = _retained(binary, place / "lib", core)
        if runtime == "micropython32":
            rows.append(_row("core of a running collector kept in RAM from ROMFS, 32 bit", rom, "B", ROM))
            rows.append(_row("the same as .mpy files, 32 bit", mpy, "B", MPY))
        else:
            rows.append(_row("cold import of the core as .mpy, 64 bit", cold_us / 1e6, "s", COLD_S))
    return rows


def _romfs(what, without):
    """A row: romfs.img of the image that `board build --site` makes of a site document without these parts."""
    data = image.romfs(image.compiled(boards.load(NAME), without))
    return _row("ROMFS of a collector: " + what, len(data), "B", IMAGE)


def _core():
    """Modules of the core that a collector of Modbus meters has loaded when it runs."""
    todo, found = ["carbonterm_device.boot", "carbonterm.field.modbus", "carbonterm.field.requests"], set()
    while todo:
        one = todo.pop()
        if one not in found and not one.startswith(modules.PORTS):
            found.add(one)
            todo += modules.at_once(one)
    return sorted(one for one in found if one.split(".")[0] == "carbonterm")


def _retained(binary, place, names):
    """(bytes, microseconds), the least of a few runs."""
    words = [binary, "-X", "heapsize=4M", str(_HERE), str(place), *names]
    runs = [subprocess.run(words, capture_output=True, text=True, timeout=60, check=True) for _ in range(3)]
    return min(tuple(int(word) for word in done.stdout.split()) for done in runs)


def running():
    """What the heap had in use, as the test of a collector in its heap prints it."""
    words = [sys.executable, "-m", "pytest", "-q", "-n0", "-s", "tests/firmware/test_collector.py"]
    done = subprocess.run(words, capture_output=True, text=True)
    found = re.findall(r"^\W*(micropython\w*) (\w+) heap (\d+) in use at most (\d+)", done.stdout, re.M)
    rows = [
        _row(f"heap in use by a running collector, {way}, {runtime}", int(used), "B", int(heap))
        for runtime, way, heap, used in found
    ]
    return [{**row, "ok": row["ok"] and done.returncode == 0} for row in rows]


def flashing(folder):
    """esptool over the simulated boot loader, which takes bytes as fast as the pty gives them."""
    program = Path(sys.executable).parent / "esp32-mock-bootloader"
    process = subprocess.Popen([program, "run", "--pty", "--chip", "esp32s3", "--timeout", "300"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        port = next(found[0] for line in process.stdout if (found := re.search(r"/dev/pts/\d+", line)))
        steps, begun = [], time.monotonic()
        what = [(0, os.urandom(FLASH))]
        flash.espressif(boards.load(NAME), port, what, step=lambda done, of: steps.append(done))
        taken = time.monotonic() - begun
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    found = _row("flash of 4 MiB of noise by esptool, boot loader simulated", taken, "s", FLASH * 10 / 460800)
    return [{**found, "target": f"<= {FLASH * 10 / 460800:.0f} s, as the line of 460800 baud; {len(steps)} steps told"}]


def _row(what, figure, unit, most):
    return {"what": what, "figure": round(figure, 3), "unit": unit, "peer": None, "peer_figure": None,
            "ratio": None, "target": f"<= {most} {unit}", "ok": figure <= most}  # fmt: skip


if __name__ == "__main__":
    for one in run():
        print(f"{one['what']}: {one['figure']} {one['unit']} ({one['target']}) {'ok' if one['ok'] else 'MISSED'}")
