"""An upgrade of a virtual board: staged, judged, copied; cut at every write it is the old firmware or the new one."""

import threading

import pytest

from carbonterm import cbor
from carbonterm.gm import sm2
from carbonterm_device import release as releases
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import image, onboard, staged, virtual
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.screen import Failure
from on_boards import MAKER, NAME, deployed, signed, vanish

OTHER = sm2.Signer(bytes(31) + b"\x06")
BLOCK = 4096
FILL = """
b = bytes(4096)
try:
    for i in range(1000):
        with open('/big%d' % i, 'wb') as f:
            f.write(b)
except OSError:
    pass
import os
os.remove('/big0')
os.remove('/big1')
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    image.build(NAME, folder, MAKER, virtual.arch())
    return folder


@pytest.fixture(scope="module")
def newer(built, tmp_path_factory):
    """An image of another version, whose ROMFS differs in few blocks: its stamp, and a byte of a text near its end."""
    return signed(built, tmp_path_factory.mktemp("newer") / "i", MAKER)


@pytest.fixture
def board(tmp_path, built):
    with VirtualBoard(boards.load(NAME), tmp_path / "board") as made:
        assert not deployed(made, built, trust=MAKER.public)["staged"], "there was nothing to lose"
        runs(made)
        yield made


def runs(board):
    """Waits for the firmware to begin: it asks to be provisioned."""
    board.wait(lambda b: b"no site document" in b.said, 120)


def stamp(board):
    with Remote(board.port, 30) as remote:
        return remote.about["carbonterm"]


def todo(old, new):
    one, other = ((folder / image.ROMFS).read_bytes() for folder in (old, new))
    return [i for i in range((len(other) + BLOCK - 1) // BLOCK)
            if one[i * BLOCK : (i + 1) * BLOCK] != other[i * BLOCK : (i + 1) * BLOCK]]  # fmt: skip


def package(old, new):
    return staged.package(new, (new / image.ROMFS).read_bytes(), BLOCK, todo(old, new))


def put(board, data):
    """A staged upgrade as whoever may write the board's files leaves it there, and a start."""
    with Remote(board.port, 30) as remote:
        remote.put(onboard.STAGED, data)
        del board.said[:]
        remote.restart()


def content(board):
    """(bytes of the ROMFS's partition, release) on the board."""
    room = board.board.partition("romfs")
    with Remote(board.port, 30) as remote:
        raw = remote.get(onboard.RELEASE)
    with open(board.folder / "flash.bin", "rb") as flash:
        flash.seek(room.offset)
        return flash.read(room.size), cbor.decode(raw)


@pytest.mark.requirement("T-10.6.4-1", part="a signed image over a local port, judged by the board; simulated")
def test_an_upgrade_is_staged(board, built, newer):
    done = deployed(board, newer)
    assert done["staged"] and done["written"] == len(todo(built, newer)) < 6
    runs(board)
    new = (newer / image.ROMFS).read_bytes()
    found, release = content(board)
    assert found[: len(new)] == new and stamp(board).startswith("9")
    assert release == staged.release(newer) and release[2] == MAKER.public
    assert deployed(board, newer)["written"] == 0
    assert deployed(board, built)["staged"], "and back"
    with Remote(board.port, 30) as remote:
        names = remote.value("os.listdir('/')")
    assert sorted(names) == ["boot.py", "main.py", "maker.pub", "release", "rom"]


@pytest.mark.requirement("T-10.6.4-1", part="power cut at every write of judging and copying; simulated")
def test_power_cut_at_every_write_of_a_start(board, built, newer):
    """From a flash with a staged upgrade: whatever write the power fails in, old or new firmware runs next."""
    assert stamp(board)[0] != "9"
    with Remote(board.port, 30) as remote:
        remote.put(onboard.STAGED, package(built, newer))
    board.power_off()
    flash = board.folder / "flash.bin"
    before, ends = flash.read_bytes(), []
    for after in range(400):
        board.power_off()
        flash.write_bytes(before)
        del board.said[:]
        board.cut(after, after % 3)
        board.power_on()
        board.wait(lambda b: not b.powered or b"no site document" in b.said, 120)
        done = board.powered
        (board.folder / "cut").unlink(missing_ok=True)
        if not done:
            del board.said[:]
            board.power_on()
            runs(board)
        data, (version, _, key) = content(board)
        new = (newer / image.ROMFS).read_bytes()
        ends.append(data[: len(new)] == new)
        assert ends[-1] == (version[0] == "9"), "what the board says it is, it is"
        assert ends[-1] or data[: len(new)] == (built / image.ROMFS).read_bytes()
        assert key == MAKER.public
        if done:
            break
    print(f"{after} writes, new after {sum(ends)}")
    assert done and ends[-1] and after >= 8


