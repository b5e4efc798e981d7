"""MQTT 3.1.1 packets: the standard's rules, both directions, cut at every byte, too long ones, noise and mutations."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import mqtt
from seeded import Random


def same(packet):
    """All that a packet says, for comparison and printing."""
    return [getattr(packet, name) for name in (
        "kind", "size", "id", "topic", "payload", "qos", "dup", "retain", "code", "present", "codes", "topics",
        "client", "clean", "keep_alive", "user", "password", "will",
    )]  # fmt: skip


def every():
    """One packet of each kind and variant."""
    return [
        mqtt.connect("c"),
        mqtt.connect("客户端", 0, False, "u", b"\x00\xff", ("a/b", b"gone", 1, True)),
        mqtt.connect("c", 65535, True, "u", None, ("a/b", b"", 0, False)),
        mqtt.connack(), mqtt.connack(True), mqtt.connack(False, 5),
        mqtt.publish("a", b""), mqtt.publish("工厂/1", b"x" * 300, 1, 65535, True, True),
        mqtt.publish("a", b"", 1, 1), mqtt.puback(258),
        mqtt.subscribe(1, [("a/+/b", 0), ("#", 1), ("+", 1)]), mqtt.suback(1, [0, 1, 2, 0x80]),
        mqtt.pingreq(), mqtt.pingresp(), mqtt.disconnect(),
        b"\xa2\x05\x00\x01\x00\x01a", b"\xb0\x02\x00\x01",
    ]  # fmt: skip


def test_the_bytes_of_the_standard():
    # figures 3.6 (CONNECT with user, password, will QoS 1, retained or not), 3.11 (PUBLISH a/b), 3.23 (SUBSCRIBE)
    will = ("t", b"w", 1, False)
    raw = mqtt.connect("c", 10, True, "u", b"p", will)
    assert raw == b"\x10\x19\x00\x04MQTT\x04\xce\x00\x0a\x00\x01c\x00\x01t\x00\x01w\x00\x01u\x00\x01p"
    assert mqtt.publish("a/b", b"", 1, 10) == b"\x32\x07\x00\x03a/b\x00\x0a"
    assert mqtt.subscribe(10, [("a/b", 1), ("c/d", 0)]) == b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x00"
    assert [mqtt.publish("a", bytes(n))[1:3] for n in (124, 125)] == [b"\x7f\x00", b"\x80\x01"]  # table 2.4
    assert mqtt.puback(1) == b"\x40\x02\x00\x01" and mqtt.pingreq() == b"\xc0\x00" and mqtt.disconnect() == b"\xe0\x00"


def test_what_is_written_is_read_cut_anywhere():
    raws = every()
    wanted = [same(mqtt.parse(raw)) for raw in raws]
    for said in wanted:
        print(*[v if not isinstance(v, bytes) else len(v) for v in said[:8]])
    stream = b"".join(raws)
    for size in (1, 2, 3, 7, 64, len(stream)):
        decoder, found = mqtt.Decoder(), []
        for start in range(0, len(stream), size):
            found += decoder.feed(stream[start : start + size])
        assert [same(packet) for packet in found] == wanted
        assert [packet.raw for packet in found] == raws and decoder.dropped == 0


def test_a_copy_is_known_by_its_bytes():
    first, copy = mqtt.publish("a", b"x", 1, 7), mqtt.publish("a", b"x", 1, 7, dup=True)
    assert first != copy and mqtt.parse(copy).same == first == mqtt.parse(first).same
    assert mqtt.parse(mqtt.publish("a", b"x", 1, 8)).same != first


def test_a_message_too_long_is_passed_over_and_can_be_acknowledged():
    big, small = mqtt.publish("long/topic", bytes(500), 1, 77), mqtt.publish("a", b"ok")
    for size in (1, 5, 33, 1000):
        decoder, found = mqtt.Decoder(100), []
        stream = small + big + small + big + mqtt.pingresp()
        for start in range(0, len(stream), size):
            found += decoder.feed(stream[start : start + size])
            assert len(decoder._held) <= 105
        assert [(p.kind, p.topic, p.id, p.payload, p.size) for p in found] == [
            (3, "a", None, b"ok", 5), (3, "long/topic", 77, None, 514), (3, "a", None, b"ok", 5),
            (3, "long/topic", 77, None, 514), (13, None, None, None, 0),
        ]  # fmt: skip
        assert decoder.dropped == 2 * len(big)


def test_after_a_broken_packet_nothing_is_read():
    decoder = mqtt.Decoder()
    with pytest.raises(FrameError):
        decoder.feed(mqtt.pingresp() + b"\x00\x00" + mqtt.pingresp())
    assert [packet.kind for packet in decoder.found] == [mqtt.PINGRESP]
    with pytest.raises(FrameError):
        decoder.feed(mqtt.pingresp())


BROKEN = [
    (b"\x00\x00", "kind 0"), (b"\xf0\x00", "kind 15"), (b"\x50\x02\x00\x01", "QoS 2"), (b"\x62\x02\x00\x01", "QoS 2"),
    (b"\x34\x05\x00\x01a\x00\x01", "flags 4"), (b"\x36\x05\x00\x01a\x00\x01", "flags 6"),
    (b"\x38\x03\x00\x01a", "flags 8"),
    (b"\x32\x05\x00\x01a\x00\x00", "identifier"), (b"\x30\x02\x00\x00", "no topic"), (b"\x30\x03\x00\x01#", "no topic"),
    (b"\x30\x03\x00\x02a", "longer"), (b"\x30\x03\x00\x01\xff", "no UTF-8"), (b"\x30\x03\x00\x01\x00", "NUL"),
    (b"\x30\x05\x00\x03\xed\xa0\x80", "no UTF-8"), (b"\x40\x03\x00\x01a", "length 3"),
    (b"\x40\x02\x00\x00", "identifier"),
    (b"\x41\x02\x00\x01", "flags 1"), (b"\x20\x02\x02\x00", "CONNACK"), (b"\x20\x02\x01\x01", "CONNACK"),
    (b"\x20\x02\x00\x06", "CONNACK"), (b"\x90\x02\x00\x01", "return codes"), (b"\x90\x03\x00\x01\x03", "return codes"),
    (b"\x80\x06\x00\x01\x00\x01a\x00", "flags 0"), (b"\x82\x02\x00\x01", "without a topic"),
    (b"\x82\x05\x00\x01\x00\x01a", "QoS"), (b"\x82\x07\x00\x01\x00\x02a#\x00", "filter"), (b"\xc0\x01a", "length 1"),
    (b"\x30\x80\x80\x80\x80\x01", "4 bytes"), (b"\x30\x83\x00\x00\x01a", "longer than it needs"),
    (b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x0a\x00\x00", "another protocol"),
    (b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x0a\x00\x00", "another protocol"),
    (b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x0a\x00\x00", "flags 03H"),
    (b"\x10\x0c\x00\x04MQTT\x04\x42\x00\x0a\x00\x00", "flags"),
    (b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x00a", "follow the last"), (b"\x10\x08\x00\x04MQTT\x04\x02", "another"),
]  # fmt: skip


@pytest.mark.parametrize("raw,what", BROKEN)
def test_what_breaks_a_rule_is_refused(raw, what):
    with pytest.raises(FrameError) as caught:
        mqtt.Decoder().feed(raw)
    print(caught.value)
    assert what in str(caught.value)


def test_what_cannot_be_written_is_refused():
    for make in (
        lambda: mqtt.publish("a+", b""), lambda: mqtt.publish("", b""), lambda: mqtt.publish("a", b"", 2, 1),
        lambda: mqtt.publish("a", b"", 1), lambda: mqtt.publish("a", b"", 0, 1),
        lambda: mqtt.publish("a", b"", dup=True), lambda: mqtt.publish("a\x00", b""), lambda: mqtt.puback(0),
        lambda: mqtt.puback(65536),
        lambda: mqtt.connect("c", 65536), lambda: mqtt.connect("c", password=b"p"),
        lambda: mqtt.subscribe(1, [("a#", 1)]), lambda: mqtt.subscribe(1, [("", 1)]),
        lambda: mqtt.subscribe(1, [("#/a", 1)]), lambda: mqtt.subscribe(1, [("a", 2)]),
        lambda: mqtt.connect("c", will=("#", b"", 0, False)), lambda: mqtt.connect("x" * 65536),
    ):  # fmt: skip
        with pytest.raises(FrameError):
            make()


@pytest.mark.slow
def test_noise_and_mutations_end_in_an_error_or_in_packets():
    random, counts = Random(311), [0, 0]
    raws = every()
    for _ in range(3000):
        data = bytearray(random.choice(raws) + random.choice(raws))
        for _ in range(random.between(0, 3)):
            data[random.below(len(data))] = random.below(256)
        if random.below(4) == 0:
            data = bytearray(random.bytes(random.between(1, 40)))
        decoder = mqtt.Decoder(64)
        try:
            whole = [same(packet) for packet in decoder.feed(data)]
            counts[0] += len(whole)
            split = mqtt.Decoder(64)
            parts = [same(p) for byte in data for p in split.feed(bytes((byte,)))]
            assert parts == whole
        except FrameError:
            counts[1] += 1
    print(counts)
    assert counts[0] > 500 and counts[1] > 500
