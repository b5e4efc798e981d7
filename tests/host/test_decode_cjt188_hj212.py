"""carbonterm decode cjt188 and hj212: every vector, broken bytes, and that any input gets an answer."""

import json
import random
import subprocess
import sys

import pytest

from carbonterm.field import cjt188
from carbonterm.field.hj212 import crc
from carbonterm_host import cli, decode_cjt188, decode_hj212
from vectors import load

VECTORS = load("field_frames")["vectors"]
KEYS = ["valid", "error", "address", "control", "items"]


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments) -> (exit code, list of JSON lines)."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["decode", *arguments, "--json"])
        return end.value.code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def value(frame, code):
    return next(item["value"] for item in frame["items"] if item["code"] == code)


def name(frame, code):
    return next(item["name"] for item in frame["items"] if item["code"] == code)


@pytest.mark.requirement("T-11.3-3", part="frames and readings")
@pytest.mark.parametrize("vector", [v for v in VECTORS if v["protocol"].startswith("cjt188")], ids=lambda v: v["id"])
def test_every_cjt188_vector(run, vector):
    decoded = vector["decoded"]
    for row in vector["frames"]:
        code, (frame,) = run("cjt188", row["hex"])
        assert list(frame) == KEYS
        if not vector["valid"]:
            assert code == 1 and not frame["valid"] and frame["items"] == [] and frame["address"] is None
            raw = bytes.fromhex(row["hex"]).lstrip(b"\xfe")
            assert f"CS is {raw[-2]:02X}, should be {sum(raw[:-2]) & 255:02X}" in frame["error"]
            continue
        assert code == 0 and frame["valid"] and frame["error"] is None
        assert frame["address"] == row["parsed"]["address"] and frame["control"] == "0x" + row["parsed"]["ctrl"]
        if row["parsed"]["ctrl"] != "81":
            di = decoded.get("di", {"valve_open": "A017", "read_address": "810A"}.get(decoded.get("function"), "901F"))
            assert f"identifier {di}" in name(frame, "DI")
            if decoded.get("function") == "valve_open":
                assert name(frame, "valve") == "valve: open"
            if "new" in decoded:
                assert value(frame, "new_address") == decoded["new"]
            continue
        for key in ("current", "settle", "settle_heat", "current_heat", "power", "flow", "volume", "supply_temp",
                    "return_temp", "work_hours"):  # fmt: skip
            if key in decoded:
                number, _, unit = decoded[key].partition(" ")
                got = next(item for item in frame["items"] if item["code"] == key)
                assert float(got["value"]) == float(number) and unit in ("", got["unit"])
        if "time" in decoded:
            assert value(frame, "clock") == "".join(c for c in decoded["time"] if c.isdigit())
        if "status" in decoded:
            assert name(frame, "status").replace(" ", "")[6:10] == decoded["status"].replace(" ", "")[:4]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["protocol"].startswith("hj212")], ids=lambda v: v["id"])
def test_every_hj212_vector(run, vector):
    decoded = vector["decoded"]
    for row in vector["frames"]:
        code, (frame,) = run("hj212", row["ascii"])
        assert list(frame) == KEYS
        if not vector["valid"]:
            assert code == 1 and not frame["valid"] and "CRC is 2800, should be D801" in frame["error"]
            assert "204" not in frame["error"] or frame["items"] == []
            continue
        assert code == 0 and frame["valid"] and frame["error"] is None
        assert f"CN={frame['control']};" in row["ascii"] and f"MN={frame['address']};" in row["ascii"]
        for item in frame["items"]:
            assert item["value"] is None or f"{item['code']}={item['value']}" in row["ascii"]
        if row is not vector["frames"][0]:
            continue
        for key in ("QN", "ST"):
            assert key not in decoded or [i["value"] for i in frame["items"] if i["code"] == key] == [
                text for text in [decoded[key]] if text is not None
            ]
        for field, text in decoded.get("CP", {}).items():
            assert value(frame, field) == text
        for factor, fields in decoded.get("items", {}).items():
            for kind, text in fields.items():
                if kind == "Flag":
                    assert name(frame, f"{factor}-Flag").startswith(f"flag {text}")
                elif kind == "unit":
                    assert next(i["unit"] for i in frame["items"] if i["code"] == f"{factor}-Avg") == text
                elif kind == "name":
                    assert name(frame, f"{factor}-Avg").startswith(text)
                else:
                    assert value(frame, f"{factor}-{kind}") == text


