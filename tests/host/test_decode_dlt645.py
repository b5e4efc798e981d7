"""carbonterm decode dlt645-2007 and dlt645-1997: every vector to its values, broken bytes to what is wrong."""

import json
import random

import pytest

from carbonterm.field import dlt645
from carbonterm_host import cli, decode_dlt645
from vectors import load

VECTORS = [v for v in load("field_frames")["vectors"] if v["protocol"].startswith("dlt645")]
REPLY = "68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16"


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments) -> (exit code, list of JSON lines)."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["decode", *arguments, "--json"])
        return end.value.code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def found(hexed, edition=dlt645.V2007):
    return list(decode_dlt645.decode(bytes.fromhex(hexed), edition))


@pytest.mark.requirement("T-11.3-2", part="reference vectors decoded or refused")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_every_vector_is_decoded_or_refused_exactly(run, vector):
    wanted = vector["decoded"]
    for row in vector["frames"]:
        code, lines = run(vector["protocol"], row["hex"])
        assert len(lines) == 1 and list(lines[0]) == ["valid", "error", "address", "control", "items"]
        frame = lines[0]
        if not vector["valid"]:
            assert code == 1 and not frame["valid"] and frame["address"] is None and frame["items"] == []
            words = {"dlt645-07-n1": "checksum is 55, should be 54", "dlt645-07-n5": "checksum is 5D, should be 6D",
                     "dlt645-07-n3": "the second start byte is 69, should be 68"}  # fmt: skip
            assert words[vector["id"]] in frame["error"]
            continue
        assert code == 0 and frame["valid"] and frame["error"] is None
        assert frame["address"] == row["parsed"]["address"] and frame["control"] == "0x" + row["parsed"]["ctrl"]
        items = frame["items"]
        if row["dir"] == "req":
            if "di" in wanted:
                assert items[0]["code"] == wanted["di"] and items[0]["value"] is None
            if "seq" in wanted:
                assert items[1]["value"] == str(wanted["seq"])
            if wanted.get("function") == "time_sync_addressed":
                assert items[0]["value"] == wanted["value"]
            continue
        assert frame["address"] == wanted.get("address", frame["address"])
        if wanted.get("function") == "read_address":
            assert items[0]["value"] == wanted["address"]
        elif "error_byte" in wanted:
            assert items[0]["code"] == "error" and int(items[0]["value"]) == int(wanted["error_byte"], 16)
        elif "values" in wanted:
            assert [i["value"] for i in items] == wanted["values"] and {i["unit"] for i in items} == {wanted["unit"]}
        else:
            assert items[0]["value"] == wanted["value"] and items[0]["unit"] == wanted.get("unit")
            assert items[0]["code"] == wanted.get("di")
            if "weekday" in wanted:
                assert items[1]["value"] == str(wanted["weekday"])


@pytest.mark.parametrize(("edition", "hexed", "code", "value"), [
    # the baud byte goes with 33H added too: 3B is 08, bit 3
    (dlt645.V2007, "68 01 00 00 00 00 00 68 17 01 3B 24 16", "baud", "2400"),
    (dlt645.V1997, "68 01 00 00 00 00 00 68 0C 01 43 21 16", "baud", "2400"),
    (dlt645.V2007, dlt645.frame(dlt645.BROADCAST, dlt645.time_request(2026, 11, 21, 4, 5, 6)).hex(), "time",
     "2026-11-21 04:05:06"),
    (dlt645.V2007, dlt645.frame("000000000001", dlt645.freeze_request(minute=30)).hex(), "minute", "30"),
])  # fmt: skip
def test_bytes_whose_order_no_checksum_sees(edition, hexed, code, value):
    (frame,) = found(hexed, edition)
    assert frame["valid"] and frame["items"][0]["code"] == code and frame["items"][0]["value"] == value


def test_unknown_items_and_data_that_is_none_are_told_and_not_guessed():
    def reply(identifier, payload):
        raw = dlt645.frame("000000000001", dlt645.read_response(identifier, payload))
        (frame,) = found(raw.hex())
        return frame["items"], frame["error"]

    items, error = reply("07000001", b"\1\2")
    assert error is None and items[0]["value"] is None and items[0]["name"].endswith("data 01 02")
    items, error = reply("00010000", b"\1\2\3")
    assert "has 4 bytes, not 3" in error and items[0]["value"] is None
    assert reply("00010000", b"\xcd\0\0\0")[0][0]["value"] is None  # 00 on the wire: below 33H
    assert reply("04000501", b"\x10\x80")[0][0]["value"] == str(0x8010)
    items, _ = reply("01010000", bytes.fromhex("563412" "3012211126"))
    assert [i["value"] for i in items] == ["12.3456", "2026-11-21 12:30"]


@pytest.mark.parametrize(("hexed", "said"), [
    (REPLY[:-6], "cut off, 2 bytes missing of 20"),
    ("68 12 90", "cut off, a frame has 12 bytes or more"),
    (REPLY[:-2] + "17", "the end byte is 17, should be 16"),
    ("68 12 90 78 56 34 12 68 91 FF 33 33", "the length of data is 255, at most 200"),
    ("00 01 02", "no start byte 68"),
    ("FE FE", "only FE"),
    ("00 " + REPLY[:-5] + "55 16", "1 byte at offset 0 (00) belong to no frame; 20 bytes at offset 1"),
    ("68 01 00 00 00 00 00 68 01 02 43 C3 DA 16", "function 01H belongs to dlt645-1997; decode it as dlt645-1997"),
    ("68 01 00 00 00 00 00 68 1F 00 F0 16", "unknown function 1FH"),
])  # fmt: skip
def test_broken_bytes_are_told_what_is_wrong(run, hexed, said):
    code, (frame,) = run("dlt645-2007", hexed)
    assert code == 1 and not frame["valid"] and said in frame["error"], frame["error"]
    assert frame["address"] is None and frame["control"] is None and frame["items"] == []


def test_noise_and_glued_frames(run):
    code, (first, second) = run("dlt645-2007", "00 01 FE FE", REPLY, "FE", REPLY)
    assert code == 0 and second["error"] is None
    assert first["error"] == "2 bytes at offset 0 (00 01) before it belong to no frame"
    code, lines = run("dlt645-2007", REPLY, REPLY[:-5] + "55 16", REPLY)
    assert code == 1 and [line["valid"] for line in lines] == [True, False, True]


def test_any_bytes_give_an_answer():
    seeded = random.Random(645)
    good = bytes.fromhex(REPLY)
    for _ in range(600):
        data = bytearray(seeded.choice((b"", good, good[:-3])) + seeded.randbytes(seeded.randint(1, 30)) + good)
        for _ in range(seeded.randint(0, 2)):
            data[seeded.randrange(len(data))] = seeded.choice((0x68, 0x16, 0xFE, seeded.randrange(256)))
        for edition in (dlt645.V2007, dlt645.V1997):
            lines = list(decode_dlt645.decode(bytes(data), edition))
            assert lines and all(line["valid"] or line["error"] for line in lines)


def test_people_see_the_items_in_their_language(capsys, monkeypatch):
    for lang, text in (("zh", "(当前)正向有功总电能"), ("en", "forward active energy, total")):
        monkeypatch.setenv("CARBONTERM_LANG", lang)
        with pytest.raises(SystemExit):
            cli.main(["decode", "dlt645-2007", REPLY])
        out = capsys.readouterr().out
        assert text in out and "1234.56 kWh" in out and "123456789012" in out
