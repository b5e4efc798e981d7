"""CJ/T 188 frames in both roles: vectors, cuts, noise, profiles, what is unknown, whose answer it is."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import cjt188
from carbonterm.field.cjt188 import (
    HIGH_FIRST,
    LOW_FIRST,
    MASTER,
    METER,
    Decoder,
    Exchange,
    Profile,
    clock,
    clock_bytes,
    frame,
    match,
    number,
    read_address,
    read_data,
    readings,
    refuse,
    respond,
    set_time,
    suggest,
)
from seeded import Random
from vectors import load

VECTORS = [v for v in load("field_frames")["vectors"] if v["protocol"].startswith("cjt188")]


def unhex(text):
    return bytes.fromhex(text.replace(" ", ""))


def made(type, address, control, data):
    """A frame by an independent encoder: the address's pairs, the data, the sum, written out here."""
    raw = b"\x68" + bytes((type,)) + bytes([int(address[12 - 2 * i : 14 - 2 * i], 16) for i in range(7)])
    raw += bytes((control, len(data))) + data
    return raw + bytes((sum(raw) % 256, 0x16))


def one(raw, role=MASTER):
    frames = Decoder(role).feed(raw)
    assert len(frames) == 1
    return frames[0]


def role_of(row):
    return MASTER if row["dir"] == "rsp" else METER


def rows(valid):
    for vector in VECTORS:
        if vector["valid"] == valid:
            for row in vector["frames"]:
                yield vector, row, unhex(row["hex"])


@pytest.mark.requirement("T-11.3-3", part="frames and readings")
def test_every_vector():
    for _, row, raw in rows(True):
        found = one(raw, role_of(row))
        parsed = row["parsed"]
        assert (found.address, "%02X" % found.type) == (parsed["address"], parsed["meter_type"])
        assert "%02X" % found.control == parsed["ctrl"] and found.data == unhex(parsed["data"])
        leaders = parsed["preamble_fe"]
        assert frame(found.type, found.address, found.control, found.data, leaders) == raw
    for vector, row, raw in rows(False):
        decoder = Decoder(role_of(row))
        assert decoder.feed(raw) + decoder.flush() == [] and decoder.errors >= 1, vector["id"]


@pytest.mark.requirement("T-11.3-3", part="frames and readings")
def test_readings_of_every_vector():
    count = 0
    for vector, row, raw in rows(True):
        decoded = vector["decoded"]
        if row["dir"] == "req" or "901F" not in ("%04X" % (one(raw).di or 0)):
            continue
        profile = Profile(unit_first=decoded.get("layout") == "unit-first")
        items = readings(one(raw), profile)
        print(vector["id"], " ".join(["%s %s %s" % (i.code, i.value, i.unit) for i in items]))
        for item in items:
            wanted = decoded.get(item.code)
            if item.code == "clock":
                assert item.value == decoded.get("time")
            elif item.code == "status":
                assert item.value is None
                if wanted:
                    assert "%02X%02X" % (item.raw[0], item.raw[1]) == wanted.replace(" ", "")[:4]
            elif wanted is not None:
                value, _, unit = wanted.partition(" ")
                assert item.value == cjt188.Number(value) and (not unit or unit == item.unit)
                count += 1
    assert count == 24, count


def test_clocks_of_vectors_are_times_or_none():
    assert clock(unhex("31012211051520")) == "2015-05-11 22:01:31"
    for text in ("00000000000000", "FFFFFFFFFFFFFF", "60012211051520", "31602211051520", "31012411051520",
                 "31012230021520", "31012229021520", "31012200051520", "31012211131520", "31012211051519",
                 "20160715095959"):  # fmt: skip
        assert clock(unhex(text)) is None, text
    assert clock(unhex("31012229021620")) == "2016-02-29 22:01:31"
    assert clock_bytes((2026, 11, 21, 4, 35, 9)) == unhex("09350421112620")
    with pytest.raises(FrameError, match="a time with 100"):
        clock_bytes((2026, 11, 21, 4, 35, 100))