def test_cjt188_says_what_is_wrong_and_where(run):
    good = "68 10 92 01 00 10 00 00 00 81 16 90 1F 01 00 22 22 00 2C 00 00 00 00 2C 00 00 00 00 00 00 00 00 00 FE 16"
    code, (frame,) = run("cjt188", "00 FE", good)
    assert code == 0 and frame["error"] == (
        "2 bytes at offset 0 (00 FE) belong to no frame: none begins with 68, a type and a known control")
    code, frames = run("cjt188", good[:-5] + "00 16", good)
    assert code == 1 and [f["valid"] for f in frames] == [False, True]
    assert "CS is 00, should be FE" in frames[0]["error"]
    assert "the last byte is 17, should be 16" in run("cjt188", good[:-2] + "17")[1][0]["error"]
    assert "cut off, 2 or more of 35 bytes missing" in run("cjt188", good[:-6])[1][0]["error"]
    assert "none begins with 68" in run("cjt188", "01 02 03")[1][0]["error"]
    odd = cjt188.frame(0x10, "0" * 14, 0x81, b"\x90\x1f\1" + b"\0" * 7)
    code, (frame,) = run("cjt188", odd.hex())
    assert code == 0 and "unknown layout: cold water (type 10H), 901F, 10 bytes" in frame["error"]
    code, (frame,) = run("cjt188", cjt188.frame(0x10, "0" * 14, 0xC1, b"\1\2\3").hex())
    assert frame["valid"] and name(frame, "status") == "status 01 02 03"


def test_hj212_says_what_is_wrong_and_where(run):
    good = next(v for v in VECTORS if v["id"] == "hj212-01")["frames"][0]["ascii"]
    for text in (good.strip(), good.strip() + "\\r\\n", good.replace("\r\n", "\n"), "\n" + good + "\n\n"):
        assert run("hj212", text)[0] == 0
    code, (frame,) = run("hj212", "noise" + good)
    assert code == 0 and frame["error"] == "5 bytes before it belong to no packet"
    for text, said in (
        ("hello", "none begins with ##"), (good.replace("0101", "0102"), "the length says 102, the segment has 101"),
        (good.replace("RtdInterval=30", "RtdInterval=31"), "CRC is 1C80, should be"), ("  ", "no text"),
        (good.replace("##0", "##x"), "4 digits of length"), ("##", "at offset 0"),
        ("##0028CN=2011;MN=1;CP=&&{0xE4}&&0000", "encrypted; hand in the station's key"),
    ):  # fmt: skip
        code, (frame,) = run("hj212", text)
        assert code == 1 and not frame["valid"] and said in frame["error"], frame["error"]
    code, frames = run("hj212", good + good[:-9] + "\r\n" + good)
    assert code == 1 and [f["valid"] for f in frames] == [True, False, True] and "offset 112" in frames[1]["error"]


def test_hj212_reads_stdin():
    good = next(v for v in VECTORS if v["id"] == "hj212-15")["frames"]
    program = [sys.executable, "-c", "from carbonterm_host.cli import main; main()", "decode", "hj212", "-", "--json"]
    text = "".join(row["ascii"] for row in good)
    done = subprocess.run(program, input=text.encode(), capture_output=True, timeout=180)
    assert done.returncode == 0 and [json.loads(x)["control"] for x in done.stdout.splitlines()] == ["2051", "9014"]


def test_any_input_gives_an_answer():
    seeded = random.Random(188212)
    texts = [row["ascii"] for v in VECTORS if v["protocol"].startswith("hj") for row in v["frames"]]
    raws = [bytes.fromhex(row["hex"]) for v in VECTORS if v["protocol"].startswith("cjt") for row in v["frames"]]
    for _ in range(1500):
        data = bytearray(seeded.choice(raws))
        for _ in range(seeded.randint(0, 4)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        frames = list(decode_cjt188.decode(seeded.randbytes(seeded.randint(0, 5)) + bytes(data)))
        assert frames and all(f["valid"] or f["error"] for f in frames)
        text = list(seeded.choice(texts))
        for _ in range(seeded.randint(0, 4)):
            text[seeded.randrange(len(text))] = chr(seeded.choice((seeded.randrange(128), 0x4E2D, 0xDC80)))
        segment = "".join(text)[6:-6]
        if seeded.random() < 0.5:  # behind a right length and CRC
            raw = segment.encode("utf-8", "surrogateescape")
            segment = f"##{len(raw):04d}{segment}{crc(raw):04X}"
        frames = list(decode_hj212.decode(segment))
        assert frames and all(f["valid"] or f["error"] for f in frames)
