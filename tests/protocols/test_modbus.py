"""Modbus frames in both roles: vectors, limits, noise, echoes, late and foreign replies."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import modbus
from carbonterm.field.modbus import (
    EXCEPTIONS,
    FUNCTIONS,
    LIMITS,
    MASTER,
    METER,
    REQUEST,
    RESPONSE,
    Exchange,
    RtuDecoder,
    TcpDecoder,
    bits,
    crc16,
    exception,
    match,
    parse_request,
    parse_response,
    read_request,
    read_response,
    refusal,
    rtu,
    tcp,
    unpack_bits,
    write_request,
    write_response,
)
from seeded import Random
from vectors import load


def slow_crc(data):
    """CRC-16 as GB/T 19582.2 describes it, bit by bit: shares nothing with the tables."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def is_frame(raw):
    return slow_crc(raw[:-2]) == raw[-2] | raw[-1] << 8


def unhex(text):
    return bytes.fromhex(text.replace(" ", ""))


def some_request(random):
    function = random.choice(sorted(FUNCTIONS))
    if function < 5:
        count = random.between(1, LIMITS[function])
        return read_request(function, random.below(0x10000 - count), count)
    address = random.below(0xF000)
    if function == 5:
        return write_request(function, address, random.below(2))
    if function == 6:
        return write_request(function, address, random.bits(16))
    count = random.between(1, random.choice((3, LIMITS[function])))
    value = [random.below(2) for _ in range(count)] if function == 0x0F else random.bytes(2 * count)
    return write_request(function, address, value)