@pytest.mark.requirement("T-11.3-3", part="frames and readings")
def test_every_cut_and_noise_before_give_the_same():
    for _, row, raw in rows(True):
        for cut in range(1, len(raw)):
            decoder = Decoder(role_of(row))
            assert [f.raw for f in decoder.feed(raw[:cut]) + decoder.feed(raw[cut:])] == [one(raw, role_of(row)).raw]
        for noise in (b"\x00\xff", b"\x68", b"\x68\x10", b"\x68\x10\x16", b"\xfe" * 9, b"\x68" * 3, b"\x16\x68\x99"):
            decoder = Decoder(role_of(row))
            found = decoder.feed(noise + raw) + decoder.flush()
            assert len(found) == 1 and found[0].raw == one(raw, role_of(row)).raw
    decoder = Decoder(MASTER)
    assert [decoder.feed(bytes((b,))) for b in made(0x10, "0" * 14, 0x81, b"\x90\x1f\1")][-1] != []


def test_a_request_is_no_answer_and_the_other_way_round():
    request = read_data(0x10, "12345678901234", 1)
    answer = respond(one(request, METER), b"\0" * 19)
    for raw, role in ((request, MASTER), (answer, METER)):
        decoder = Decoder(role)
        assert decoder.feed(raw) + decoder.flush() == []
    # a checksum cannot see bytes that changed places: the address does
    swapped = bytearray(answer)
    swapped[2], swapped[3] = swapped[3], swapped[2]
    assert Exchange(request).feed(bytes(swapped)) is None


@pytest.mark.requirement("T-11.3-3", part="frames and readings")
def test_round_trips_of_both_roles():
    for order, first in ((HIGH_FIRST, b"\x90\x1f"), (LOW_FIRST, b"\x1f\x90")):
        profile = Profile(order)
        exchange = Exchange(read_data(0x10, "00000010000192", 7, profile=profile, leaders=2))
        assert exchange.frame[:2] == b"\xfe\xfe" and exchange.request.data == first + b"\7"
        for answered in (None, Profile(HIGH_FIRST), Profile(LOW_FIRST)):
            body = unhex("00 22 22 00 2C 00 00 00 00 2C") + clock_bytes((2026, 1, 2, 3, 4, 5)) + b"\0\0"
            raw = respond(one(exchange.frame, METER), body, answered, leaders=3)
            answer = Exchange(exchange.frame).feed(exchange.frame + b"\xff" + raw)  # behind its own echo
            assert answer.di == cjt188.CURRENT and str(readings(answer)[0].value) == "2222.00"
    search = Exchange(read_address(9))
    asked = one(search.frame, METER)
    assert asked.address == cjt188.ANY_ADDRESS and asked.di == cjt188.ADDRESS
    asked.address, asked.type = "20260324152900", 0x10
    assert search.feed(respond(asked, b"")).address == "20260324152900"
    timed = Exchange(set_time(0x20, "00000000000001", 3, (2026, 11, 21, 4, 35, 9)))
    assert timed.request.data == unhex("A0 15 03 09 35 04 21 11 26 20")
    assert timed.feed(refuse(timed.request, b"\1\2")).error
    assert Exchange(timed.frame).feed(respond(timed.request, b"\0\0")).function == cjt188.WRITE_DATA


