"""Virtual boards: real MicroPython and real mpremote, around a chip that is simulated."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from carbonterm_host.boards import board as boards
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.screen import Failure

MPREMOTE = Path(sys.executable).parent / "mpremote"
pytestmark = pytest.mark.slow


def mpremote(board, *words, **options):
    """What the program mpremote prints."""
    done = subprocess.run([MPREMOTE, "connect", board.port, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == options.get("code", 0), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["esp32-s3-n8r2", "rpi-pico2", "nucleo-h743zi2"])
def test_mpremote_works_as_with_a_board(tmp_path, name):
    with VirtualBoard(boards.load(name), tmp_path / "b") as board:
        (tmp_path / "x.py").write_text("VALUE = 7\n" + "# much\n" * 2000)
        mpremote(board, "fs", "cp", str(tmp_path / "x.py"), ":x.py")
        assert "14010 x.py" in mpremote(board, "fs", "ls")
        assert mpremote(board, "exec", "import x; print(x.VALUE)").strip() == "7"
        assert "partition has size" in mpremote(board, "romfs", "query")
        room = board.board.partition("vfs").size
        assert str(room) in mpremote(board, "df")
        said = mpremote(board, "exec", "import machine; print(machine.unique_id().hex(), machine.reset_cause())")
        assert said.split()[0] == json.loads((tmp_path / "b/chip.json").read_text())["id"]
        free = int(mpremote(board, "exec", "import gc; print(gc.mem_free() + gc.mem_alloc())"))
        assert board.board.memory["heap"] <= free - board.board.partition("romfs").size
        assert mpremote(board, "run", str(tmp_path / "x.py")) == ""
    with VirtualBoard(boards.load(name), tmp_path / "b") as board:
        assert mpremote(board, "exec", "import x; print(x.VALUE)").strip() == "7"


def test_resets_power_and_clock(tmp_path):
    with VirtualBoard(boards.load("esp32-s3-n8r2"), tmp_path / "b") as board:
        assert mpremote(board, "exec", "import machine, time; print(machine.reset_cause(), time.gmtime()[0])") == (
            "5 2000\n"  # mpremote begins with a soft reset
        )
        mpremote(board, "rtc", "--set")
        text = "import machine, time\nprint('began', machine.reset_cause(), time.gmtime()[0])\n"
        (tmp_path / "main.py").write_text(text)
        mpremote(board, "fs", "cp", str(tmp_path / "main.py"), ":main.py")
        mpremote(board, "reset")
        board.wait(lambda b: b"began 5 " in b.said)
        year = mpremote(board, "exec", "import time; print(time.gmtime()[0])").strip()
        assert int(year) > 2020
        board.reset()
        board.wait(lambda b: b"began 2 " + year.encode() in b.said)
        board.power_off()
        board.power_on()
        board.wait(lambda b: b"began 1 2000" in b.said)


@pytest.mark.requirement("T-11.13-3", part="the watchdog ends a program that hangs; simulated chip")
def test_a_program_that_runs_is_stopped_and_one_that_hangs_bitten(tmp_path):
    with VirtualBoard(boards.load("esp32-s3-n8r2"), tmp_path / "b") as board:
        (tmp_path / "main.py").write_text("print('loops')\nwhile True:\n    pass\n")
        mpremote(board, "fs", "cp", str(tmp_path / "main.py"), ":main.py")
        mpremote(board, "reset")
        board.wait(lambda b: b"loops" in b.said)
        assert mpremote(board, "exec", "print(2)") == "2\n"
        (tmp_path / "main.py").write_text("import machine\nprint('cause', machine.reset_cause())\n"
                                          "machine.WDT(timeout=300)\nwhile True:\n    pass\n")  # fmt: skip
        mpremote(board, "fs", "cp", str(tmp_path / "main.py"), ":main.py")
        mpremote(board, "reset")
        board.wait(lambda b: b"cause 3" in b.said and 3 in b.resets)


@pytest.mark.requirement("T-11.13-3", part="files after power that failed in any write; simulated flash")
def test_power_that_fails_in_a_write(tmp_path):
    """Whatever write the power fails in, littlefs has the old file or the new one."""
    with VirtualBoard(boards.load("rpi-pico2"), tmp_path / "b") as board:
        mpremote(board, "exec", "with open('f', 'w') as f: f.write('old' * 2000)")
        for after in range(12):
            board.cut(after, after % 3)
            script = "with open('f.new', 'w') as f: f.write('new' * 2000)\nimport os; os.rename('f.new', 'f')"
            client = subprocess.Popen([MPREMOTE, "connect", board.port, "exec", script],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            board.wait(lambda b, client=client: not b.powered or client.poll() is not None)
            client.kill()  # it waits for ever for a board without power
            client.wait()
            if board.powered:
                break
            board.power_on()
            found = mpremote(board, "exec", "print(open('f').read())").strip()
            assert found in ("old" * 2000, "new" * 2000)
        assert after >= 2


def test_what_is_refused(tmp_path):
    with pytest.raises(Failure, match="is a computer"):
        VirtualBoard(boards.load("linux-gateway"), tmp_path)
    with pytest.raises(Failure, match="no UART"):
        VirtualBoard(boards.load("rpi-pico2"), tmp_path, {"com9": "/dev/null"})
    pico = boards.load("rpi-pico2")
    with VirtualBoard(pico, tmp_path / "b"), pytest.raises(Failure, match="another virtual board"):
        VirtualBoard(pico, tmp_path / "b").__enter__()
    with pytest.raises(Failure, match="of another board"):
        VirtualBoard(boards.load("esp32-s3-n8r2"), tmp_path / "b").__enter__()
