"""The head of an HTTP answer as the device reads it: what is taken, what is refused."""

import pytest

from carbonterm.errors import UplinkError
from carbonterm_device.https import parse_head
from seeded import Random


@pytest.mark.parametrize(
    "head, expected",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", (200, 5, True)),
        (b"HTTP/1.1 200 \r\ncontent-length:5\r\nX: y", (200, 5, True)),
        (b"HTTP/1.1 404\r\nCONTENT-LENGTH: 0", (404, 0, True)),
        (b"HTTP/1.0 500 no\r\nDate: x\r\nContent-Length:\t16384 ", (500, 16384, False)),
        (b"HTTP/1.1 409 x\r\nConnection: Close\r\nContent-Length: 1", (409, 1, False)),
        (b"HTTP/1.1 409 x\r\nConnection: keep-alive\r\nContent-Length: 1", (409, 1, True)),
    ],
)
def test_heads(head, expected):
    assert parse_head(head, 16384) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/2 200 OK\r\nContent-Length: 5",
        b"http/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1  200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 20 OK\r\nContent-Length: 5",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 5",
        b"HTTP/1.1 +20 OK\r\nContent-Length: 5",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5",
        b"HTTP/1.1 099 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5",
        b"HTTP/1.1 200 OK\r\n Content-Length: 5",
        b"HTTP/1.1 200 OK\r\n: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\n\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16385",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1234567890",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    ],
)
def test_heads_that_are_refused(head):
    with pytest.raises(UplinkError) as caught:
        parse_head(head, 16384)
    print(caught.value)


def test_fuzz_heads():
    random = Random(79)
    good = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 147\r\nConnection: keep-alive"
    taken = 0
    for _ in range(1500):
        at = random.below(len(good))
        kind = random.below(4)
        if kind == 0:
            head = good[:at] + random.bytes(1) + good[at + 1 :]
        elif kind == 1:
            head = good[:at] + good[at + 1 + random.below(5) :]
        elif kind == 2:
            head = good[:at] + good[at // 2 :]
        else:
            head = random.bytes(random.below(80))
        try:
            status, size, _ = parse_head(head, 16384)
        except UplinkError:
            continue
        taken += 1
        assert 200 <= status <= 999 and 0 <= size <= 16384
    print(taken)