def test_what_is_not_the_asked_one_is_dropped():
    request = read_data(0x10, "00000010000192", 7)
    good = made(0x10, "00000010000192", 0x81, unhex("901F07") + b"\0" * 19)
    for wrong in (
        made(0x10, "00000010000193", 0x81, unhex("901F07") + b"\0" * 19),  # another meter
        made(0x20, "00000010000192", 0x81, unhex("901F07") + b"\0" * 19),  # another type
        made(0x10, "00000010000192", 0x81, unhex("901F06") + b"\0" * 19),  # a late one
        made(0x10, "00000010000192", 0x81, unhex("902F07") + b"\0" * 19),  # another identifier
        made(0x10, "00000010000192", 0x83, unhex("901F07") + b"\0" * 19),  # another function
        made(0x10, cjt188.ANY_ADDRESS, 0x81, unhex("901F07") + b"\0" * 19),  # a wildcard for an answer
        made(0x10, "00000010000192", 0xC1, unhex("060000")), made(0x10, "00000010000192", 0x81, b""),
        made(0x10, "00000010000192", 0xC1, b""), request,
    ):  # fmt: skip
        exchange = Exchange(request)
        assert exchange.feed(wrong) is None and exchange.flush() is None
        assert exchange.feed(good).raw == good
    assert Exchange(request).feed(made(0x10, "00000010000192", 0xC1, unhex("070000"))).error
    short = Exchange(read_data(0xAA, "AAAAAAAAAA0192", 7))
    assert short.feed(good).raw == good
    assert not match(one(good), one(good))


# --- frames nobody's capture was found of: made by `made`, not real ------------------------------------------------


def test_a_gas_answer():
    body = unhex("1F9001 78563412 2C 00563412 2C") + clock_bytes((2026, 11, 21, 4, 35, 9)) + b"\0\0"
    items = readings(one(made(0x30, "00000000300001", 0x81, body)))
    assert [str(i.value) for i in items[:2]] == ["123456.78", "123456.00"] and items[2].value == "2026-11-21 04:35:09"


def test_the_short_heat_layout_of_2018():
    body = unhex("901F01 00010000 11 50340200 11 563412 17 001500 35 78563412 2C 5055 2045 99000000")
    body += clock_bytes((2026, 11, 21, 4, 35, 9)) + b"\0\0"
    assert len(body) == 43
    answer = one(made(0x20, "00000000200001", 0x81, body))
    got = [(i.code, str(i.value), i.unit) for i in readings(answer)]
    print(" ".join(["%s %s %s" % row for row in got]))
    assert got[:8] == [
        ("settle_heat", "1.00", "GJ"), ("current_heat", "234.50", "GJ"), ("power", "1234.56", "kW"),
        ("flow", "1.500", "m3/h"), ("volume", "123456.78", "m3"), ("supply_temp", "55.50", "°C"),
        ("return_temp", "45.20", "°C"), ("work_hours", "99", "h"),
    ]  # fmt: skip


def test_unknown_stays_unknown():
    body = unhex("901F01 FFFFFFFF 2C 0A000000 2C") + b"\xff" * 9
    items = readings(one(made(0x10, "00000000000001", 0x81, body)))
    assert [i.value for i in items] == [None] * 4 and items[0].raw == b"\xff" * 4
    assert number(b"\x12\x34", 2) == cjt188.Number("34.12") and number(b"\x12", 0, 2) == 1200
    body = unhex("901F01 01000000 0A 01000000 0A 00000000 17 00000000 35 00000000 2C 000000 000000 000000") + b"\0" * 9
    large = readings(one(made(0x20, "00000000000001", 0x81, body)))
    assert large[0].value == cjt188.Number(1) and large[0].unit == "MWh"  # 0.01 × 100


def test_unknown_layouts_are_refused_by_name():
    def refusal(type, data, profile=None):
        with pytest.raises(FrameError) as caught:
            readings(one(made(type, "00000000000001", 0x81, data)), profile)
        return str(caught.value)

    water = unhex("901F01 00000000 2C 00000000 2C") + b"\0" * 9
    assert "unknown layout: cold water (type 10H), 901F, 23 bytes" in refusal(0x10, water + b"\0")
    assert "unknown layout: heat (type 20H), 901F, 22 bytes" in refusal(0x20, water)
    said = refusal(0x10, water[:7] + b"\5" + water[8:])
    assert "unknown layout: volume, 22 bytes: byte 7, 05H, behind the digits of current, is no unit of volume" in said
    assert "its units fit behind the digits" in refusal(0x10, water, Profile(unit_first=True))
    assert "identifier 902F is no reading" in refusal(0x10, b"\x90\x2f" + water[2:])


