"""carbonterm decode as people and scripts use it: every vector, broken bytes, bad calls."""

import json
import random
import subprocess
import sys

import pytest

from carbonterm.field import modbus
from carbonterm_host import cli
from vectors import load

VECTORS = [v for v in load("field_frames")["vectors"] if v["protocol"].startswith("modbus")]
REQUEST = "01 04 00 00 00 02 71 CB"
RESPONSE = "01 04 04 43 66 33 34 1B 38"


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments) -> (exit code, list of JSON lines, stderr)."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["decode", *arguments, "--json"])
        out, err = capsys.readouterr()
        return end.value.code, [json.loads(line) for line in out.splitlines()], err

    return call


@pytest.fixture
def show(capsys, monkeypatch):
    """show(*arguments) -> (exit code, stdout, stderr), as a person sees it."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["decode", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def values(frame):
    return [item["value"] for item in frame["items"]]


# --- frames --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_every_vector_is_decoded_or_refused_exactly(run, vector):
    protocol = vector["protocol"].replace("_", "-")
    for row in vector["frames"]:
        code, frames, _ = run(protocol, row["hex"])
        assert len(frames) == 1 and list(frames[0]) == ["valid", "error", "address", "control", "items"]
        frame = frames[0]
        if not vector["valid"]:
            assert code == 1 and not frame["valid"] and "CRC is C0 F0, should be C0 F1" in frame["error"]
            assert frame["address"] is None and frame["control"] is None and frame["items"] == []
            continue
        raw = bytes.fromhex(row["hex"])
        unit, function = raw[6:8] if protocol == "modbus-tcp" else raw[:2]
        assert code == 0 and frame["valid"] and frame["error"] is None
        assert frame["address"] == str(unit) and frame["control"] == f"0x{function:02X}"
        body = raw[8:] if protocol == "modbus-tcp" else raw[2:-2]
        if row["dir"] == "req":
            assert values(frame) == [str(int.from_bytes(body[:2], "big")), str(int.from_bytes(body[2:4], "big"))]
        elif function in (3, 4):
            assert values(frame) == [str(int.from_bytes(body[i : i + 2], "big")) for i in range(1, len(body), 2)]
        else:
            assert [i for i, v in enumerate(values(frame)) if v == "1"] == vector["decoded"]["coils_on"]


@pytest.mark.parametrize(
    ("type_", "order", "hexed", "wanted"),
    [
        ("float32", "ABCD", RESPONSE, ["230.20001"]),
        ("float32", "CDAB", "01 03 04 80 6B 42 12 12 82", ["36.62541"]),
        ("int32", "ABCD", "01 04 04 00 00 6E 8C D6 41", ["28300"]),
        ("uint16", "BADC", "01 03 04 00 01 E2 40 E2 A3", ["256", "16610"]),
        ("bcd", "ABCD", modbus.rtu(1, modbus.read_response(3, bytes.fromhex("00123456"))).hex(), ["123456"]),
        ("bcd", "ABCD", modbus.rtu(1, modbus.read_response(3, bytes.fromhex("0099"))).hex(), ["99"]),
        ("float32", "ABCD", modbus.rtu(1, modbus.read_response(3, bytes.fromhex("7FC00000"))).hex(), [None]),
        ("int64", "ABCD", modbus.rtu(1, modbus.read_response(3, b"\0\0\0\0\7\x5b\xcd\x15")).hex(), ["123456789"]),
        ("float64", "DCBA", modbus.rtu(1, modbus.read_response(3, bytes.fromhex("9A9999999999B93F"))).hex(), ["0.1"]),
        ("int16", "ABCD", modbus.rtu(1, modbus.write_request(6, 7, 0xFFFE)).hex(), ["7", "-2"]),
        ("uint32", "ABCD", modbus.rtu(1, modbus.write_request(16, 7, b"\0\1\0\0")).hex(), ["7", "2", "65536"]),
    ],
)
def test_registers_as_a_type(run, type_, order, hexed, wanted):
    code, (frame,), _ = run("modbus-rtu", hexed, "--as", type_, "--order", order)
    assert code == 0 and values(frame) == wanted


def test_registers_that_are_left_over_are_shown(run):
    raw = modbus.rtu(1, modbus.read_response(3, bytes.fromhex("43663334 0007")))
    _, (frame,), _ = run("modbus-rtu", raw.hex(), "--as", "float32")
    assert [(i["code"], i["name"], i["value"]) for i in frame["items"]] == [
        ("0", "register +0", "230.20001"),
        ("2", "register +2", "7"),
    ]


def test_a_request_names_the_registers_of_its_response(run):
    _, (request, response), _ = run("modbus-rtu", "01 03 0C 25 00 02 D6 90 01 03 04 42 47 F2 B1 DB 4A")
    assert [i["name"] for i in request["items"]] == ["start address", "count"]
    assert [i["name"] for i in response["items"]] == ["register 3109", "register 3110"]
    assert [i["code"] for i in response["items"]] == ["0", "1"]
    coils = next(v for v in VECTORS if v["id"] == "modbus-09")
    _, (_, response), _ = run("modbus-rtu", " ".join(row["hex"] for row in coils["frames"]))
    assert len(response["items"]) == 31  # as many as were asked for, not 32
    # the response to another request is told by itself
    _, (_, response), _ = run("modbus-rtu", REQUEST.replace("01 04", "02 04")[:-5] + "71 F8 " + RESPONSE)
    assert response["items"][0]["name"] == "register +0"


def test_exceptions_are_valid_frames(run):
    for code, (name, _, _) in modbus.EXCEPTIONS.items():
        exit_code, (frame,), _ = run("modbus-rtu", modbus.rtu(1, modbus.exception(3, code)).hex())
        assert exit_code == 0 and frame["valid"] and frame["error"] is None and frame["control"] == "0x83"
        assert frame["items"] == [{"code": "exception", "name": name, "value": str(code), "unit": None}]
    _, (frame,), _ = run("modbus-tcp", modbus.tcp(1, 1, modbus.exception(4, 99)).hex())
    assert frame["items"][0]["name"] == "unknown exception" and frame["items"][0]["value"] == "99"


def test_writes_are_told_in_both_directions(run):
    for request, wanted in (
        (modbus.write_request(5, 172, True), ["172", "1"]),
        (modbus.write_request(6, 1, 3), ["1", "3"]),
        (modbus.write_request(15, 19, [1, 0, 1]), ["19", "3", "1", "0", "1"]),
        (modbus.write_request(16, 1, b"\0\x0a\1\2"), ["1", "2", "10", "258"]),
    ):
        for protocol, ask, answer in (
            ("modbus-rtu", modbus.rtu(1, request), modbus.rtu(1, modbus.write_response(request))),
            ("modbus-tcp", modbus.tcp(1, 1, request), modbus.tcp(1, 1, modbus.write_response(request))),
        ):
            code, (first, second), _ = run(protocol, ask.hex() + " " + answer.hex())
            assert code == 0 and values(first) == wanted
            assert values(second) == (wanted[:2])


def test_what_could_be_both_is_a_request_unless_it_answers_one(run):
    ask = modbus.rtu(1, modbus.read_request(1, 0x0300, 0x11))  # as a response: 3 bytes of coils
    _, (frame,), _ = run("modbus-rtu", ask.hex())
    assert values(frame) == ["768", "17"]
    answer = modbus.rtu(1, modbus.read_response(1, b"\x00\x00\x11"))
    _, (_, frame), _ = run("modbus-rtu", ask.hex() + answer.hex())
    assert len(frame["items"]) == 17
    _, (frame,), _ = run("modbus-rtu", "11 02 03 AC DB 35 20 18")  # no request: 56117 inputs
    assert len(frame["items"]) == 24


# --- broken bytes --------------------------------------------------------------------------------------------------


def test_noise_is_told_with_the_frame_behind_it(run):
    code, frames, _ = run("modbus-rtu", "FE FE", REQUEST, "00", RESPONSE)
    assert code == 0 and [f["valid"] for f in frames] == [True, True]
    assert frames[0]["error"] == "2 bytes at offset 0 (FE FE) before it belong to no frame"
    assert frames[1]["error"] == "1 byte at offset 10 (00) before it belong to no frame"


@pytest.mark.parametrize(
    ("protocol", "hexed", "said"),
    [
        ("modbus-rtu", "01 04 04 43 66 33 34 1B 39", "CRC is 1B 39, should be 1B 38"),
        ("modbus-rtu", "01 04 04 43 66 33", "cut off, 3 bytes missing of a response, 2 bytes missing of a request"),
        ("modbus-rtu", "01 04 04 43 66 33 34 1B", "cut off, 1 byte missing of a response"),
        ("modbus-rtu", "01", "too short for a frame"),
        ("modbus-rtu", "01 2B 0E 01 00 70 77", "the CRC is right, but the function is not one of"),
        ("modbus-rtu", "AA BB CC DD EE", "unknown function"),
        ("modbus-rtu", "FE FE FE 01 83 02 C0 F0", "(FE FE FE) belong to no frame; 5 bytes at offset 3"),
        ("modbus-rtu", modbus.rtu(1, b"\3\0\0\0\x7e").hex(), "a count of 126 for function 03H; it takes 1 to 125"),
        ("modbus-rtu", modbus.rtu(1, b"\3\4\0\x11\x22").hex(), "the CRC is right, but as a request: a count of"),
        ("modbus-rtu", modbus.rtu(1, b"\5\0\1\0\1").hex(), "a coil is written with 0001; 0000 is off, FF00 is on"),
        ("modbus-tcp", "00 01 00 01 00 06 01 03 00 10 00 02", "the protocol is 0001, must be 0000"),
        ("modbus-tcp", "00 01 00 01", "the protocol is 0001, must be 0000"),
        ("modbus-tcp", "00 01 00 00 01 06 01 03 00 10 00 02", "the length is 262, must be 2 to 254"),
        ("modbus-tcp", "00 01 00 00 00 06 01 03 00 10 00", "cut off, 1 byte missing of 12"),
        ("modbus-tcp", "00 01 00 00 00", "cut off, a frame has 8 bytes or more"),
        ("modbus-tcp", "00 01 00 00 00 06 01 03 00 10 00 FF", "a count of 255 for function 03H"),
        ("modbus-tcp", "00 01 00 00 00 05 01 2B 0E 01 00", "the function is not one of"),
        ("modbus-tcp", "00 01 00 00 00 05 01 2B 0E 01 00 99", "1 byte behind it belong to no frame"),
    ],
)
def test_broken_bytes_are_told_what_is_wrong(run, protocol, hexed, said):
    code, (frame,), _ = run(protocol, hexed)
    assert code == 1 and frame["valid"] is False and said in frame["error"], frame["error"]
    assert frame["address"] is None and frame["control"] is None and frame["items"] == []


def test_a_broken_frame_between_two_good_ones_is_one_of_its_own(run):
    code, frames, _ = run("modbus-rtu", REQUEST, "01 04 04 43 66 33 34 1B 39", REQUEST)
    assert code == 1 and [f["valid"] for f in frames] == [True, False, True]
    assert "at offset 8" in frames[1]["error"] and "should be 1B 38" in frames[1]["error"]
    bad = "00 01 00 00 00 05 01 2B 0E 01 00"
    good = "00 02 00 00 00 06 01 03 00 10 00 02"
    code, frames, _ = run("modbus-tcp", good, bad, good)
    assert code == 1 and [f["valid"] for f in frames] == [True, False, True]


@pytest.mark.slow
def test_any_bytes_give_an_answer(run):
    seeded = random.Random(11)
    for _ in range(400):
        data = seeded.randbytes(seeded.randint(1, 40))
        if seeded.random() < 0.5:
            data = modbus.rtu(1, modbus.read_request(3, 1, 2)) + data
        for protocol in ("modbus-rtu", "modbus-tcp"):
            code, frames, _ = run(protocol, data.hex())
            assert frames and code == (0 if all(f["valid"] for f in frames) else 1)
            for frame in frames:
                assert frame["valid"] or frame["error"]


# --- calls ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "0104 0000 0002 71CB", "0x01,0x04,0x00,0x00,0x00,0x02,0x71,0xCB", "01:04:00:00:00:02:71:cb",
    "\n01 04\r\n0 0 0 2\t71 CB\n", "0x010400000002 71CB",
])  # fmt: skip
def test_hex_is_read_as_people_paste_it(run, text):
    code, (frame,), _ = run("modbus-rtu", text)
    assert code == 0 and values(frame) == ["0", "2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("modbus-rtu", "01 0G"), "'G' in '0G' at character 4 is no hex digit"),
        (("modbus-rtu", "01 040"), "'040' at character 4 has 3 hex digits"),
        (("modbus-rtu", ""), "no bytes"),
        (("modbus-rtu", "0x"), "no hex digit"),
        (("modbus-rtu", "０１"), "no hex digit"),
        (("modbus-ascii", "01"), "unknown protocol 'modbus-ascii'"),
        (("modbus-rtu", "01", "--as", "int8"), "int8"),
        (("modbus-rtu", "01", "--order", "ABDC"), "ABDC"),
        (("modbus-rtu",), "no bytes to decode"),
        (("68 10 44 33",), "which protocol is '68 10 44 33' of?"),
        ((), "PROTOCOL"),
    ],
)
def test_a_wrong_call_ends_with_2_and_the_way_out(run, arguments, said):
    code, (answer,), _ = run(*arguments)
    assert code == 2 and said.lower() in answer["error"].lower() and answer["hint"]


def test_stdin_is_read_by_a_process_of_its_own():
    program = [sys.executable, "-c", "from carbonterm_host.cli import main; main()"]
    command = [*program, "decode", "modbus-rtu", "-", "--json"]
    done = subprocess.run(command, input=REQUEST + "\n" + RESPONSE, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and done.stderr == ""
    assert [json.loads(line)["control"] for line in done.stdout.splitlines()] == ["0x04", "0x04"]


def test_people_see_a_table_of_80_columns(show):
    registers = modbus.rtu(17, modbus.read_response(3, bytes(range(40))))
    code, out, _ = show("modbus-rtu", "FE", registers.hex(), modbus.rtu(1, modbus.exception(3, 2)).hex(), "01 04 04")
    assert code == 1 and max(len(line) for line in out.splitlines()) <= 80
    for text in ("response · unit 17 · 0x03 read holding registers", "register +19", "9767", "illegal data address",
                 "1 byte at offset 0 (FE)", "invalid: 3 bytes at offset"):  # fmt: skip
        assert text in out
    code, out, err = show("modbus-rtu", "zz")
    assert code == 2 and out == "" and "no hex digit" in err and "→" in err


def test_people_may_see_it_in_chinese(show, monkeypatch):
    monkeypatch.setenv("CARBONTERM_LANG", "zh")
    _, out, _ = show("modbus-rtu", RESPONSE, modbus.rtu(1, modbus.exception(3, 2)).hex())
    assert "响应 · 地址 1 · 0x04 读输入寄存器" in out and "非法数据地址" in out and "寄存器 +0" in out
