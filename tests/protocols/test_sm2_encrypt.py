"""SM2 encryption and the KDF: the published ciphertext, every changed byte, bad points and lengths."""

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm2_encrypt, sm3
from carbonterm.gm.sm2_exchange import kdf
from seeded import Random
from vectors import load

(VECTOR,) = load("gm")["sm2_decrypt"]
PRIVATE = bytes.fromhex(VECTOR["d"])
PUBLIC = sm2.public(PRIVATE)


@pytest.mark.requirement("T-7.4-1")
def test_published_ciphertext():
    assert sm2_encrypt.decrypt(PRIVATE, bytes.fromhex(VECTOR["ct_c1c3c2"])).hex() == VECTOR["pt"]


def test_kdf_is_sm3_with_a_counter():
    whole = sm3.digest(b"z\0\0\0\1") + sm3.digest(b"z\0\0\0\2") + sm3.digest(b"z\0\0\0\3")
    for size in (0, 1, 31, 32, 33, 64, 65, 96):
        assert kdf(b"z", size) == whole[:size]


def test_there_and_back():
    random = Random(50)
    for size in (1, 15, 16, 32, 33, 100):
        plain, seed = random.bytes(size), random.bytes(32)
        ciphertext = sm2_encrypt.encrypt(PUBLIC, plain, seed)
        assert len(ciphertext) == size + sm2_encrypt.OVERHEAD
        assert sm2_encrypt.decrypt(PRIVATE, memoryview(ciphertext)) == plain
        print(ciphertext.hex())
    one = sm2_encrypt.encrypt(PUBLIC, b"one", bytes(32))
    assert one[:64] != sm2_encrypt.encrypt(PUBLIC, b"two", bytes(32))[:64]  # even with a dead generator
    assert one[:64] != sm2_encrypt.encrypt(PUBLIC, b"one", b"\1" * 32)[:64]


def test_what_was_changed_is_refused():
    good = sm2_encrypt.encrypt(PUBLIC, b"sixteen bytes it", bytes(32))
    random = Random(51)
    for at in range(0, len(good), 5):
        wrong = bytearray(good)
        wrong[at] ^= 1 << random.below(8)
        with pytest.raises(GmError, match="not on the curve" if at < 64 else "not for this key"):
            sm2_encrypt.decrypt(PRIVATE, wrong)
    with pytest.raises(GmError, match="not for this key"):
        sm2_encrypt.decrypt(bytes(31) + b"\5", good)
    with pytest.raises(GmError, match="not for this key"):  # C1C2C3
        sm2_encrypt.decrypt(PRIVATE, good[:64] + good[96:] + good[64:96])
    with pytest.raises(GmError, match="not on the curve"):
        sm2_encrypt.decrypt(PRIVATE, b"\4" + good)
    for size in (0, 64, 95, 96):
        with pytest.raises(GmError, match="no SM2 ciphertext"):
            sm2_encrypt.decrypt(PRIVATE, good[:size])
    with pytest.raises(GmError, match="not for this key"):
        sm2_encrypt.decrypt(PRIVATE, good[:97])


@pytest.mark.slow
def test_a_mask_of_zeros_is_refused():
    """One byte of mask is 0 for one of 256 numbers k: encrypt passes over it, decrypt refuses it."""
    from carbonterm.gm.curve import affine, multiply_base, multiply_both

    x, y = int.from_bytes(PUBLIC[:32], "big"), int.from_bytes(PUBLIC[32:], "big")
    k = 0
    mask = b"\1"
    while any(mask):
        k += 1
        x2, y2 = [value.to_bytes(32, "big") for value in affine(*multiply_both(0, k, x, y))]
        mask = kdf(x2 + y2, 1)
    first = b"".join([value.to_bytes(32, "big") for value in affine(*multiply_base(k))])
    with pytest.raises(GmError, match="not for this key"):
        sm2_encrypt.decrypt(PRIVATE, first + sm3.digest(x2 + b"!" + y2) + b"!")
    print(k)


def test_bad_calls():
    for wrong in (b"", PUBLIC[:63], b"\4" + PUBLIC, bytes(64), b"\xff" * 64, "x" * 64, None):
        with pytest.raises(GmError, match="no SM2 public key"):
            sm2_encrypt.encrypt(wrong, b"plain", bytes(32))
    for plain in (b"", bytes(65536)):
        with pytest.raises(GmError, match="SM2 encrypts 1 to 65535"):
            sm2_encrypt.encrypt(PUBLIC, plain, bytes(32))
    for seed in (b"", bytes(31), bytes(33)):
        with pytest.raises(GmError, match="32 random bytes"):
            sm2_encrypt.encrypt(PUBLIC, b"plain", seed)
    with pytest.raises(GmError, match="no SM2 private key"):
        sm2_encrypt.decrypt(bytes(32), bytes(100))
