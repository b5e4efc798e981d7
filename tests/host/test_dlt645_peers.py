"""DL/T 645-2007 against somebody else's codec, meter and master: PyPI dlt645, one meter on a line.

Where it differs from meters in the field, the tests say so instead of following it: it sends the time with the year
first (captures have the seconds first) and keeps its own address in the order of the wire.
"""

import random
import socket
import threading

import dlt645 as peer
import pytest

from carbonterm.field import dlt645
from carbonterm.field.dlt645_items import values, write
from vectors import load

ADDRESS = "123456789012"
WIRE = bytes.fromhex("129078563412")


def theirs(raw):
    return peer.DLT645Protocol.deserialize(raw)


@pytest.mark.requirement("T-11.3-2", part="an independent codec, meter and master")
def test_their_codec_and_ours_make_and_read_the_same_frames():
    seeded = random.Random(2007)
    for _ in range(400):
        address = "".join(seeded.choice("0123456789") for _ in range(12))
        wire = dlt645.address_bytes(address)
        leaders = seeded.randint(0, 4)
        pdu = bytes((seeded.choice((0x91, 0xB1, 0xD1, 0x81, 0x93)),)) + seeded.randbytes(seeded.randint(0, 200))
        raw = dlt645.frame(address, pdu, leaders)
        assert bytes(peer.DLT645Protocol.build_frame(wire, pdu[0], pdu[1:], leaders)) == raw
        told = theirs(raw)
        assert (bytes(told.addr), told.ctrl_code, bytes(told.data)) == (wire, pdu[0], pdu[1:])
        (found,) = dlt645.Decoder(dlt645.MASTER).feed(raw)
        assert (found.address, found.pdu) == (address, pdu)


@pytest.mark.requirement("T-11.3-2", part="an independent codec, meter and master")
def test_both_agree_on_every_vector():
    for vector in load("field_frames")["vectors"]:
        if not vector["protocol"].startswith("dlt645"):
            continue
        for row in vector["frames"]:
            raw = bytes.fromhex(row["hex"])
            ours = dlt645.Decoder(dlt645.METER if row["dir"] == "req" else dlt645.MASTER)
            frames = ours.feed(raw) + ours.flush()
            if not vector["valid"]:
                assert frames == []
                with pytest.raises(ValueError):
                    theirs(raw)
                continue
            told = theirs(raw)
            assert bytes(told.addr) == dlt645.address_bytes(frames[0].address)
            assert bytes((told.ctrl_code,)) + bytes(told.data) == frames[0].pdu


@pytest.fixture
def meter():
    """Their meter on a TCP line: its MeterServerService."""
    service = peer.MeterServerService.new_tcp_server("127.0.0.1", 0, 60.0)
    service.address = bytearray(WIRE)
    assert service.server.start()
    yield service
    service.server.stop()


def ask(line, address, pdu):
    """The reply's Frame, or None after the line has been silent."""
    exchange = dlt645.Exchange(address, pdu)
    line.sendall(exchange.frame)
    while True:
        try:
            data = line.recv(256)
        except TimeoutError:
            return exchange.flush()
        if not data:
            return None
        reply = exchange.feed(data)
        if reply:
            return reply


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-2", part="an independent codec, meter and master")
def test_their_meter_is_read(meter):
    given = {"00010000": 1234.56, "00010100": 0.01, "00020000": 99999.99, "02010100": 231.4, "02020100": 12.345,
             "02030000": 6.25, "02060000": 0.998, "02800002": 50.01}  # fmt: skip
    for identifier, value in given.items():
        assert (meter.set_00 if identifier[1] == "0" else meter.set_02)(int(identifier, 16), value)
    with socket.create_connection(("127.0.0.1", meter.server.port), timeout=60) as line:
        for identifier, value in given.items():
            reply = ask(line, ADDRESS, dlt645.read_request(identifier))
            assert reply.address == ADDRESS
            (got,) = values(identifier, reply.payload)
            assert float(str(got.value)) == value, identifier
        reply = ask(line, dlt645.WILDCARD, dlt645.address_request())
        assert reply.payload == WIRE
        assert ask(line, ADDRESS, dlt645.read_request("00FE0000")).error == dlt645.NO_SUCH_DATA
        assert ask(line, ADDRESS, dlt645.freeze_request()).control == 0x96
        assert bytes(meter.last_freeze_time) == b"\x99" * 4


@pytest.mark.slow
def test_their_master_reads_our_meter():
    """Their client against our Meter behind a socket; its requests come through our decoder."""
    table = {"00010000": write("XXXXXX.XX", "4567.89"), "02010200": write("XXX.X", "228.7"),
             "02800002": write("XX.XX", "49.98")}  # fmt: skip
    meter = dlt645.Meter(ADDRESS, table.get)

    def serve(listener):
        line, _ = listener.accept()
        decoder = dlt645.Decoder(dlt645.METER)
        with line:
            while data := line.recv(256):
                for request in decoder.feed(data):
                    reply = meter.answer(request)
                    if reply:
                        line.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        client = peer.MeterClientService.new_tcp_client("127.0.0.1", listener.getsockname()[1], 60.0)
        client.address = bytearray(WIRE)
        assert client.connect()
        try:
            assert float(client.read_00(0x00010000).value) == 4567.89
            assert float(client.read_02(0x02010200).value) == 228.7
            assert float(client.read_02(0x02800002).value) == 49.98
        finally:
            client.disconnect()
        thread.join(60)


@pytest.mark.slow
def test_the_order_of_the_time_is_that_of_captures_not_theirs(meter):
    pdu = dlt645.time_request(2017, 6, 5, 10, 40, 25)
    assert pdu[1:].hex() == "254010050617"  # a recorded frame: seconds first
    meter.set_time(bytes(reversed(pdu[1:])))
    assert str(meter.time) == "2017-06-05 10:40:25"  # theirs wants the same bytes the other way round
