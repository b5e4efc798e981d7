"""The firmware on an emulated RP2040: the chip's own MicroPython, its flash and USB (tools/rp2040, docs/testing.md).

Nothing of MicroPython is simulated, so this is where 32 bits, code that lies in the flash, and mpremote meet for real.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chip
from carbonterm.gm import sm2
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image
from carbonterm_host.boards.remote import Remote
from carbonterm_host.screen import Failure
from shell import carbonterm

MAKER = sm2.Signer(bytes(31) + b"\x05")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# the same text on the chip and here; what it prints has to be the same
CORE = """
from carbonterm import cbor, number
from carbonterm.field import modbus
from carbonterm.gm import sm2, sm3
print(sm3.digest(b'abc').hex(), sm3.digest(bytes(range(256))).hex())
print(modbus.crc16(b'123456789'))
data = (1, -1, 1 << 40, b'bytes', '\\u78b3', None, True, (2, (3,)))
print(cbor.encode(data).hex(), cbor.decode(cbor.encode(data))[:4])
signer = sm2.Signer(bytes(31) + b'\\x05')
signature = signer.sign(b'abc')
print(signature.hex(), sm2.verify(signer.public, b'abc', signature), sm2.verify(signer.public, b'abd', signature))
"""


@pytest.fixture(scope="module")
def parts():
    try:
        return chip.parts()
    except chip.Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def built(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(str(chip.BOARD), folder, MAKER)
    return folder


@pytest.fixture(scope="module")
def deployed(parts, built, tmp_path_factory):
    """A flash onto which a signed image was deployed, over USB, after a run that was cut; that one is cut, too."""
    folder = tmp_path_factory.mktemp("deployed")
    board = boards.load(str(chip.BOARD))
    room, block, data = board.partition("romfs"), board.flash["block"], (built / image.ROMFS).read_bytes()
    there = data[block : 36 * block]  # USB is slow there: most of the image, but for the first block, which comes last
    flash = bytearray(b"\xff" * board.memory["flash"])
    flash[room.offset + block : room.offset + block + len(there)] = there
    (folder / "flash.bin").write_bytes(flash)
    with chip.Chip(parts, folder) as emulated, Remote(emulated.port, 8) as remote:
        assert remote.about["board"] is None and remote.about["arch"] == "armv6m" and not remote.about["simulated"]
        emulated.cut(20)
        with pytest.raises(Failure, match="stopped answering") as cut:
            deploy.deploy(remote, board, built, MAKER.public)
        assert cut.value.code == 3
        emulated.wait("cut")
    with chip.Chip(parts, folder) as emulated:
        with Remote(emulated.port, 8) as remote:
            done = deploy.deploy(remote, board, built, MAKER.public)
            assert done["way"] == "romfs" and 0 < done["written"] <= done["of"] - 35
            again = deploy.deploy(remote, board, built, MAKER.public)
            assert again["written"] == 0
            remote.restart()
        emulated.wait("boot watchdog")
    assert emulated.lies(room)[: len(data)] == data
    return folder


@pytest.fixture
def emulated(parts, deployed, tmp_path):
    shutil.copy(deployed / "flash.bin", tmp_path)
    with chip.Chip(parts, tmp_path) as made:
        yield made


def mpremote(emulated, tmp_path, text):
    """What the real mpremote prints of a program that it runs on the chip."""
    program = tmp_path / "program.py"
    program.write_text(text)
    command = [Path(sys.executable).parent / "mpremote", "connect", emulated.port, "run", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=chip.LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r\n", "\n")


def test_the_same_as_here(emulated, tmp_path):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(CORE, {})
    said = mpremote(emulated, tmp_path, CORE)
    print(said)
    assert said == out.getvalue()


KEPT = """
import gc, sys
def load(names):
    gc.collect()
    before = gc.mem_alloc()
    for name in names:
        __import__(name)
    gc.collect()
    return gc.mem_alloc() - before
print(load({core!r}), load({device!r}), gc.mem_free())
"""


def test_every_module_loads_there(emulated, built, tmp_path):
    """From the flash, where its code stays; bytes of the heap that remain taken, as test_collector.py has them too."""
    paths = [row["name"] for row in json.loads((built / image.MANIFEST).read_text())["modules"]]
    names = [one.removesuffix(".mpy").removesuffix("/__init__").replace("/", ".") for one in paths if ".mpy" in one]
    core = sorted(one for one in names if one.split(".")[0] == "carbonterm")
    device = sorted(one for one in names if one.split(".")[0] == "carbonterm_device")
    kept, more, free = map(int, mpremote(emulated, tmp_path, KEPT.format(core=core, device=device)).split())
    print(f"{len(core)} modules of the core keep {kept} B, {len(device)} of the device {more} B more; {free} B free")
    assert 0 < kept < 96 << 10 and free > 64 << 10  # all of them: no collector loads so many


def test_doctor(emulated):
    """Each row is what the chip itself says; the command is the one that people use."""
    code, out, err = carbonterm("board", "doctor", "--port", emulated.port)
    print(out, err)
    assert code == 1 and "1.25.0, mpy 6.3 armv6m, RP2040" in out and "carbonterm 0.1.0, rp2040" in out