def some_response(random, request):
    if random.below(8) == 0:
        return exception(request[0], random.choice(sorted(EXCEPTIONS)))
    if request[0] > 4:
        return write_response(request)
    count = request[3] << 8 | request[4]
    return read_response(request[0], random.bytes(2 * count if request[0] in (3, 4) else (count + 7) // 8))


# --- bytes ---------------------------------------------------------------------------------------------------------


def test_the_crc_tables_are_the_polynomial():
    for byte in range(256):
        assert crc16(bytes((byte,))) == slow_crc(bytes((byte,)))
    random = Random(16)
    for size in range(60):
        data = random.bytes(size)
        assert crc16(data) == slow_crc(data)
    assert crc16(b"123456789") == 0x4B37  # the check value of CRC-16/MODBUS
    assert crc16(unhex("01 04 00 00 00 02 71 CB")) == 0


@pytest.mark.requirement("T-11.3-1")
def test_every_vector_is_decoded_or_refused():
    seen = 0
    for vector in load("field_frames")["vectors"]:
        if not vector["protocol"].startswith("modbus"):
            continue
        over_tcp = vector["protocol"] == "modbus_tcp"
        request = None
        for row in vector["frames"]:
            raw = unhex(row["hex"])
            role = METER if row["dir"] == "req" else MASTER
            decoder = TcpDecoder(role) if over_tcp else RtuDecoder(role)
            frames = decoder.feed(raw) + decoder.flush()
            if not vector["valid"]:
                assert frames == [] and decoder.dropped == len(raw), vector["id"]
                continue
            assert [f.raw for f in frames] == [raw] and decoder.dropped == 0, vector["id"]
            frame = frames[0]
            if role == METER:
                message = parse_request(frame.pdu)
                again = read_request(message.function, message.address, message.count)
                request = frame
            else:
                message = parse_response(frame.pdu)
                again = read_response(message.function, message.data)
                assert match(request, frame)
            assert (tcp(frame.transaction, frame.unit, again) if over_tcp else rtu(frame.unit, again)) == raw
            seen += 1
            print(vector["id"], frame.role, frame.unit, frame.function, message.data)
    assert seen == 18


def test_pdus_and_frames_have_the_bytes_of_the_standard():
    # GB/T 19582.1 clause 6, the examples
    for pdu, hexed in (
        (read_request(1, 0x13, 0x13), "01 0013 0013"), (read_response(1, unhex("CD6B05")), "01 03 CD6B05"),
        (read_request(3, 0x6B, 3), "03 006B 0003"), (read_response(3, unhex("022B00000064")), "03 06 022B 0000 0064"),
        (read_request(4, 8, 1), "04 0008 0001"), (write_request(5, 0xAC, True), "05 00AC FF00"),
        (write_request(5, 0xAC, 0), "05 00AC 0000"), (write_request(6, 1, 3), "06 0001 0003"),
        (write_request(0x0F, 0x13, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]), "0F 0013 000A 02 CD01"),
        (write_request(0x10, 1, unhex("000A0102")), "10 0001 0002 04 000A 0102"), (exception(1, 2), "81 02"),
        (write_response(unhex("0F0013000A02CD01")), "0F 0013 000A"),
        (write_response(unhex("060001 0003")), "06 0001 0003"),
    ):  # fmt: skip
        assert pdu == unhex(hexed), hexed
    assert rtu(1, read_request(3, 0x0C25, 2)) == unhex("01 03 0C25 0002 D690")
    assert tcp(0x1501, 0xFF, read_request(3, 4, 1)) == unhex("1501 0000 0006 FF 03 0004 0001")
    assert bits([1, 0, 1]) == b"\x05" and bits([]) == b"" and bits([0] * 8 + [1]) == b"\x00\x01"
    assert unpack_bits(b"\x05", 3) == [1, 0, 1] and unpack_bits(b"\x80") == [0] * 7 + [1]


def test_messages_say_what_was_asked():
    random = Random(1)
    for _ in range(300):
        pdu = some_request(random)
        message = parse_request(pdu)
        assert message.function == pdu[0] and refusal(pdu) is None
        if message.function < 5:
            again = read_request(message.function, message.address, message.count)
        elif message.function == 0x0F:
            again = write_request(message.function, message.address, unpack_bits(message.data, message.count))
        elif message.function == 0x10:
            again = write_request(message.function, message.address, message.data)
        else:
            value = message.data[0] << 8 | message.data[1]
            again = write_request(message.function, message.address, value)
        assert again == pdu
        response = some_response(random, pdu)
        message = parse_response(response)
        assert (message.exception is None) == (response[0] < 0x80)
        print(message.function, message.address, message.count, message.exception)


# --- refusals ------------------------------------------------------------------------------------------------------


def test_what_the_protocol_does_not_allow_cannot_be_built():
    for make in (
        lambda: read_request(3, 0, 0), lambda: read_request(3, 0, 126), lambda: read_request(1, 0, 2001),
        lambda: read_request(3, 65535, 2), lambda: read_request(3, -1, 1), lambda: read_request(3, 65536, 1),
        lambda: read_request(6, 0, 1), lambda: read_request(0x2B, 0, 1), lambda: write_request(3, 0, 1),
        lambda: write_request(6, 0, 65536), lambda: write_request(6, 0, -1), lambda: write_request(6, 65536, 0),
        lambda: write_request(0x10, 0, b""), lambda: write_request(0x10, 0, b"123"), lambda: write_request(0x0F, 0, []),
        lambda: write_request(0x10, 0, bytes(248)), lambda: write_request(0x0F, 0, [0] * 1969),
        lambda: read_response(3, b"123"), lambda: read_response(3, b""), lambda: read_response(3, bytes(252)),
        lambda: read_response(6, b"12"), lambda: read_response(1, bytes(251)), lambda: read_response(3, bytes(256)),
        lambda: write_response(b"\x03\x00\x00\x00\x01"), lambda: exception(3, 0), lambda: exception(3, 256),
        lambda: rtu(256, b"\x03"), lambda: rtu(-1, b"\x03"), lambda: rtu(1, b""), lambda: rtu(1, bytes(254)),
        lambda: tcp(65536, 1, b"\x03"), lambda: tcp(-1, 1, b"\x03"), lambda: RtuDecoder("slave"),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            make()
        print(caught.value)


def test_the_limits_themselves_are_allowed():
    for function, limit in sorted(LIMITS.items()):
        if function < 5:
            assert parse_request(read_request(function, 65536 - limit, limit)).count == limit
    assert len(rtu(1, write_request(0x10, 0, bytes(246)))) == 255
    assert len(rtu(1, write_request(0x0F, 0, [1] * 1968))) == 255
    assert len(rtu(1, read_response(3, bytes(250)))) == 255


def test_a_meter_refuses_with_the_right_exception():
    for hexed, answer in (
        ("03 0000 0001", None), ("03 0000 007E", "8303"), ("03 0000 0000", "8303"), ("03 FFFF 0002", "8302"),
        ("2B 0E 01 00", "AB01"), ("00", "8001"), ("", "8001"), ("03 0000", "8303"), ("03 0000 0001 00", "8303"),
        ("05 0000 FF00", None), ("05 0000 0001", "8503"), ("06 FFFF FFFF", None), ("10 0000 0002 04 00000000", None),
        ("10 0000 0002 02 0000", "9003"), ("10 0000 0002 04 0000", "9003"), ("0F 0000 000A 02 FFFF", None),
        ("0F 0000 000A 01 FF", "8F03"), ("10 0000 0000 00", "9003"), ("10 FFFF 0002 04 00000000", "9003"),
        ("08 0000 0000", "8801"), ("83 02", "8301"),
    ):  # fmt: skip
        assert refusal(unhex(hexed)) == (None if answer is None else unhex(answer)), hexed
        if answer:
            with pytest.raises(FrameError) as caught:
                parse_request(unhex(hexed))
            print(hexed, caught.value)


def test_broken_responses_are_refused():
    for hexed in ("", "03", "03 02 00", "03 02 0000 00", "03 00", "03 03 000000", "03 FE" + "00" * 254, "81",
                  "81 02 00", "AB 01", "2B 01", "06 0000", "05 0000 0001", "10 0000 0000", "10 0000 007C",
                  "0F FFFF 0002", "01 00", "01 FB" + "00" * 251):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            parse_response(unhex(hexed))
        print(caught.value)


def test_exception_codes_are_those_of_the_standard():
    assert sorted(EXCEPTIONS) == [1, 2, 3, 4, 5, 6, 8, 10, 11]
    for code, (name, meaning, again) in sorted(EXCEPTIONS.items()):
        assert name and meaning and again == (code > 3)
        frames = RtuDecoder(MASTER).feed(rtu(1, exception(4, code)))
        assert (frames[0].function, frames[0].exception) == (4, code)
        print(code, name, meaning)
    assert RtuDecoder(MASTER).feed(rtu(1, read_response(4, b"\x00\x02")))[0].exception is None


# --- the line ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-1")
def test_frames_come_whole_however_they_are_cut():
    request = rtu(17, write_request(0x10, 4, unhex("43663334")))
    response = rtu(17, read_response(3, unhex("43663334")))
    for role, raw in ((METER, request), (MASTER, response)):
        for cut in range(len(raw) + 1):
            decoder = RtuDecoder(role)
            frames = decoder.feed(raw[:cut]) + decoder.feed(raw[cut:])
            assert [f.raw for f in frames] == [raw] and decoder.pending == 0 and decoder.dropped == 0
        decoder = RtuDecoder(role)
        frames = []
        for i in range(len(raw)):
            assert frames == []
            frames += decoder.feed(raw[i : i + 1])
        assert [f.raw for f in frames] == [raw]
    for form in (bytearray, memoryview):  # a driver may hand over its buffer, and reuse it
        buffer = bytearray(response)
        decoder = RtuDecoder(MASTER)
        frames = decoder.feed(form(buffer)[:4]) + decoder.feed(form(buffer)[4:])
        buffer[0] = 99
        assert [f.raw for f in frames] == [response]
    glued = rtu(1, exception(3, 2)) + response + rtu(2, read_response(1, b"\x01"))
    assert [f.unit for f in RtuDecoder(MASTER).feed(glued)] == [1, 17, 2]
    assert [f.role for f in RtuDecoder(MASTER).feed(glued)] == [RESPONSE] * 3
    assert RtuDecoder(METER).feed(request)[0].role == REQUEST


@pytest.mark.requirement("T-11.3-1")
def test_a_half_frame_ends_with_silence_and_hides_nothing():
    good = rtu(1, read_response(3, b"\x12\x34"))
    for cut in range(1, len(good)):
        decoder = RtuDecoder(MASTER)
        assert decoder.feed(good[:cut]) == []
        assert decoder.flush() == [] and decoder.pending == 0 and decoder.dropped == cut
        assert [f.raw for f in decoder.feed(good)] == [good]
        # without the silence between them the next frame still comes, at the latest with the silence behind it
        decoder = RtuDecoder(MASTER)
        frames = decoder.feed(good[:cut] + good)
        frames += decoder.flush()
        assert [f.raw for f in frames] == [good]
    decoder = RtuDecoder(MASTER)
    assert decoder.feed(b"\x07\x03\xfa" + good) == [] and decoder.pending == 10  # a header that announces 250 bytes
    assert [f.raw for f in decoder.flush()] == [good] and decoder.dropped == 3


def test_one_flipped_bit_is_never_a_frame():
    raw = rtu(1, read_response(3, unhex("000A0102")))
    found = 0
    for bit in range(8 * len(raw)):
        wrong = bytearray(raw)
        wrong[bit >> 3] ^= 1 << (bit & 7)
        decoder = RtuDecoder(MASTER)
        found += len(decoder.feed(bytes(wrong)) + decoder.flush())
        assert decoder.dropped == len(raw)
    assert found == 0


@pytest.mark.requirement("T-11.3-1")
def test_noise_costs_only_itself():
    random = Random(232)
    digest, count, rounds = 0, 0, 150
    for i in range(rounds):
        role = random.choice((MASTER, METER))
        sent, line = [], b""
        for _ in range(random.between(1, 5)):
            request = some_request(random)
            pdu = request if role == METER else some_response(random, request)
            raw = rtu(random.between(1, 247), pdu)
            line += random.bytes(random.choice((0, 0, 1, 3, 20)))
            kind = random.below(6)
            if kind == 0:
                line += raw[: random.below(len(raw))]  # cut off, the next follows at once
            elif kind == 1:
                line += raw[:-1] + bytes((raw[-1] ^ 1 << random.below(8),))
            else:
                sent.append(raw)
                line += raw
        decoder = RtuDecoder(role)
        found, at = [], 0
        while at < len(line):
            step = random.between(1, 40)
            found += decoder.feed(line[at : at + step])
            at += step
            assert decoder.pending < 260
        found += decoder.flush()
        whole = RtuDecoder(role)
        assert [f.raw for f in whole.feed(line) + whole.flush()] == [f.raw for f in found], i
        for frame in found:
            assert is_frame(frame.raw) and frame.raw == rtu(frame.unit, frame.pdu)
            digest = (digest * 31 + slow_crc(frame.pdu)) & 0xFFFFFF
        got = [f.raw for f in found]
        assert [raw for raw in sent if raw not in got] == [], "seed 232, round %d lost a frame" % i
        assert decoder.dropped == len(line) - sum(len(raw) for raw in got)
        count += len(got)
    print(count, "%06x" % digest)


def test_pure_noise_gives_next_to_nothing_and_holds_little():
    random = Random(485)
    for role in (MASTER, METER):
        decoder = RtuDecoder(role)
        found = 0
        for _ in range(60):
            for frame in decoder.feed(random.bytes(random.between(1, 300))):
                assert is_frame(frame.raw)
                found += 1
            assert decoder.pending < 260
        print(role, found, decoder.dropped, decoder.errors, decoder.pending)
        assert found <= 2


# --- whose reply ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-1")
def test_an_echo_is_no_response():
    for address in (0x0000, 0x0400, 0x1005, 0xFA00):  # as a response: 0, 4, 16 and 250 bytes of data
        exchange = Exchange(1, read_request(3, address, 2))
        response = rtu(1, read_response(3, unhex("42480000")))
        frame = exchange.feed(exchange.frame + response)
        assert frame.raw == response and exchange.dropped == len(exchange.frame)
    for request in (write_request(0x10, 7, unhex("0001")), write_request(0x0F, 7, [1])):
        exchange = Exchange(1, request)
        assert exchange.feed(exchange.frame) is None
        assert exchange.feed(rtu(1, write_response(request))).pdu == write_response(request)
    for request in (write_request(5, 1, 1), write_request(6, 1, 7)):
        assert Exchange(1, request).feed(rtu(1, request)) is not None  # by design the same bytes
        exchange = Exchange(1, request, echo=True)
        assert exchange.feed(exchange.frame) is None
        assert exchange.feed(rtu(1, write_response(request))).pdu == request
        exchange = Exchange(1, request, echo=True)
        assert exchange.feed(exchange.frame + rtu(1, exception(request[0], 4))).exception == 4


@pytest.mark.requirement("T-11.3-1")
def test_late_and_foreign_replies_are_dropped():
    good = rtu(1, read_response(3, unhex("11223344")))
    for wrong in (
        rtu(2, read_response(3, unhex("55667788"))), rtu(1, read_response(4, unhex("55667788"))),
        rtu(1, read_response(3, unhex("5566"))), rtu(1, read_response(3, unhex("55667788") * 30)),
        rtu(1, exception(4, 2)), rtu(3, exception(3, 2)), rtu(1, write_response(write_request(6, 3, 4))),
        rtu(1, read_response(1, b"\x01\x02\x03\x04")),
    ):  # fmt: skip
        exchange = Exchange(1, read_request(3, 100, 2))
        assert exchange.feed(wrong) is None and exchange.flush() is None
        assert exchange.feed(good).raw == good
        assert Exchange(1, read_request(3, 100, 2)).feed(wrong + good).raw == good
    assert Exchange(1, read_request(3, 100, 2)).feed(rtu(1, exception(3, 2))).exception == 2
    assert Exchange(1, read_request(1, 0, 19)).feed(rtu(1, read_response(1, b"\x01\x02\x03"))) is not None
    assert Exchange(1, read_request(1, 0, 16)).feed(rtu(1, read_response(1, b"\x01\x02\x03"))) is None
    assert Exchange(1, write_request(6, 3, 4)).feed(rtu(1, write_request(6, 3, 5))) is None
    assert Exchange(1, write_request(0x10, 3, b"12")).feed(rtu(1, unhex("1000040001"))) is None


def test_expectations_can_be_changed_and_dropped():
    decoder = RtuDecoder(MASTER)
    decoder.expect(1, 3, 2)
    assert decoder.feed(rtu(2, read_response(3, unhex("11223344")))) == []
    decoder.expect(2, 3, 1)
    assert len(decoder.feed(rtu(2, read_response(3, b"12")))) == 1
    decoder.expect()
    assert len(decoder.feed(rtu(9, exception(1, 1)))) == 1
    decoder.expect(2, 3, 1)
    assert decoder.feed(b"\x02\x03\x02") == [] and decoder.pending == 3
    decoder.expect(2, 4, 1)
    assert len(decoder.feed(rtu(2, read_response(4, b"12")))) == 1 and decoder.pending == 0


def test_an_expected_frame_never_waits_behind_noise():
    random = Random(4)
    for _ in range(100):
        exchange = Exchange(random.between(1, 247), read_request(3, random.bits(12), random.between(1, 9)))
        count = exchange.pdu[4]
        response = rtu(exchange.unit, read_response(3, random.bytes(2 * count)))
        noise = bytes(b for b in random.bytes(random.below(60)) if b != exchange.unit)
        frame = exchange.feed(noise + response)
        assert frame and frame.raw == response  # with no flush


# --- TCP -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-11.3-1")
def test_tcp_frames_are_matched_by_transaction():
    request = read_request(3, 16, 2)
    response = tcp(7, 1, read_response(3, unhex("CAFEF00D")))
    for cut in range(len(response) + 1):
        exchange = Exchange(1, request, transaction=7)
        frame = exchange.feed(response[:cut]) or exchange.feed(response[cut:])
        assert frame.raw == response and parse_response(frame.pdu).data == unhex("CAFEF00D")
    for wrong in (tcp(6, 1, response[7:]), tcp(7, 2, response[7:]), tcp(7, 1, read_response(4, unhex("CAFEF00D"))),
                  tcp(7, 1, read_response(3, b"12")), tcp(6, 1, exception(3, 2))):  # fmt: skip
        exchange = Exchange(1, request, transaction=7)
        assert exchange.feed(wrong) is None
        assert exchange.feed(response).raw == response
    assert Exchange(1, request, transaction=7).feed(tcp(7, 1, exception(3, 11))).exception == 11


@pytest.mark.requirement("T-11.3-1")
def test_tcp_streams_come_back_into_step():
    random = Random(502)
    digest = 0
    for i in range(120):
        role = random.choice((MASTER, METER))
        sent, line = [], b""
        for _ in range(random.between(1, 5)):
            request = some_request(random)
            pdu = request if role == METER else some_response(random, request)
            raw = tcp(random.between(256, 65535), random.between(1, 255), pdu)
            # noise that announces no frame: no two zero bytes
            line += bytes(b or 1 for b in random.bytes(random.choice((0, 0, 1, 5, 30))))
            sent.append(raw)
            line += raw
        decoder = TcpDecoder(role)
        found, at = [], 0
        while at < len(line):
            step = random.between(1, 50)
            found += decoder.feed(line[at : at + step])
            at += step
        found += decoder.flush()
        got = [f.raw for f in found]
        assert [raw for raw in sent if raw not in got] == [], "seed 502, round %d lost a frame" % i
        for frame in found:
            assert frame.raw == tcp(frame.transaction, frame.unit, frame.pdu)
            digest = (digest * 31 + slow_crc(frame.raw)) & 0xFFFFFF
    print("%06x" % digest)


def test_tcp_headers_are_checked():
    good = tcp(1, 1, read_response(3, b"12"))
    for hexed in ("0001 0001 0005 01 03 02 0000", "0001 0000 0001 01", "0001 0000 00FF 01", "0001 0000 0100 01 03",
                  "0001 0000 0004 01 03 02 00", "0001 0000 0003 01 00 02", "0001 0000 0003 01 80 02"):  # fmt: skip
        decoder = TcpDecoder(MASTER)
        assert decoder.feed(unhex(hexed)) == []
        frames = decoder.feed(good)
        frames += decoder.flush()
        assert [f.raw for f in frames] == [good], hexed
        assert decoder.dropped == len(unhex(hexed))
    # a meter must see functions it does not have, to refuse them
    frames = TcpDecoder(METER).feed(tcp(9, 1, unhex("2B0E0100")) + tcp(10, 1, read_request(3, 0, 1)))
    assert [refusal(f.pdu) for f in frames] == [exception(0x2B, 1), None]
    # but not exceptions, which are responses
    assert TcpDecoder(METER).feed(tcp(9, 1, exception(3, 1))) == []
    # a count beyond the limit is the meter's to refuse
    assert refusal(TcpDecoder(METER).feed(tcp(1, 1, unhex("03 0000 00C8")))[0].pdu) == exception(3, 3)
    assert refusal(RtuDecoder(METER).feed(rtu(1, unhex("03 0000 00C8")))[0].pdu) == exception(3, 3)


def test_lengths_follow_from_the_first_bytes():
    for role, raw in ((RESPONSE, rtu(1, read_response(3, b"12"))), (REQUEST, rtu(1, write_request(0x10, 0, b"1234"))),
                      (RESPONSE, rtu(1, exception(6, 1))), (REQUEST, rtu(1, read_request(1, 0, 1)))):  # fmt: skip
        assert modbus.rtu_length(role, b"\xff" + raw, 1) == len(raw)
        for cut in range(len(raw)):
            assert cut < modbus.rtu_length(role, raw[:cut]) <= len(raw)
    for role, hexed in ((RESPONSE, "01 2B"), (RESPONSE, "01 AB"), (RESPONSE, "01 80"), (REQUEST, "01 83"),
                        (REQUEST, "01 00"), (RESPONSE, "01 03 03"), (RESPONSE, "01 03 FC"), (RESPONSE, "01 01 00"),
                        (REQUEST, "01 10 0000 0001 F8"), (REQUEST, "01 10 0000 0001 03")):  # fmt: skip
        assert modbus.rtu_length(role, unhex(hexed)) == 0, hexed
