"""Mutated and random streams through every codec: the thin version of `make fuzz` (tests/runtime/lib/fuzzing.py)."""

import pytest

from carbonterm.field import cjt188, dlt645, hj212, modbus
from fuzzing import Chance, many
from vectors import load

SEED, STREAMS = 20260101, 120


def fuzz(name, frames, accepted=0):
    found = many(name, SEED, 0, STREAMS)
    print(name, found["frames"], found["accepted"], found["digest"])
    assert found["failing"] == []
    assert found["frames"] >= frames and found["accepted"] >= accepted


@pytest.mark.requirement("T-11.3-1", part="no mutated or random stream is taken for a reply")
def test_modbus():
    fuzz("modbus-rtu", 80, 10)
    fuzz("modbus-tcp", 120, 10)


@pytest.mark.requirement("T-11.3-2", part="no mutated or random stream is taken for a reply")
def test_dlt645():
    fuzz("dlt645-2007", 70, 10)
    fuzz("dlt645-1997", 70, 10)


@pytest.mark.requirement("T-11.3-3", part="no mutated or random stream is taken for a reply")
def test_cjt188():
    fuzz("cjt188", 70, 10)


def test_hj212():
    fuzz("hj212-2017", 40)
    fuzz("hj212-2025", 30)


def test_mqtt_and_json():
    fuzz("mqtt", 40)
    fuzz("json", 20)


@pytest.mark.requirement("T-7.1-4", part="whatever a converter or a counter says: scaled exactly, or no value")
def test_analog():
    fuzz("analog", 100)


def rows():
    """(id, whether it is valid, a function giving its decoder, its bytes) of every frame of the vectors."""
    decoders = {"modbus_rtu": modbus.RtuDecoder, "modbus_tcp": modbus.TcpDecoder, "cjt188-2004": cjt188.Decoder,
                "dlt645-2007": dlt645.Decoder, "dlt645-1997": dlt645.Decoder}  # fmt: skip
    for vector in load("field_frames")["vectors"]:
        for row in vector["frames"]:
            made = decoders.get(vector["protocol"])
            if made is None:
                yield vector["id"], vector["valid"], hj212.Decoder, row["ascii"].encode()
            else:
                role = modbus.METER if row["dir"] == "req" else modbus.MASTER
                yield vector["id"], vector["valid"], lambda made=made, role=role: made(role), bytes.fromhex(
                    row["hex"].replace(" ", "")
                )


@pytest.mark.slow
@pytest.mark.requirement("T-11.3-1", part="every vector behind noise and split at every position")
@pytest.mark.requirement("T-11.3-2", part="every vector behind noise and split at every position")
@pytest.mark.requirement("T-11.3-3", part="every vector behind noise and split at every position")
def test_every_vector_behind_noise_and_split_at_every_position_gives_the_same():
    chance = Chance("noise")
    count = 0
    for name, valid, made, raw in rows():
        plain = made()
        found = [frame.raw for frame in plain.feed(raw) + plain.flush()]
        assert len(found) == (1 if valid else 0), name
        # half a frame of Modbus TCP, which has no check, cannot be told from a whole one: TCP never loses bytes
        half = raw[: len(raw) // 2] if raw[2:5] != b"\0\0\0" else b"\1"
        for noise in (b"", b"\0", b"\xfe\xfe", half, b"\x68" * 3, chance.bytes(2 + chance.below(9))):
            line = noise + raw
            step = max(1, len(line) // 60)  # every position, of a long packet every fifth or so
            for cut in range(0, len(line) + 1, step):
                decoder = made()
                again = decoder.feed(line[:cut]) + decoder.feed(line[cut:]) + decoder.flush()
                assert [frame.raw for frame in again] == found, (name, noise, cut)
                count += 1
    print(count)