def test_what_fits_is_only_a_suggestion():
    by_id = {vector["id"]: raw for vector, row, raw in rows(True) if row["dir"] == "rsp"}
    assert [p.unit_first for p in suggest(one(by_id["cjt188-15"]))] == [True]
    assert [p.order for p in suggest(one(by_id["cjt188-17"]))] == [LOW_FIRST]
    # 0.29 m³ begins with 29H, which is the code of litre: both ways fit, so nothing may choose by itself
    both = suggest(one(by_id["cjt188-11"]))
    assert [p.unit_first for p in both] == [False, True]
    assert str(readings(one(by_id["cjt188-11"]))[0].value) == "0.29"
    assert suggest(one(by_id["cjt188-05"])) == []
    assert str(Profile()) == "identifier 90 1F, unit behind the digits"


def test_bad_calls_are_refused():
    for call in (
        lambda: frame(0x10, "123", 1, b""), lambda: frame(0x10, "1234567890123G", 1, b""),
        lambda: frame(256, "0" * 14, 1, b""), lambda: frame(0x10, "0" * 14, 1, bytes(256)),
        lambda: read_data(0x10, "0" * 14, 256), lambda: read_data(0x10, "0" * 14, -1),
        lambda: read_data(0x10, "0" * 14, 1, 0x10000), lambda: Profile("9 1"), lambda: Decoder("bus"),
        lambda: Exchange(b"\x68\x10"), lambda: Exchange(b""),
    ):  # fmt: skip
        with pytest.raises(FrameError):
            call()


def stream(random, rounds):
    """Frames, cut frames, changed frames and noise: (bytes, what was sent whole)."""
    line, sent = b"", []
    for _ in range(rounds):
        address = "".join("%02X" % b for b in random.bytes(7))
        raw = made(random.choice((0x10, 0x20, 0x30)), address, 0x81, random.bytes(random.choice((3, 22, 43, 46))))
        line += random.bytes(random.choice((0, 0, 1, 4, 30))) + b"\xfe" * random.below(5)
        kind = random.below(6)
        if kind == 0:
            line += raw[: random.below(len(raw))]
        elif kind == 1:
            at = random.below(len(raw))
            line += raw[:at] + bytes((raw[at] ^ 1 << random.below(8),)) + raw[at + 1 :]
        else:
            sent.append(raw)
            line += raw
    return line, sent


def fuzz(seed, rounds):
    random = Random(seed)
    found_all, wanted = 0, 0
    digest = 0
    for i in range(rounds):
        line, sent = stream(random, 6)
        decoder, found, at = Decoder(MASTER), [], 0
        while at < len(line):
            step = random.between(1, 60)
            found += decoder.feed(line[at : at + step])
            at += step
            assert decoder.pending <= 267
        found += decoder.flush()
        whole = Decoder(MASTER)
        raws = [f.raw for f in found]
        assert [f.raw for f in whole.feed(line) + whole.flush()] == raws, "seed %d, round %d" % (seed, i)
        for f in found:
            assert f.raw[0] == 0x68 and f.raw[-1] == 0x16 and sum(f.raw[:-2]) % 256 == f.raw[-2]
            digest = (digest * 31 + sum(f.raw)) & 0xFFFFFF
            for profile in suggest(f):
                readings(f, profile)
        wanted += len(sent)
        found_all += len([raw for raw in sent if raw in raws])
    print(found_all, wanted, "%06x" % digest)
    assert found_all == wanted


def test_fuzz():
    fuzz(188, 40)


@pytest.mark.slow
def test_fuzz_long():
    fuzz(1880, 1200)