@pytest.mark.requirement("T-10.6.4-1", part="power cut while an upgrade is staged; simulated")
@pytest.mark.parametrize("first", range(3))
def test_power_cut_while_it_is_staged(board, built, newer, first):
    for after in range(first, 60, 17):
        board.cut(after, after % 3)
        done = []
        ends = threading.Thread(target=vanish, args=(board, done))
        ends.start()
        try:
            done.append(deployed(board, newer))
        except Failure as failure:
            assert failure.code == 3 and "goes on where it was" in failure.hint
            done.append(None)
        ends.join()
        board.plug()
        (board.folder / "cut").unlink(missing_ok=True)
        del board.said[:]
        board.power_off()
        board.power_on()
        runs(board)
        deployed(board, newer)
        runs(board)
        assert stamp(board)[0] == "9"
        deployed(board, built)
        runs(board)


def test_a_run_that_was_cut_goes_on(board, built, newer):
    data = package(built, newer)
    with Remote(board.port, 30) as remote:
        remote.put(onboard.STAGED + ".new", data[:5000])
        sent = []
        staged.bring(remote, data, lambda done, total: sent.append(done))
        assert sent[0] == 5000 + 4 * 4096 or sent == [len(data)]
    with Remote(board.port, 30) as remote:
        remote.put(onboard.STAGED + ".new", b"x" * 5000)
        staged.bring(remote, package(newer, built), lambda done, total: None)
    assert stamp(board)[0] != "9"


@pytest.mark.requirement("T-10.6.4-1", part="a wrong signature is refused by the board itself; simulated")
def test_what_a_board_refuses(board, built, newer, tmp_path):
    """What whoever has its files may leave there: the firmware stays, and says why."""
    good = package(built, newer)
    length = int.from_bytes(good[8:12], "big")
    digit = 24 + length + 140
    parts = [8 * i + j for i in todo(built, newer) for j in range(8)]  # each would erase its whole block
    bare = signed(built, tmp_path / "bare", MAKER, ["files"])
    wrong = {
        "another key": package(built, signed(built, tmp_path / "other", OTHER)),
        "not signed": package(built, signed(built, tmp_path / "nobody", None)),
        "does not fit its manifest": good[:60] + bytes([good[60] ^ 1]) + good[61:],
        "signature": good[:digit] + (b"1" if good[digit : digit + 1] == b"0" else b"0") + good[digit + 1 :],
        "would not be the one": good[:-2000] + bytes([good[-2000] ^ 1]) + good[-1999:],
        "are not those of its image": good[:-1],
        "are not those of its image ": staged.package(newer, (newer / image.ROMFS).read_bytes(), BLOCK // 8, parts),
        "files": package(built, bare),
        "no upgrade": b"CTUPG2" + good[6:],
        "": b"",
    }
    old = (built / image.ROMFS).read_bytes()
    for why, data in wrong.items():
        put(board, data)
        runs(board)
        assert b"the upgrade is refused" in board.said, why
        with Remote(board.port, 30) as remote:
            assert why.strip() in remote.get("/refused.txt").decode()
            assert remote.get(onboard.STAGED) is None and remote.get(onboard.JUDGED) is None
        assert content(board)[0][: len(old)] == old
    with pytest.raises(Failure, match="the board takes those of") as said:
        deployed(board, tmp_path / "other")
    assert "--key" in said.value.hint
    put(board, good)
    board.wait(lambda b: b"no site document" in b.said, 120)
    assert stamp(board)[0] == "9"


def test_no_room_to_stage(board, built, newer):
    with Remote(board.port, 30) as remote:
        remote.run(FILL, "to fill its file system")
    with pytest.raises(Failure, match="bytes left, the upgrade wants") as said:
        deployed(board, newer)
    assert "--in-place" in said.value.hint
    assert stamp(board)[0] != "9"
    assert not deployed(board, newer, in_place=True)["staged"]


def test_names_are_the_same_on_both_sides():
    text = (releases.__file__).replace("release.py", "upgrade.py")
    with open(text) as file:
        found = file.read()
    for name in ("STAGED", "JUDGED", "NEXT"):
        assert f'"{getattr(onboard, name)}"' in found
    assert f'MAKER = "{staged.MAKER}"' in found and f"HEAD = {onboard.HEAD}" in found
