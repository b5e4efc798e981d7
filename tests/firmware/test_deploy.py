"""`carbonterm board deploy` onto virtual boards: what differs is written, a cut run goes on, nothing makes a brick."""

import json
import random
import re
import shutil
import threading

import pytest
import serial

from carbonterm.gm import sm2
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, virtual
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.screen import Failure
from on_boards import vanish
from shell import carbonterm

NAME = "esp32-s3-n8r2"
MAKER = sm2.Signer(bytes(31) + b"\x05")
FILL = """
b = bytes(4096)
try:
    for i in range(400):
        with open('/big%d' % i, 'wb') as f:
            f.write(b)
except OSError:
    pass
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, MAKER, virtual.arch())
    return folder


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pico")
    image.build("rpi-pico2", folder, arch=virtual.arch())
    return folder


@pytest.fixture
def board(tmp_path):
    with VirtualBoard(boards.load(NAME), tmp_path / "board") as made:
        yield made


def changed(built, folder, name="carbonterm_board.mpy", more=b"\0" * 100):
    """A copy of the image in which one module is longer."""
    shutil.copytree(built, folder)
    files = image.unpacked((built / image.ROMFS).read_bytes())
    files[name] += more
    data = image.romfs([image.Module(path, one) for path, one in files.items()])
    (folder / image.ROMFS).write_bytes(data)
    manifest = json.loads((folder / image.MANIFEST).read_text())
    for row in manifest["files"]:
        if row["name"] == image.ROMFS:
            row.update(size=len(data), sm3=image.digest(data))
    raw = image.canonical(manifest)
    (folder / image.MANIFEST).write_bytes(raw)
    (folder / image.SIGNATURE).write_text(MAKER.public.hex() + "\n" + MAKER.sign(raw).hex() + "\n")
    return folder


def deployed(board, folder, **options):
    with Remote(board.port, 30) as remote:
        done = deploy.deploy(remote, board.board, folder, **options)
        remote.restart()
    return done


def runs(board):
    """Whether the firmware that was deployed begins: it asks to be provisioned."""
    board.wait(lambda b: b"carbonterm board provision" in b.said[-400:])


@pytest.mark.requirement("T-10.6.4-1", part="over a local port, signed, compared; simulated")
def test_only_what_differs(board, built, tmp_path):
    first = deployed(board, built, trust=MAKER.public)
    assert first["way"] == "romfs" and first["written"] == first["of"] > 30 and first["main"]
    runs(board)
    assert deployed(board, built) == {"way": "romfs", "written": 0, "of": first["of"], "bytes": 0, "staged": False,
                                      "main": False}
    other = changed(built, tmp_path / "other")
    again = deployed(board, other)
    assert 0 < again["written"] <= first["of"] + 1
    with Remote(board.port) as remote:
        assert remote.about["board"] == NAME and remote.about["simulated"]
        size = (other / image.ROMFS).stat().st_size
        room = board.board.partition("romfs")
        with open(board.folder / "flash.bin", "rb") as flash:
            flash.seek(room.offset)
            assert flash.read(size) == (other / image.ROMFS).read_bytes()


@pytest.mark.requirement("T-10.6.4-1", part="a cut leaves a prompt, the next run goes on; simulated")
def test_power_cut_at_any_write(board, built, tmp_path):
    seed = random.Random(5)
    other = changed(built, tmp_path / "other", "carbonterm/cbor.mpy")
    blocks = deployed(board, built)["of"]
    images, now = [built, other], 0
    for turn in range(5):
        board.cut(seed.randrange(2 * blocks), turn % 3)
        now, done = 1 - now, []
        ends = threading.Thread(target=vanish, args=(board, done))
        ends.start()
        try:
            done.append(deployed(board, images[now]))
        except Failure as failure:
            assert failure.code == 3 and "goes on where it was" in failure.hint
        ends.join()
        board.plug()
        board.power_on()
        (board.folder / "cut").unlink(missing_ok=True)
        with Remote(board.port) as remote:
            assert remote.value("1 + 1") == 2, "a prompt is always there"
        assert deployed(board, images[now])["written"] <= blocks + 1
        assert deployed(board, images[now])["written"] == 0
    runs(board)


def test_a_port_that_vanishes(board, built):
    port = board.port
    blocks = []

    def step(done, total):
        if done > total // 2 and not blocks:
            blocks.append(total)
            board.unplug()

    with pytest.raises(Failure) as said:
        deployed(board, built, step=step)
    assert said.value.code == 3 and port in said.value.what and "goes on" in said.value.hint
    board.plug()
    assert 0 < deployed(board, built)["written"] < blocks[0]
    runs(board)


@pytest.mark.parametrize("text", [
    "raise ValueError('no')", "import nowhere", "while True: pass", "import machine\nmachine.reset()",
    "import time\nwhile True:\n    time.sleep(1)\n    print('x' * 100)", "(",
])  # fmt: skip
def test_a_board_that_boots_into_a_mess(board, built, text):
    with Remote(board.port) as remote:
        remote.put("/main.py", text.encode())
        remote.restart()
    assert deployed(board, built)["main"]
    runs(board)


def test_files_where_there_is_no_romfs(board, built, tmp_path):
    first = deployed(board, built, files=True)
    assert first["way"] == "files" and first["written"] == first["of"]
    runs(board)
    assert deployed(board, built, files=True)["written"] == 0
    other = changed(built, tmp_path / "other")
    with Remote(board.port) as remote:
        remote.put("/lib/carbonterm/stale.mpy", b"old")
    with pytest.raises(Failure, match="modules of two versions") as said:
        deployed(board, other, files=True)
    assert "--in-place" in said.value.hint
    assert deployed(board, other, files=True, in_place=True)["written"] == 1
    with Remote(board.port) as remote:
        assert remote.get("/lib/carbonterm/stale.mpy") is None


def test_a_base_firmware_without_a_romfs(tmp_path, pico):
    """As MicroPython's own build for the RP2350 is: littlefs has all of the flash behind it."""
    base = boards.load("rpi-pico2")
    log, vfs = base.partition("log"), base.partition("vfs")
    assert log.end == vfs.offset
    base.partitions = [boards.Partition("vfs", log.offset, log.size + vfs.size)]
    with VirtualBoard(base, tmp_path / "b") as board:
        with pytest.raises(Failure, match="has no ROMFS, and 256 KiB of heap") as said:
            deployed(board, pico)
        assert "MICROPY_HW_ROMFS_BYTES" in said.value.hint
        base.memory["heap"] = 1 << 20
        board.power_off()
        board.power_on()
        assert deployed(board, pico)["way"] == "files"
        runs(board)
        with Remote(board.port) as remote:
            kind = remote.value("type(__import__('carbonterm_device.boot').boot.storage()).__name__")
        assert kind == "Folder", "a ring would lie in the file system"


