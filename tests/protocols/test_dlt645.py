"""DL/T 645 frames in both roles: vectors, bytes whose order no sum sees, noise, follow-ups, what is never sent."""

import sys

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import dlt645
from carbonterm.field.dlt645 import (
    ASKED,
    BROADCAST,
    LONGEST,
    MASTER,
    METER,
    V1997,
    V2007,
    WILDCARD,
    Decoder,
    Exchange,
    Frame,
    Meter,
    Read,
    address_request,
    address_response,
    covers,
    error_response,
    fault,
    follow_request,
    follow_response,
    frame,
    freeze_request,
    match,
    read_request,
    read_response,
    reread_request,
    short_address,
    time_request,
)
from carbonterm.field.dlt645_items import lookup, read, size, to_2007, values, write
from seeded import Random
from vectors import load

OWN = "201000000012"
ENERGY = "00010000"


def unhex(text):
    return bytes.fromhex(text.replace(" ", ""))


def vectors():
    return [v for v in load("field_frames")["vectors"] if v["protocol"].startswith("dlt645")]


def asked(raw):
    """(address, pdu) of a request's bytes."""
    found = Decoder(METER).feed(raw)[0]
    return found.address, found.pdu


def meter_of(table, **more):
    return Meter(OWN, lambda identifier: table.get(identifier), **more)


def talk(meter, address, pdu):
    """The reply's Frame, through both decoders; None for silence."""
    requests = Decoder(METER).feed(frame(address, pdu))
    assert len(requests) == 1
    reply = meter.answer(requests[0])
    return None if reply is None else Decoder(MASTER).feed(reply)[0]


# --- bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-2", part="reference vectors decoded or refused")
def test_every_vector_is_a_frame_or_refused_and_built_again():
    seen = 0
    for vector in vectors():
        for row in vector["frames"]:
            raw = unhex(row["hex"])
            decoder = Decoder(METER if row["dir"] == "req" else MASTER)
            frames = decoder.feed(raw) + decoder.flush()
            if not vector["valid"]:
                assert frames == [] and decoder.dropped == len(raw), vector["id"]
                continue
            found = frames[0]
            leaders = row["parsed"]["preamble_fe"]
            assert len(frames) == 1 and decoder.dropped == 0 and fault(found.pdu, vector["protocol"]) is None
            assert found.address == row["parsed"]["address"] and found.pdu[1:] == unhex(row["parsed"]["data_minus33"])
            assert frame(found.address, found.pdu, leaders) == raw, vector["id"]
            told = values(found.identifier, found.payload) if found.from_meter and found.identifier else []
            print(vector["id"], found.address, found.control, found.identifier, found.error, found.seq,
                  " ".join(["%s=%s%s" % (v.code, v.value, v.unit) for v in told]))  # fmt: skip
            seen += 1
    assert seen == 44


def test_requests_have_the_bytes_of_the_standard():
    for pdu, hexed in (
        (read_request("00010000"), "11 00000100"), (read_request("9010"), "01 1090"),
        (read_request("02800002"), "11 02008002"), (follow_request("03300001", 1), "12 01003003 01"),
        (follow_request("901F"), "02 1F90"), (reread_request(), "03"), (address_request(), "13"),
        # seconds first, the year last: the reversed bytes have the same sum, only the bytes tell
        (time_request(2017, 6, 5, 10, 40, 25), "08 25 40 10 05 06 17"),
        (freeze_request(), "16 99999999"), (freeze_request(minute=30), "16 30999999"),
        (freeze_request(12, 28, 23, 59), "16 59232812"), (freeze_request(None, 1, 0, 0), "16 00000199"),
        (address_response(OWN), "93 120000001020"), (error_response(0x11, 2), "D1 02"),
        (read_response("9010", b"\x15\0\0\0"), "81 1090 15000000"), (read_response("9010", b"", True), "A1 1090"),
        (follow_response("0001FF00", b"\7", 3), "92 00FF0100 07 03"), (follow_response("901F", b"\7"), "82 1F90 07"),
    ):  # fmt: skip
        assert pdu == unhex(hexed), hexed
    assert frame("111111111111", time_request(2017, 6, 5, 10, 40, 25), 0) == unhex(
        "68 11 11 11 11 11 11 68 08 06 58 73 43 38 39 4A 0D 16"
    )
    assert frame("123456789012", read_request("9010"))[:11] == unhex("FEFEFEFE 68 12 90 78 56 34 12")
    assert short_address("3456") == "AAAAAAAA3456" and dlt645.address_bytes("AAAAAAAA3456") == unhex("5634AAAAAAAA")
    assert covers(WILDCARD, OWN) and covers("AAAAAAAAAA12", OWN) and not covers("AAAAAAAAAA13", OWN)
    assert dlt645.duration_ms(20, 2400) == 92
    assert dlt645.errors(V2007, 0x06) == ["no such data", "wrong password or not authorised"]
    assert dlt645.errors(V1997, 0x88) == ["bit 3", "bit 7"]


