"""A maker's production line on virtual boards: identifiers, labels, the signed record; cut, repeated, refused."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from carbonterm.gm import sm2
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import production, record
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards.remote import Remote
from carbonterm_host.boards.virtual import VirtualBoard
from carbonterm_host.screen import Failure
from on_boards import NAME, site, vanish
from shell import carbonterm

SIGNER = sm2.Signer(bytes(31) + b"\x07")


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """(file of a key, its public half): the operator's, who is the maker here, too."""
    path = tmp_path_factory.mktemp("key") / "op.key"
    public = json.loads(carbonterm("key", "operator", "op.example", "-o", path, "--json")[1])["public_key"]
    return path, public


@pytest.fixture(scope="module")
def built(tmp_path_factory, operator):
    folder = tmp_path_factory.mktemp("image")
    code, out, err = carbonterm("board", "build", NAME, "-o", folder, "--key", operator[0], "--arch", "here", "--json")
    assert code == 0 and json.loads(out)["signed"] == operator[1], err
    return folder


def virtual_board(folder):
    return VirtualBoard(boards.load(NAME), folder)


def produce(built, operator, folder, ids, *more):
    """(exit code, rows) of the command; the last row sums up."""
    code, out, err = carbonterm("board", "produce", NAME, "--image", built, "--ids", ids, "--operator-key", operator[0],
                                "-o", folder, "--json", *more)  # fmt: skip
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.slow
def test_boards_are_made_at_once_and_known_again(tmp_path, built, operator):
    folder, printed = tmp_path / "line", tmp_path / "printed"
    printed.mkdir()
    with virtual_board(tmp_path / "a") as one, virtual_board(tmp_path / "b") as other:
        ports = "--port", one.port, "--port", other.port
        more = "--trust", operator[1], "--print", f"cp {{}} {printed}"
        code, rows, err = produce(built, operator, folder, "CT-08..CT-10", *ports, *more)
        assert code == 0, (rows, err)
        made = {row["port"]: row for row in rows[:2]}
        assert {row["terminal"] for row in made.values()} == {"CT-08", "CT-09"} and rows[2]["left"] == 1
        assert all(row["simulated"] and row["label_error"] is None and not row["again"] for row in made.values())
        assert sorted(os.listdir(printed)) == sorted(os.listdir(folder / "labels")) == ["CT-08.svg", "CT-09.svg"]
        for board in (one, other):
            with Remote(board.port, 30) as remote:
                provisioning.begin(remote)
                said = provisioning.state(remote)
                remote.restart()
            row = made[board.port]
            assert (said["terminal"], said["public_key"], said["id"]) == (
                row["terminal"], row["public_key"], row["chip"])  # fmt: skip
            assert said["registered"] and abs(said["clock_off_ms"]) < 60000
            label = (folder / "labels" / f"{row['terminal']}.svg").read_text()
            assert row["terminal"] in label and row["public_key"][:32] in label
        text = site(tmp_path).read_text()
        for name in ("CT-08", "CT-09"):
            (folder / f"{name}.yaml").write_text(text.replace("T1", name))
        code, rows, err = produce(built, operator, folder, "CT-08..09", *ports, "--sites", folder)
        assert code == 0 and all(row["again"] for row in rows[:2]), (rows, err)
        with Remote(one.port, 30) as remote:
            assert remote.get(provisioning.SITE) is not None
    code, out, _ = carbonterm("board", "produced", folder / "record.jsonl", "--public", operator[1], "--json")
    said = json.loads(out)
    assert code == 0 and said["ok"] and [row["number"] for row in said["boards"]] == [0, 1]
    code, out, _ = carbonterm("board", "produced", folder / "record.jsonl", "--public", operator[1])
    assert code == 0 and "CT-08" in out and "boards: 2" in out


@pytest.mark.slow
def test_a_board_that_was_cut_keeps_its_identifier_and_its_key(tmp_path, built, operator):
    folder, publics = tmp_path / "line", set()
    with virtual_board(tmp_path / "a") as board:
        assert produce(built, operator, folder, "CT-1..CT-9", "--port", board.port)[0] == 0
        for after in (1, 6, 11, 16):
            with Remote(board.port, 30) as remote:
                provisioning.begin(remote)
                provisioning.erase(remote)
                remote.restart()
            board.cut(after)
            done = []
            ends = threading.Thread(target=vanish, args=(board, done))
            ends.start()
            code, rows, _ = produce(built, operator, folder, "CT-1..CT-9", "--port", board.port)
            done.append(True)
            ends.join()
            cut = "error" in rows[0]
            assert (code != 0) == cut and (not cut or rows[0]["hint"])
            board.plug()
            board.power_on()
            (board.folder / "cut").unlink(missing_ok=True)
            code, rows, _ = produce(built, operator, folder, "CT-1..CT-9", "--port", board.port)
            assert code == 0 and rows[0]["terminal"] == "CT-1", rows
            publics.add(rows[0]["public_key"])
    assert len(publics) == 4, "a board that was erased has a new key"
    rows, wrong = record.check(folder / "record.jsonl", bytes.fromhex(operator[1]))
    assert not wrong and {row["terminal"] for row in rows} == {"CT-1"} and len({row["chip"] for row in rows}) == 1