def test_a_full_file_system(board, built):
    with Remote(board.port) as remote:
        remote.run(FILL)
    with pytest.raises(Failure, match="bytes left") as said:
        deployed(board, built, files=True)
    assert "factory-reset" in said.value.hint
    with Remote(board.port) as remote, pytest.raises(Failure, match="refused to write") as said:
        remote.put("/more", bytes(20000))
    assert "full" in said.value.hint
    with pytest.raises(Failure, match=r"refused to write /boot\.py") as said:
        deployed(board, built)
    assert "full" in said.value.hint
    with Remote(board.port) as remote:
        remote.run("import os\nfor i in range(9):\n os.remove('/big%d' % i)")
    assert deployed(board, built)["way"] == "romfs"  # which has a partition of its own
    runs(board)


def test_images_that_do_not_fit(board, built, pico, tmp_path):
    shutil.copytree(built, tmp_path / "real", ignore=shutil.ignore_patterns(image.SIGNATURE))
    manifest = json.loads((built / image.MANIFEST).read_text())
    about = {**manifest, "mpy": {**manifest["mpy"], "arch": boards.load(NAME).mpy["arch"]}}
    (tmp_path / "real" / image.MANIFEST).write_bytes(image.canonical(about))
    with pytest.raises(Failure, match="machine code is for xtensawin"):
        deployed(board, tmp_path / "real")
    with pytest.raises(Failure, match="for rpi-pico2"):
        deployed(board, pico)
    with Remote(board.port) as remote, pytest.raises(Failure, match="chip is simulated esp32s3"):
        deploy.deploy(remote, boards.load("rpi-pico2"), pico)
    real = {"board": None, "machine": "ESP32S3", "version": "1.29.0", "mpy": "6.3", "arch": "x64"}
    deploy.fits(manifest, real, "esp32s3")
    for key, value, what in (("micropython", "9.9", "image wants 9.9"), ("mpy", {"version": "7.0", "arch": ""}, "mpy")):
        with pytest.raises(Failure, match=what):
            deploy.fits({**manifest, key: value}, real, "esp32s3")
    shutil.copytree(built, tmp_path / "bad")
    data = bytearray((built / image.ROMFS).read_bytes())
    data[5000] ^= 1
    (tmp_path / "bad" / image.ROMFS).write_bytes(data)
    with pytest.raises(Failure, match="digest differs"):
        deployed(board, tmp_path / "bad")
    with pytest.raises(Failure, match="not by the key"):
        deployed(board, built, trust=sm2.Signer(bytes(31) + b"\x06").public)
    deployed(board, built)
    with pytest.raises(Failure, match="machine code"):
        deployed(board, tmp_path / "real")
    assert deployed(board, built)["written"] == 0


def test_ports_that_cannot_be_opened(board, built):
    arguments = "board", "deploy", NAME, "--image", str(built)
    code, out, _ = carbonterm(*arguments, "--port", "/dev/nowhere")
    assert code == 3 and "is not there" in out and "data wires" in out
    with serial.Serial(board.port, exclusive=True):
        code, out, _ = carbonterm(*arguments, "--port", board.port)
        assert code == 3 and "in use" in out
    assert carbonterm(*arguments)[0] == 2
    assert carbonterm("board", "deploy", "linux-gateway", "--image", str(built), "--port", "x")[0] == 2


def test_several_boards_at_once(board, built, tmp_path):
    with VirtualBoard(boards.load(NAME), tmp_path / "second") as second:
        code, out, _ = carbonterm("board", "deploy", NAME, "--image", str(built), "--port", board.port,
                                  "--port", second.port, "--port", "/dev/nowhere", "--json")  # fmt: skip
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        assert code == 3 and [row.get("way") for row in rows] == ["romfs", "romfs", None]
        assert all(row["simulated"] for row in rows[:2]) and rows[2]["hint"]
        runs(board)
        runs(second)


def test_the_command_runs_a_board_of_its_own(built, tmp_path):
    arguments = "board", "deploy", NAME, "--image", str(built), "--virtual", str(tmp_path / "v"), "--json"
    first, again = (json.loads(carbonterm(*arguments)[1].splitlines()[-1]) for _ in range(2))
    assert first["written"] > 30 and again["written"] == 0 and again["simulated"]
    code, out, _ = carbonterm(*arguments[:-1])
    assert code == 0 and re.search(r"simulated|模拟", out)
