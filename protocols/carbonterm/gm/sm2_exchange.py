"""SM2 key exchange with confirmation (GB/T 32918.3-2016), and the KDF that encryption uses too (5.4.3 there).

A, who begins, and B each own a key and make one ephemeral key for one exchange (32 random private bytes, from the
caller). A sends RA; B answers RB and SB; A checks SB and answers SA; B checks SA. Nobody uses the key before.
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm3
from carbonterm.gm.curve import N, add, affine, multiply_base, multiply_both, on_curve
from carbonterm.gm.sm2 import _bytes32, _scalar, _za

_HALF = 1 << 127  # 2^w of GB/T 32918.3-2016 6.1, w = ceil(ceil(log2 n) / 2) - 1


class Exchange:
    """One side, of 32-byte private keys: `.send` is its ephemeral public key, 64 bytes; then `.agree(...)`."""

    __slots__ = ("_begins", "_ephemeral", "_private", "public", "send")

    def __init__(self, private, ephemeral, begins):
        """begins: True for A."""
        self._private = _scalar(private)
        self._ephemeral = _scalar(ephemeral)
        self._begins = begins
        self.public = _encoded(affine(*multiply_base(self._private)))
        self.send = _encoded(affine(*multiply_base(self._ephemeral)))

    def agree(self, public, received, size=16):
        """(key of `size` bytes, B's hash S1 = SB, A's hash S2 = SA) with the peer's 64-byte public and ephemeral keys.

        B sends the second as SB, A compares it with what came by `confirmed`; A sends the third as SA, B compares it.
        GmError for points off the curve and where the common point is infinity.
        """
        peer = point(public)
        x, y = point(received)
        if not 1 <= size <= 65535:
            raise GmError("a key of %d bytes is none" % size, "16 for SM4")
        own = _HALF | int.from_bytes(self.send[:32], "big") & (_HALF - 1)
        t = (self._private + own * self._ephemeral) % N
        other = _HALF | x & (_HALF - 1)
        # t(P + x·R) with cofactor 1, as t·P + (t·x mod n)·R
        common = _sum(multiply_both(0, t, peer[0], peer[1]), multiply_both(0, t * other % N, x, y)) if t else (1, 1, 0)
        if not common[2]:
            raise GmError("the exchange ends at the point at infinity", "begin anew, with another ephemeral key")
        u, v = [_bytes32(value) for value in affine(*common)]
        a, b = (self.public, bytes(public)) if self._begins else (bytes(public), self.public)
        ra, rb = (self.send, bytes(received)) if self._begins else (bytes(received), self.send)
        za, zb = _za(a), _za(b)
        inner = sm3.digest(u + za + zb + ra + rb)
        return (
            kdf(u + v + za + zb, size),
            sm3.digest(b"\x02" + v + inner),
            sm3.digest(b"\x03" + v + inner),
        )


def confirmed(own, received):
    """None if the hash that came is the own one; GmError if not: then the key must not be used."""
    wrong = len(own) ^ len(received)
    for a, b in zip(bytes(own), bytes(received)):
        wrong |= a ^ b
    if wrong:
        raise GmError("the other side of the key exchange has not the same key", "drop the key; check both public keys")


def kdf(data, size):
    """`size` bytes of SM3(data || counter), counter from 1 in 4 bytes."""
    found = b""
    counter = 1
    while len(found) < size:
        found += sm3.digest(data + counter.to_bytes(4, "big"))
        counter += 1
    return found[:size]


def point(public):
    """(x, y) of 64 bytes x||y; GmError unless it is a point of the curve."""
    if not isinstance(public, (bytes, bytearray, memoryview)) or len(public) != 64:
        raise GmError("this is no SM2 public key: it is not 64 bytes", "give x||y, 32 bytes each, no leading 04")
    public = bytes(public)
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    if not on_curve(x, y):
        raise GmError("this is no SM2 public key: the point is not on the curve", "ask for it again; use no part of it")
    return x, y


def _sum(a, b):
    if not b[2]:
        return a
    x, y = affine(*b)
    return add(a[0], a[1], a[2], x, y)


def _encoded(xy):
    return _bytes32(xy[0]) + _bytes32(xy[1])