@pytest.mark.requirement("T-11.3-2", part="only reads, time and freeze can leave")
def test_no_other_request_can_be_sent():
    sent = []
    for control in range(128):
        try:
            frame(OWN, bytes((control, 0, 0, 0, 0)))
            sent.append(control)
        except FrameError as error:
            print(error)
    assert sent == sorted(ASKED)


def test_what_the_protocol_does_not_allow_cannot_be_built():
    for make in (
        lambda: read_request(""), lambda: read_request("0001"[:3]), lambda: read_request("0001000G"),
        lambda: read_request("0001000a"), lambda: follow_request(ENERGY, 0), lambda: follow_request(ENERGY, 256),
        lambda: time_request(1999, 1, 1, 0, 0, 0), lambda: time_request(2100, 1, 1, 0, 0, 0),
        lambda: time_request(2026, 2, 29, 0, 0, 0), lambda: time_request(2026, 13, 1, 0, 0, 0),
        lambda: time_request(2026, 1, 1, 24, 0, 0), lambda: time_request(2026, 1, 1, 0, 0, 60),
        lambda: freeze_request(minute=60), lambda: freeze_request(hour=1), lambda: freeze_request(1, 1, None, 1),
        lambda: freeze_request(1, 31, 0, 0), lambda: error_response(0x11, 0), lambda: error_response(0x11, 256),
        lambda: frame("12", read_request(ENERGY)), lambda: frame("12345678901A", read_request(ENERGY)),
        lambda: frame("12AA56789012", read_request(ENERGY)), lambda: frame(OWN, b""),
        lambda: frame(OWN, bytes((0x91,)) + bytes(201)), lambda: short_address("123"), lambda: short_address("1A"),
        lambda: Decoder("slave"), lambda: Exchange(OWN, b"\x91"), lambda: Exchange(OWN, b"\x11\x00"),
        lambda: Exchange(BROADCAST, read_request(ENERGY)), lambda: Exchange(BROADCAST, address_request()),
        lambda: Meter("1", None), lambda: Meter(OWN, None, longest=15),
        lambda: write("XX.XX", "100"), lambda: write("XX.XX", "1.234"), lambda: write("XX.XX", "-1"),
        lambda: write("sXX.XX", "-80"), lambda: read("XX.XX", b"1"), lambda: values(ENERGY, b"\0\0\0"),
        lambda: values("0001FF00", b"\0\0\0\0\0"), lambda: values("0001FF00", b""), lambda: write("AAAA", "abc"),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            make()
        print(caught.value)


# --- values --------------------------------------------------------------------------------------------------------


def test_layouts_read_what_they_wrote_and_nothing_else():
    for layout, hexed, wanted in (
        ("XXXXXX.XX", "26 00 01 00", "100.26"), ("XXXX", "31 02", "231"), ("sXX.XXXX", "12 25 80", "-0.2512"),
        ("sXX.XXXX", "99 99 79", "79.9999"), ("sXXX.X", "00 80", "0.0"), ("XX.XX", "FF FF", None),
        ("XX.XX", "0A 00", None), ("XX.XX", "03 F0", None), ("XXX.X", "56 82", "825.6"), ("HHHH", "10 80", "0x8010"),
        ("HH", "FF", None), ("NNNNNNNNNNNN", "12 00 00 00 10 20", OWN), ("NNNN", "0B 00", None),
        ("AAAAAAAA", "32 31 41 00", "A12"), ("AAAAAAAA", "01 31 41 00", None), ("AAAA", "00 00", None),
        ("hhmmss", "55 53 21", "21:53:55"), ("hhmmss", "55 53 24", None), ("YYMMDDhhmm", "30 12 21 11 26",
        "2026-11-21 12:30"), ("YYMMDDhhmm", "30 12 31 11 26", None), ("YYMMDDhhmm", "00 00 00 00 00", None),
        ("YYMMDDhhmm", "00 00 29 02 28", "2028-02-29 00:00"), ("MMDDhhmm", "05 10 29 02", "02-29 10:05"),
    ):  # fmt: skip
        got = read(layout, unhex(hexed))
        assert (None if got is None else str(got)) == wanted, (layout, hexed)
        if wanted and wanted != "0.0":
            assert write(layout, wanted) == unhex(hexed), (layout, hexed)
        print(layout, got)
    assert write("XX.XX", None) == b"\xff\xff" and size("sXX.XXXX") == 3 and size("hhmmss") == 3


def test_items_of_both_editions():
    for identifier, bytes_, unit, name in (
        ("00000000", 4, "kWh", "combined active energy, total"), ("00010000", 4, "kWh", "forward active energy, total"),
        ("00023F0C", 4, "kWh", "reverse active energy, tariff 63, settlement day 12 ago"),
        ("00050000", 4, "kvarh", "reactive quadrant 1 energy, total"), ("00090000", 4, "kVAh", None),
        ("00290000", 4, "kWh", None), ("01010000", 8, "kW", None), ("02010300", 2, "V", "voltage, phase C"),
        ("02020100", 3, "A", None), ("02060000", 2, None, "power factor, total"), ("02800007", 2, "°C", None),
        ("0400040B", 10, None, None), ("04000507", 2, None, None), ("05060001", 5, None, None),
        ("9010", 4, "kWh", None), ("9120", 4, "kvarh", "combined reactive 2 energy, total"),
        ("9842", None, None, None), ("9814", 4, "kWh", "forward active energy, tariff 4, month before last"),
        ("A010", 3, "kW", None), ("B010", 4, None, None), ("B612", 2, "V", None), ("B630", 3, "kW", None),
        ("B650", 2, None, None), ("B610", None, None, None), ("C032", 6, None, None), ("C020", 1, None, None),
        ("02010000", None, None, None), ("02010400", None, None, None), ("0001000D", None, None, None),
        ("9C10", None, None, None), ("FFFFFFFF", None, None, None), ("0001FF00", None, None, None),
    ):  # fmt: skip
        item = lookup(identifier)
        assert (item.size if item else None) == bytes_, identifier
        if item:
            assert item.layouts[0][2] == unit and item.chinese and (name is None or item.name == name), item.name
            print(identifier, item.name)
    for identifier, count, first, last in (
        ("0001FF00", 5, "00010000", "00010400"), ("000100FF", 13, "00010000", "0001000C"),
        ("0203FF00", 4, "02030000", "02030300"), ("0202FF00", 3, "02020100", "02020300"), ("901F", 5, "9010", "9014"),
        ("B61F", 3, "B611", "B613"), ("B63F", 4, "B630", "B633"), ("05060101", 5, "05060101", "05060101/4"),
    ):  # fmt: skip
        each = (lookup(first) or lookup(ENERGY)).size
        found = values(identifier, bytes(each * count))
        assert (len(found), found[0].code, found[-1].code) == (count, first, last)
        assert values(identifier, b"\xff" * each * count)[0].value is None
    demand = values("0101FF00", unhex("563412 3012211126") * 2)
    assert [(v.code, str(v.value)) for v in demand][:2] == [
        ("01010000", "12.3456"),
        ("01010000/time", "2026-11-21 12:30"),
    ]
    assert len(demand) == 4 and values("07000001", b"123") == []


def test_the_editions_are_mapped():
    for old, new in (
        ("9010", "00010000"), ("901F", "0001FF00"), ("941F", "0001FF01"), ("902F", "0002FF00"), ("911F", "0003FF00"),
        ("B611", "02010100"), ("B621", "02020100"), ("B630", "02030000"), ("B640", "02040000"), ("C011", "04000102"),
        ("D113", "04000503"), ("B650", "02060000"), ("A010", "01010000"), ("9824", "00020402"), ("B61F", "0201FF00"),
        ("B610", None), ("C020", None), ("9C10", None), ("9070", None),
    ):  # fmt: skip
        assert to_2007(old) == new, old


# --- the line ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-2", part="reference vectors decoded or refused")
def test_vectors_behind_noise_and_split_anywhere_give_the_same():
    random = Random(645)
    count = 0
    for vector in vectors():
        for row in vector["frames"]:
            raw = unhex(row["hex"])
            role = METER if row["dir"] == "req" else MASTER
            for noise in (b"", b"\x68", random.bytes(9), raw[: len(raw) - 3], b"\x68\0\0\0\0\0\0\x68\x91\xff"):
                line = noise + raw
                for cut in range(len(line) + 1):
                    decoder = Decoder(role)
                    frames = decoder.feed(line[:cut]) + decoder.feed(line[cut:]) + decoder.flush()
                    got = [f.raw for f in frames]
                    assert got == ([raw[raw.find(b"\x68") :]] if vector["valid"] else []), (vector["id"], cut)
                    count += 1
    print(count)


def test_silence_ends_a_half_frame_and_the_buffer_is_bounded():
    good = frame(OWN, read_response(ENERGY, b"\0\0\0\0"), 0)
    decoder = Decoder(MASTER)
    head = b"\x68\0\0\0\0\0\0\x68\x91\xc8"  # announces 200 bytes
    assert decoder.feed(head + good) == [] and decoder.pending == 30
    assert [f.raw for f in decoder.flush()] == [good] and decoder.dropped == 10 and decoder.pending == 0
    for _ in range(50):
        decoder.feed(head * 7)
        assert decoder.pending <= 211
    for form in (bytearray, memoryview):
        assert [f.raw for f in Decoder(MASTER).feed(form(bytearray(good)))] == [good]


def test_only_the_reply_that_was_asked_for_is_taken():
    exchange = Exchange(OWN, read_request(ENERGY))
    right = frame(OWN, read_response(ENERGY, b"\x26\0\0\0"))
    others = (
        exchange.frame,  # echo
        frame("201000000013", read_response(ENERGY, b"\1\0\0\0")),
        frame(OWN, read_response("00020000", b"\1\0\0\0")),  # the late reply to another identifier
        frame(OWN, follow_response(ENERGY, b"\1\0\0\0", 1)),
        frame(OWN, read_response("9010", b"\1\0\0\0")),
        frame(OWN, address_response(OWN)),
        frame(OWN, bytes((0xD1, 1, 2))),
        frame(OWN, bytes((0xF1, 1))),
        frame(WILDCARD, read_response(ENERGY, b"\1\0\0\0")),
        frame(OWN, b"\x91\0\0"),
    )
    for other in others:
        exchange = Exchange(OWN, read_request(ENERGY))
        assert exchange.feed(other) is None
        assert exchange.feed(right).payload == b"\x26\0\0\0" and not exchange.silent
    refused = Exchange(OWN, read_request(ENERGY)).feed(frame(OWN, error_response(0x11, 2)))
    assert refused.error == 2 and refused.identifier is None
    ask = Exchange(WILDCARD, read_request(ENERGY))
    assert ask.feed(frame(WILDCARD, read_response(ENERGY, b"\1\0\0\0"))).address == WILDCARD
    short = Exchange(short_address("12"), read_request(ENERGY))
    assert short.feed(frame("201000000013", read_response(ENERGY, b"\1\0\0\0"))) is None
    assert short.feed(right).address == OWN
    broadcast = Exchange(BROADCAST, read_request("9010"))  # meters of 1997 that answer
    assert broadcast.feed(frame("000000063295", read_response("9010", b"\x15\0\0\0"))).payload == b"\x15\0\0\0"
    lying = Exchange(WILDCARD, address_request())
    assert lying.feed(frame("201000000013", address_response(OWN))) is None
    assert lying.feed(frame(OWN, address_response(OWN))).payload == unhex("120000001020")
    again = Exchange(OWN, follow_request(ENERGY, 2))
    assert again.feed(frame(OWN, follow_response(ENERGY, b"\1", 1))) is None
    assert again.feed(frame(OWN, follow_response(ENERGY, b"\2", 2))).payload == b"\2"
    for pdu in (time_request(2026, 11, 21, 4, 5, 6), freeze_request()):
        assert Exchange(BROADCAST, pdu).silent
    assert Exchange(OWN, time_request(2026, 11, 21, 4, 5, 6)).silent and not Exchange(OWN, freeze_request()).silent
    assert Exchange(OWN, reread_request()).feed(frame(OWN, bytes((0x83, 0x10, 0x90, 1, 0, 0, 0)))).identifier == "9010"


# --- both roles ----------------------------------------------------------------------------------------------------


def test_a_meter_answers_what_is_its_own_and_is_silent_to_others():
    given = []
    table = {ENERGY: b"\x26\0\0\0", "9010": b"\x15\0\0\0"}
    meter = meter_of(table, set_time=given.append, freeze=given.append)
    for address in (OWN, WILDCARD, short_address("12"), short_address("00000012")):
        assert talk(meter, address, read_request(ENERGY)).payload == b"\x26\0\0\0"
        assert talk(meter, address, read_request(ENERGY)).address == OWN
    for address in (BROADCAST, "201000000013", short_address("13")):
        assert talk(meter, address, read_request(ENERGY)) is None
    assert talk(meter, OWN, read_request("9010")).payload == b"\x15\0\0\0"
    assert talk(meter, OWN, read_request("00020000")).error == dlt645.NO_SUCH_DATA
    assert talk(meter, OWN, b"\x11\0").error == 1
    assert talk(meter, WILDCARD, address_request()).payload == unhex("120000001020")
    assert talk(meter, BROADCAST, time_request(2026, 11, 21, 4, 5, 6)) is None
    assert talk(meter, OWN, time_request(2026, 11, 21, 4, 5, 7)) is None
    assert talk(meter, BROADCAST, freeze_request()) is None and talk(meter, OWN, freeze_request()).control == 0x96
    assert talk(meter, "201000000013", freeze_request()) is None
    assert given == [unhex("08060504211126"), unhex("08070504211126"), unhex("1699999999"), unhex("1699999999")]
    write_it = bytearray(frame(OWN, read_request(ENERGY), 0))  # a write, which only others can build
    write_it[8], write_it[-2] = 0x14, write_it[-2] + 3
    assert Decoder(MASTER).feed(meter.answer(Decoder(METER).feed(bytes(write_it))[0]))[0].error == dlt645.NOT_AUTHORISED
    reply = Frame(frame(OWN, read_response(ENERGY, b""), 0))
    assert meter.answer(reply) is None


def test_follow_up_frames_are_joined():
    random = Random(27)
    for length, longest in ((5, 16), (12, 16), (13, 16), (23, 16), (24, 16), (252, LONGEST), (600, LONGEST), (250, 16)):
        payload = random.bytes(length)
        meter = meter_of({"0001FF00": payload}, longest=longest)
        for address in (OWN, WILDCARD):
            reading = Read(address, "0001FF00")
            got, frames = None, 0
            while got is None:
                exchange = reading.exchange
                request = Decoder(METER).feed(exchange.frame)[0]
                reply = exchange.feed(meter.answer(request))
                got = reading.take(reply)
                frames += 1
            assert got == payload
            print(length, longest, frames)
    reading = Read(OWN, ENERGY)
    with pytest.raises(FrameError) as caught:
        reading.take(Frame(frame(OWN, error_response(0x11, 2), 0)))
    print(caught.value)
    old = meter_of({"901F": bytes(20)}, longest=16)
    reading = Read(OWN, "901F")
    assert reading.take(reading.exchange.feed(old.answer(Decoder(METER).feed(reading.exchange.frame)[0]))) is None
    assert reading.take(reading.exchange.feed(old.answer(Decoder(METER).feed(reading.exchange.frame)[0]))) == bytes(20)


# --- noise ---------------------------------------------------------------------------------------------------------


def mutated(random, raw):
    line = bytearray(raw)
    for _ in range(random.below(4)):
        line[random.below(len(line))] = random.choice((0x68, 0x16, 0xFE, 0x91, random.bits(8)))
    if random.below(3) == 0:
        line = line[: random.below(len(line))] + line[random.below(len(line)) :]
    return random.bytes(random.choice((0, 0, 1, 5))) + bytes(line)


def fuzz(seed, rounds):
    """(frames found, digest): nothing that a fresh look at the bytes would not call the asked meter's reply."""
    random = Random(seed)
    taken, digest = 0, 0
    request = read_request(ENERGY)
    good = [frame(OWN, pdu) for pdu in (read_response(ENERGY, b"\x26\0\1\0"), error_response(0x11, 2),
                                        read_response("00020000", b"\1\0\0\0"))]  # fmt: skip
    good.append(frame("201000000013", read_response(ENERGY, b"\7\0\0\0")))
    for _ in range(rounds):
        line = b"".join([mutated(random, random.choice(good)) for _ in range(random.between(1, 3))])
        exchange, decoder = Exchange(OWN, request), Decoder(random.choice((MASTER, METER)))
        cut = random.below(len(line) + 1)
        for found in decoder.feed(line[:cut]) + decoder.feed(line[cut:]) + decoder.flush():
            assert found.raw[-2] == sum(found.raw[:-2]) & 255 and found.raw in line
            fault(found.pdu)
            if found.identifier and not fault(found.pdu):
                try:
                    values(found.identifier, found.payload)
                except FrameError:
                    digest += 1
            digest = (digest * 31 + sum(found.raw)) & 0xFFFFFF
        reply = exchange.feed(line[:cut]) or exchange.feed(line[cut:]) or exchange.flush()
        if reply:
            assert reply.address == OWN and reply.function == 0x11 and match(OWN, request, reply)
            assert reply.error is not None or reply.identifier == ENERGY
            taken += 1
    return taken, digest


def test_no_noise_is_taken_for_a_reply():
    taken, digest = fuzz(7, 400)
    print(taken, "%06x" % digest)
    assert taken > 50


def test_noise_costs_only_itself():
    random = Random(16)
    for _ in range(150):
        sent, line = [], b""
        for _ in range(random.between(1, 4)):
            raw = frame(OWN, read_response(ENERGY, random.bytes(random.below(20))), random.below(8))
            line += random.bytes(random.choice((0, 0, 3, 12))) + raw[: random.below(len(raw))] + raw
            sent.append(raw[raw.find(b"\x68") :])
        decoder = Decoder(MASTER)
        found, at = [], 0
        while at < len(line):
            step = random.between(1, 30)
            found += decoder.feed(line[at : at + step])
            at += step
            assert decoder.pending < 212
        found = [f.raw for f in found + decoder.flush()]
        assert [raw for raw in sent if raw not in found] == []
    print("ok")


@pytest.mark.slow
def test_no_noise_is_taken_for_a_reply_in_many_rounds():
    rounds = 100000 if sys.implementation.name == "cpython" else 3000
    taken, _ = fuzz(100, rounds)
    assert taken > rounds // 8
