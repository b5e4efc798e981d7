"""SM2 signatures: the published vectors, the comb table computed anew, edges of the curve arithmetic, bad input.

T-7.4-1 as far as SM2 reaches (GB/T 32918.2 and .5); SM3 is in test_sm3.py, SM4 follows with its module.
"""

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import curve, sm2
from carbonterm.gm.curve import GX, GY, N, P
from carbonterm.gm.sm2_table import TABLE
from seeded import Random
from vectors import load

VECTORS = load("gm")
OFFICIAL = VECTORS["sm2_sign"][0]
PRIVATE = bytes.fromhex(OFFICIAL["d"])
PUBLIC = bytes.fromhex(OFFICIAL["pub"])


def unhex(text):
    return bytes.fromhex(text)


def plain_add(a, b):
    """Affine addition straight from GB/T 32918.1-2016 3.2.3.1, None for infinity: the other side of the comparisons."""
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * (a[0] * a[0] - 1) * curve.invert(2 * a[1], P)
    else:
        slope = (b[1] - a[1]) * curve.invert(b[0] - a[0], P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def plain_multiply(k, point):
    found = None
    while k:
        if k & 1:
            found = plain_add(found, point)
        point = plain_add(point, point)
        k >>= 1
    return found


def affine(point):
    return None if point[2] == 0 else curve.affine(*point)


@pytest.mark.requirement("T-7.4-1")
def test_published_signature_with_its_nonce():
    za = sm2._za(PUBLIC)
    e = sm2._digest(za, unhex(OFFICIAL["msg"]))
    assert za.hex() == OFFICIAL["za"]
    assert e.hex() == OFFICIAL["e"]
    d, k = int.from_bytes(PRIVATE, "big"), int(OFFICIAL["k"], 16)
    r = (int.from_bytes(e, "big") + curve.affine(*curve.multiply_base(k))[0]) % N
    s = curve.invert(1 + d, N) * (k - r * d) % N
    assert (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex() == OFFICIAL["sig"]


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-1")
def test_signature_vectors():
    for vector in VECTORS["sm2_sign"]:
        private, message = unhex(vector["d"]), unhex(vector["msg"])
        assert sm2.public(private).hex() == vector["pub"], vector["name"]
        assert sm2.verify(unhex(vector["pub"]), message, unhex(vector["sig"])), vector["name"]
        signature = sm2.sign(private, message)
        assert sm2.verify(unhex(vector["pub"]), message, signature), vector["name"]
        print(vector["name"], signature.hex())
    assert len(VECTORS["sm2_sign"]) >= 16


@pytest.mark.requirement("T-7.4-1")
def test_invalid_vectors():
    for vector in VECTORS["sm2_invalid"]:
        assert sm2.verify(unhex(vector["pub"]), unhex(vector["msg"]), unhex(vector["sig"])) is False, vector["name"]
    assert len(VECTORS["sm2_invalid"]) >= 21


def test_nonce_vectors():
    for vector in VECTORS["sm2_detk"]:
        d, e = int(vector["d"], 16), int(vector["e"], 16)
        assert next(sm2.nonces(d, e % N)) == int(vector["k"], 16)
        assert sm2.sign(unhex(vector["d"]), unhex(vector["msg"])).hex() == vector["sig"]
    assert VECTORS["sm2_detk"]


def test_later_nonces_differ_and_are_the_same_everywhere():
    found = []
    for k in sm2.nonces(7, 8, b"extra"):
        found.append(k)
        if len(found) == 4:
            break
    assert len(set(found)) == 4
    for k in found:
        assert 0 < k < N
        print("%064x" % k)


def test_extra_changes_the_signature_and_not_its_validity():
    signer = sm2.Signer(PRIVATE)
    plain = signer.sign(b"message")
    extra = signer.sign(b"message", b"\x00" * 32)
    assert signer.sign(b"message") == plain == sm2.sign(PRIVATE, b"message", b"")
    assert extra != plain
    assert extra == sm2.sign(PRIVATE, b"message", b"\x00" * 32)
    assert sm2.verify(signer.public, b"message", extra)
    assert signer.public == PUBLIC
    print(extra.hex())


def test_bytes_bytearray_and_memoryview():
    signature = sm2.sign(bytearray(PRIVATE), bytearray(b"abc"))
    assert signature == sm2.sign(memoryview(PRIVATE), memoryview(b"abc")) == sm2.sign(PRIVATE, b"abc")
    for kind in (bytes, bytearray, memoryview):
        assert sm2.verify(kind(PUBLIC), kind(b"abc"), kind(signature))
        assert not sm2.verify(kind(PUBLIC), kind(b"abd"), kind(signature))


def test_private_keys_that_are_none():
    for wrong in (b"", PRIVATE[:31], PRIVATE + b"\0", "a" * 32, 5, None):
        with pytest.raises(GmError, match="not 32 bytes"):
            sm2.Signer(wrong)
    for number in (0, N - 1, N, N + 1, (1 << 256) - 1):
        for use in (sm2.public, sm2.Signer, lambda private: sm2.sign(private, b"")):
            with pytest.raises(GmError, match="greater than n - 2"):
                use(number.to_bytes(32, "big"))
    for number in (1, N - 2):
        signer = sm2.Signer(number.to_bytes(32, "big"))
        assert sm2.verify(signer.public, b"edge", signer.sign(b"edge"))


def test_table_is_what_it_claims():
    teeth = [(GX, GY)]
    for _ in range(5):
        point = teeth[-1]
        for _ in range(43):
            point = plain_add(point, point)
        teeth.append(point)
    assert len(TABLE) == 63 * 64
    for digit in range(1, 64):
        point = None
        for j in range(6):
            if digit >> j & 1:
                point = plain_add(point, teeth[j])
        assert curve._entry(digit) == point, digit


@pytest.mark.slow
def test_multiples_of_the_generator():
    random = Random(6)
    scalars = [1, 2, 3, 15, 16, 63, 64, N - 1, N - 2, N >> 1, (1 << 255) - 1, 1 << 255, (1 << 224) - 1]
    scalars += [1 << 43 * j for j in range(6)] + [(1 << 43 * j) - 1 for j in range(1, 6)]
    scalars += [random.bits(256) % N for _ in range(10)]
    for k in scalars:
        expected = plain_multiply(k, (GX, GY))
        assert affine(curve.multiply_base(k)) == expected, k
        assert curve.on_curve(expected[0], expected[1])
        print("%x" % k, "%x" % expected[0])
    assert affine(curve.multiply_base(0)) is None


@pytest.mark.slow
def test_sums_of_two_multiples():
    random = Random(7)
    minus = (GX, P - GY)
    other = plain_multiply(random.bits(256) % N, (GX, GY))
    cases = [(0, 0, other), (0, 1, other), (1, 0, other), (1, 1, (GX, GY)), (1, 1, minus), (5, 5, minus), (5, 4, minus)]
    cases += [(N - 1, N - 1, (GX, GY)), (N - 3, 3, (GX, GY)), (1 << 43, 1 << 43, minus), (2, 1 << 255, other)]
    cases += [(random.bits(256) % N, random.bits(256) % N, other) for _ in range(8)]
    cases += [(random.bits(4), random.bits(4), random.choice([(GX, GY), minus])) for _ in range(20)]
    for s, t, point in cases:
        expected = plain_add(plain_multiply(s, (GX, GY)), plain_multiply(t, point))
        assert affine(curve.multiply_both(s, t, point[0], point[1])) == expected, (s, t)


def test_adding_equal_opposite_and_infinite_points():
    x, y, z = curve.double(*curve.double(GX, GY, 1))
    four = curve.affine(x, y, z)
    assert affine(curve.add(x, y, z, four[0], four[1])) == plain_add(four, four)
    assert affine(curve.add(x, y, z, four[0], P - four[1])) is None
    assert affine(curve.add(1, 1, 0, GX, GY)) == (GX, GY)
    assert affine(curve.double(1, 1, 0)) is None


def test_naf_gives_the_number_back():
    random = Random(8)
    for k in [0, 1, 15, 16, 17, 31, 32, N - 1, (1 << 256) - 1] + [random.bits(random.below(257)) for _ in range(50)]:
        digits = curve._naf(k)
        assert sum([digit << i for i, digit in enumerate(digits)]) == k
        for i, digit in enumerate(digits):
            assert digit == 0 or (digit & 1 and -16 < digit < 16 and not any(digits[i + 1 : i + 5]))


def test_inverses():
    random = Random(9)
    for modulus in (P, N):
        for value in [1, 2, modulus - 1, modulus + 2] + [1 + random.bits(256) % (modulus - 1) for _ in range(20)]:
            assert value * curve.invert(value, modulus) % modulus == 1


@pytest.mark.slow
def test_one_changed_bit_anywhere_is_refused():
    message = b"carbon"
    signature = sm2.sign(PRIVATE, message)
    random = Random(10)
    for which in range(3):
        parts = [PUBLIC, message, signature]
        for at in range(len(parts[which])):
            changed = bytearray(parts[which])
            changed[at] ^= 1 << random.below(8)
            wrong = list(parts)
            wrong[which] = bytes(changed)
            assert sm2.verify(wrong[0], wrong[1], wrong[2]) is False, (which, at)


def test_lengths_and_garbage_are_refused():
    message = b"carbon"
    signature = sm2.sign(PRIVATE, message)
    for size in list(range(64)) + [65, 72, 128]:
        wrong = (signature * 2)[:size]
        assert sm2.verify(PUBLIC, message, wrong) is False
        assert sm2.verify((PUBLIC * 2)[:size], message, signature) is False
    assert sm2.verify(b"\x04" + PUBLIC, message, signature) is False
    random = Random(11)
    for _ in range(40):
        assert sm2.verify(random.bytes(64), message, signature) is False
        assert sm2.verify(PUBLIC, message, random.bytes(random.below(100))) is False
    assert sm2.verify(PUBLIC, message, signature) is True


def test_coordinates_not_below_p_are_refused():
    # x + P fits in 256 bits for a point with small x: the same point, written in a way the standard does not know
    x = 0
    while True:
        square = (x * x - 3) * x + curve.B
        y = pow(square % P, (P + 1) // 4, P)
        if (y * y - square) % P == 0:
            break
        x += 1
    assert curve.on_curve(x, y)
    assert not curve.on_curve(x + P, y)
    assert not curve.on_curve(x, y - P)
    assert not curve.on_curve(0, 0)
    wide = (x + P).to_bytes(32, "big") + y.to_bytes(32, "big")
    assert sm2.verify(wide, b"", sm2.sign(PRIVATE, b"")) is False
    print(x, "%x" % y)


def test_signatures_with_other_extra_share_no_nonce_and_a_dead_generator_is_safe():
    """r tells of k: it differs with the message under a constant extra, and with extra under one message."""
    signer = sm2.Signer(PRIVATE)
    seen = []
    for message, extra in ((b"a", b""), (b"a", bytes(32)), (b"a", b"\1" * 32), (b"b", bytes(32)), (b"c", bytes(32))):
        signature = signer.sign(message, extra)
        assert sm2.verify(PUBLIC, message, signature)
        seen.append(signature[:32])
    d = int.from_bytes(PRIVATE, "big")
    first = [next(sm2.nonces(d, e, bytes(32))) for e in range(20)]
    assert len(set(seen)) == 5 and len(set(first)) == 20


def test_every_scalar_takes_the_same_point_operations():
    counts = {}
    originals = curve.add, curve.double, curve._entry

    def counted(which):
        def call(*arguments):
            count[which] += 1
            return originals[which](*arguments)

        return call

    random = Random(12)
    curve.add, curve.double, curve._entry = counted(0), counted(1), counted(2)
    try:
        for k in [1, 2, N - 1, 1 << 255, 1 << 43, (1 << 215) - 1] + [random.bits(256) % N for _ in range(20)]:
            count = [0, 0, 0]
            curve.multiply_base(k)
            counts[tuple(count)] = k
    finally:
        curve.add, curve.double, curve._entry = originals
    print(list(counts))
    assert list(counts) == [(42, 42, 43)]
