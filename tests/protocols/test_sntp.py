"""SNTP: the packet, the arithmetic of both eras, and every answer that tells no time."""

import pytest

from carbonterm import sntp
from carbonterm.clock import parse
from carbonterm.errors import ClockError
from seeded import Random

COOKIE = bytes([0xA5, 1, 2, 3, 4, 5, 6, 7])
# an answer as stratum 1 gives it: NTPv4, precision 2^-20, root delay 0, dispersion 1/65536 s, reference "GPS"
TIME = "2026-03-01T12:00:00.500Z"


def stamp(ms):
    seconds, rest = ms // 1000 + sntp.EPOCH_S, ms % 1000
    return (seconds % (1 << 32)).to_bytes(4, "big") + ((rest << 32) // 1000 + 1).to_bytes(4, "big")


def answer(came, sent, first=0x24, stratum=1, delay=0, dispersion=1, name=b"GPS\0", cookie=COOKIE):
    head = bytes([first, stratum, 6, 0xEC]) + delay.to_bytes(4, "big") + dispersion.to_bytes(4, "big") + name
    return head + stamp(came) + cookie + stamp(came) + stamp(sent)


def test_a_question():
    packet = sntp.request(COOKIE)
    print(packet.hex())
    assert len(packet) == 48 and packet[0] == 0x23 and packet[40:] == COOKIE and packet[1:40] == bytes(39)


@pytest.mark.parametrize("text", [TIME, "2036-02-07T06:28:15.999Z", "2036-02-07T06:28:16.001Z", "2099-12-31T23:59:59Z"])
def test_an_answer(text):
    now = parse(text)
    assert sntp.read(answer(now, now + 4), COOKIE, 3) == (now + 4, 2), "a border between milliseconds"
    for there, way in ((0, 0), (3, 40), (0, 41)):
        ms, unsure = sntp.read(answer(now, now + there), COOKIE, there + way)
        print(ms, unsure)
        assert ms == now + there + way // 2 and way // 2 < unsure <= way // 2 + 2
    ms, unsure = sntp.read(answer(now, now, delay=65536 // 2, dispersion=6554), COOKIE, 10)
    assert (ms, unsure) == (now + 5, 5 + 250 + 101 + 1)
    assert sntp.read(answer(now, now, first=0x1C) + b"extension", COOKIE, 0)[0] == now, "version 3, and more behind it"
    for leap in (1, 2):
        assert sntp.read(answer(now, now, first=leap << 6 | 0x24), COOKIE, 0)[0] == now, "a leap second to come"


def test_a_printed_stamp():
    """RFC 5905 figure 4: days from 1970 to 2036-02-08, the first one of era 1, by their seconds of the era."""
    rows = (2208988800, 0), (2272060800, 63072000), (3155587200, 946598400), (63104, 2086041600)
    for seconds, unix in rows:
        data = bytearray(answer(0, 0))
        for at in (32, 40):
            data[at : at + 8] = seconds.to_bytes(4, "big") + bytes(4)
        ms = sntp.read(bytes(data), COOKIE, 0)[0]
        print(ms)
        assert ms == unix * 1000


def test_what_tells_no_time():
    now = parse(TIME)
    wrong = {
        "has 47 bytes": answer(now, now)[:47],
        "has 0 bytes": b"",
        "mode 3": answer(now, now, first=0x23),
        "mode 5": answer(now, now, first=0x25),
        "version 2": answer(now, now, first=0x14),
        "version 7": answer(now, now, first=0x3C),
        "another question": answer(now, now, cookie=bytes(8)),
        "refuses (DENY)": answer(now, now, stratum=0, name=b"DENY"),
        "refuses (????)": answer(now, now, stratum=0, name=b"\0\xff\n "),
        "does not know": answer(now, now, first=0xE4),
        "not know the time itself": answer(now, now, stratum=16),
        "not know the time": answer(now, now, first=0xE4, stratum=0, name=bytes(4)),  # chronyd without a source
        "refuses (RATE)": answer(now, now, first=0xE4, stratum=0, name=b"RATE"),
        "lost its own source (2000 and": answer(now, now, delay=131072),
        "and 1001 ms": answer(now, now, dispersion=65537),
        "contradicts": answer(now, now + 50),
        "answer contradicts": answer(now, now + 22),
        "contradicts itself": answer(now + 2, now),
    }
    for why, data in wrong.items():
        with pytest.raises(sntp.Refusal) as said:
            sntp.read(data, COOKIE, 20)
        assert why in said.value.what and said.value.hint, (why, said.value.what)
        assert isinstance(said.value, ClockError)
    data = answer(now, now)
    for at in (32, 40):
        with pytest.raises(sntp.Refusal) as said:
            sntp.read(data[:at] + bytes(8) + data[at + 8 :], COOKIE, 20)
        assert "has no time" in said.value.what
    for kiss in ("DENY", "RATE"):
        with pytest.raises(sntp.Refusal) as said:
            sntp.read(answer(now, now, stratum=0, name=kiss.encode()), COOKIE, 20)
        assert said.value.kiss == kiss and (kiss in sntp.STOP) == (kiss == "DENY")


def test_any_bytes():
    """No exception but a Refusal, and no time from what does not carry the cookie."""
    random, taken = Random(4330), 0
    now = parse(TIME)
    for _ in range(3000):
        data = bytearray(random.bytes(random.below(60)) if random.below(2) else answer(now, now))
        for _ in range(random.below(4)):
            if data:
                data[random.below(len(data))] ^= 1 << random.below(8)
        try:
            ms, unsure = sntp.read(bytes(data), COOKIE, random.below(5000))
        except sntp.Refusal:
            continue
        taken += 1
        assert bytes(data[24:32]) == COOKIE and unsure > 0 and ms > 0
    print(taken)
