"""The SM2 key exchange against GB/T 32918.3-2016 written out with plain affine points; no official vector at hand."""

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm3
from carbonterm.gm.curve import GX, GY, N, P, invert
from carbonterm.gm.sm2_exchange import Exchange, confirmed, kdf
from seeded import Random


def plus(a, b):
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * (a[0] * a[0] - 1) * invert(2 * a[1], P)
    else:
        slope = (b[1] - a[1]) * invert(b[0] - a[0], P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(k, point):
    found = None
    while k:
        if k & 1:
            found = plus(found, point)
        point = plus(point, point)
        k >>= 1
    return found


def encoded(point):
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def by_the_standard(da, ra, db, rb, size):
    """6.1 from the side of A: A1 … A10 with the whole of P + x·R as one point."""
    g = (GX, GY)
    pa, qa, pb, qb = [times(k, g) for k in (da, ra, db, rb)]
    half = 2**127
    x1, x2 = half + qa[0] % half, half + qb[0] % half
    u = times((da + x1 * ra) % N, plus(pb, times(x2, qb)))
    xu, yu = encoded(u)[:32], encoded(u)[32:]
    za, zb = sm2._za(encoded(pa)), sm2._za(encoded(pb))
    inner = sm3.digest(xu + za + zb + encoded(qa) + encoded(qb))
    return kdf(xu + yu + za + zb, size), sm3.digest(b"\2" + yu + inner), sm3.digest(b"\3" + yu + inner)


@pytest.mark.slow
def test_both_sides_and_the_standard_agree():
    random = Random(60)
    for size in (16, 32, 1, 100):
        numbers = [random.bits(256) % (N - 2) + 1 for _ in range(4)]
        da, ra, db, rb = [number.to_bytes(32, "big") for number in numbers]
        a, b = Exchange(da, ra, True), Exchange(db, rb, False)
        assert (a.public, b.send) == (sm2.public(da), sm2.public(rb))
        found = a.agree(b.public, b.send, size)
        assert found == b.agree(a.public, a.send, size) == by_the_standard(*(numbers + [size]))
        confirmed(found[1], memoryview(found[1]))
        print(found[0].hex(), found[1].hex(), found[2].hex())


def test_who_is_someone_else_does_not_confirm():
    a, b = Exchange(b"\1" * 32, b"\2" * 32, True), Exchange(b"\3" * 32, b"\4" * 32, False)
    stranger = Exchange(b"\5" * 32, b"\4" * 32, False)
    ours = a.agree(b.public, b.send)
    for theirs in (
        stranger.agree(a.public, a.send),  # has not b's key
        Exchange(b"\3" * 32, b"\6" * 32, False).agree(a.public, a.send),  # another ephemeral key
        Exchange(b"\3" * 32, b"\4" * 32, True).agree(a.public, a.send),  # both begin
    ):
        assert theirs[0] != ours[0]
        for i in (1, 2):
            with pytest.raises(GmError, match="not the same key"):
                confirmed(ours[i], theirs[i])
    with pytest.raises(GmError, match="not the same key"):
        confirmed(ours[1], ours[1][:31])
    with pytest.raises(GmError, match="not the same key"):
        confirmed(ours[1], ours[2])


def test_the_point_at_infinity_is_refused():
    # B's ephemeral key chosen so that P + x·R = 0 is not possible without its logarithm; A's own t = 0 is
    r = 7
    x = int.from_bytes(sm2.public(r.to_bytes(32, "big"))[:32], "big")
    d = -(2**127 + x % 2**127) * r % N
    a = Exchange(d.to_bytes(32, "big"), r.to_bytes(32, "big"), True)
    b = Exchange(b"\3" * 32, b"\4" * 32, False)
    with pytest.raises(GmError, match="point at infinity"):
        a.agree(b.public, b.send)
    with pytest.raises(GmError, match="point at infinity"):
        b.agree(a.public, a.send)


def test_bad_calls():
    a = Exchange(b"\1" * 32, b"\2" * 32, True)
    good = sm2.public(b"\3" * 32)
    for wrong in (b"", good[:63], good + b"\0", bytes(64), good[:63] + bytes((good[63] ^ 1,)), None, "x" * 64):
        with pytest.raises(GmError, match="no SM2 public key"):
            a.agree(wrong, good)
        with pytest.raises(GmError, match="no SM2 public key"):
            a.agree(good, wrong)
    for size in (0, -1, 65536):
        with pytest.raises(GmError, match="bytes is none"):
            a.agree(good, good, size)
    for wrong in (b"", bytes(32), b"\xff" * 32):
        with pytest.raises(GmError, match="no SM2 private key"):
            Exchange(wrong, b"\1" * 32, True)
        with pytest.raises(GmError, match="no SM2 private key"):
            Exchange(b"\1" * 32, wrong, True)