@pytest.mark.slow
def test_boards_come_and_go(tmp_path, built, operator):
    folder, jig = tmp_path / "line", tmp_path / "jig"
    words = [sys.executable, "-m", "carbonterm_host", "board", "produce", NAME, "--image", built, "--ids", "A1..A9",
             "--operator-key", operator[0], "-o", folder, "--port", jig, "--watch", "--json"]  # fmt: skip
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
    try:
        names = []
        for one in ("a", "b"):
            with virtual_board(tmp_path / one) as board:
                jig.symlink_to(board.port)
                names.append(json.loads(process.stdout.readline())["terminal"])
                jig.unlink()
        assert names == ["A1", "A2"]
        process.send_signal(signal.SIGINT)
        assert json.loads(process.stdout.readline()) == {
            "made": 2, "failed": 0, "left": 7, "record": str(folder / "record.jsonl")}  # fmt: skip
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.slow
def test_boards_that_are_refused(tmp_path, built, operator):
    folder = tmp_path / "line"
    with virtual_board(tmp_path / "a") as board, virtual_board(tmp_path / "b") as other:
        assert produce(built, operator, folder, "CT-1..CT-1", "--port", board.port)[0] == 0
        code, rows, _ = produce(built, operator, folder, "CT-1..CT-1", "--port", other.port)
        assert code != 0 and "all identifiers are given" in rows[0]["error"] and "--ids" in rows[0]["hint"]
        code, rows, _ = produce(built, operator, tmp_path / "next", "CT-2..CT-3", "--port", board.port)
        assert code != 0 and "CT-1 already" in rows[0]["error"] and rows[1]["left"] == 2
        (folder / "given.json").write_text(json.dumps({"feed": "CT-1"}))
        (folder / "record.jsonl").unlink()
        code, rows, _ = produce(built, operator, folder, "CT-1..CT-2", "--port", board.port, "--port", "/dev/none")
        assert code != 0 and "given to the chip feed" in rows[0]["error"]
        assert "error" in rows[1] and rows[1]["hint"], "a port that is not there costs the others nothing"
        assert not (folder / "record.jsonl").exists()


@pytest.mark.slow
def test_what_is_refused_before_a_board_is_touched(tmp_path, built, operator):
    def refused(*more, ids="CT-1..CT-2", folder=tmp_path / "line", of=built):
        code, out, err = carbonterm("board", "produce", NAME, "--image", of, "--ids", ids, "--operator-key",
                                    operator[0], "-o", folder, "--port", "/dev/none", *more)  # fmt: skip
        assert code == 2, out + err
        return err

    assert "neither" in refused(ids=tmp_path / "none")
    assert "0 identifiers" in refused(ids="CT-3..CT-2").replace("\n", " ")
    assert "no terminal id" in refused(ids="C T1..3")
    names = tmp_path / "names"
    names.write_text("A\nB\nA\n")
    assert "A twice" in refused(ids=names)
    names.write_text("\n")
    assert "no identifier" in refused(ids=names)
    (tmp_path / "sites").mkdir()
    assert "CT-1.yaml is not there" in refused("--sites", tmp_path / "sites").replace("\n", "")
    site(tmp_path).rename(tmp_path / "sites" / "CT-1.yaml")
    assert "is for T1" in refused("--sites", tmp_path / "sites")
    assert "no image" in refused(of=tmp_path)
    with production.Production(boards.load(NAME), built, tmp_path / "line", ["A"], SIGNER, "op"):
        assert "another production" in refused()
    with pytest.raises(Failure, match="not for rpi-pico2"):
        production.Production(boards.load("rpi-pico2"), built, tmp_path / "line", ["A"], SIGNER, "op")
    code, _, err = carbonterm("board", "produce", "rpi-pico2", "--image", built, "--ids", "A1..A2", "--operator-key",
                              operator[0], "-o", tmp_path / "line", "--firmware", names)  # fmt: skip
    assert code == 2 and "serial port" in err


def test_a_record_that_was_changed(tmp_path):
    path = tmp_path / "record.jsonl"
    for number in range(4):
        row = {"terminal": f"T{number}", "chip": f"{number:02x}", "public_key": f"{number:0128x}"}
        assert record.append(path, row, SIGNER)["number"] == number
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert record.check(path, SIGNER.public)[1] == []
    assert len(record.check(path, bytes(64))[1]) == 4

    def wrong(data):
        path.write_bytes(data)
        return record.check(path, SIGNER.public)[1]

    assert len(wrong(lines[0] + lines[2] + lines[3])) == 2, "a line taken out"
    assert wrong(lines[1] + lines[0] + lines[2] + lines[3]), "lines in another order"
    assert any("signature" in text for text in wrong(whole.replace(b"T2", b"T7"))), "a line changed"
    path.write_bytes(whole)
    record.append(path, {"terminal": "T2", "chip": "ff", "public_key": "ab"}, SIGNER)
    (text,) = record.check(path, SIGNER.public)[1]
    assert "terminal" in text and "line 3" in text, "one identifier for two boards"
    path.write_bytes(whole[:-9])
    for refused in (record.rows, lambda p: record.append(p, {}, SIGNER), lambda p: record.check(p, SIGNER.public)):
        with pytest.raises(Failure, match="middle of a line"):
            refused(path)
    assert path.read_bytes() == whole[:-9], "nothing was changed"
    for foreign in (b"notes\n", b"[]\n", b'{"record": "1", "public_key": "", "signature": ""}\n'):
        path.write_bytes(foreign)
        with pytest.raises(Failure, match="line"):
            record.append(path, {}, SIGNER)
        assert path.read_bytes() == foreign
    with pytest.raises(Failure, match="No such file"):
        record.append(tmp_path / "none" / "record", {}, SIGNER)


def test_a_board_that_is_exchanged_quickly_is_a_new_one(tmp_path):
    port, device = tmp_path / "jig", tmp_path / "device"
    device.touch()
    stations = production.Stations([str(port), "/dev/none"])
    assert stations.new() == []
    for number in range(3):
        port.symlink_to(device)
        os.utime(port, (number, number), follow_symlinks=False)
        assert stations.new([str(port)]) == [], "the one before is in the making still"
        assert stations.new() == [str(port)] and stations.new() == []
        port.unlink()
    assert stations.new() == []
