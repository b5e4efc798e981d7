"""SM4: the published vectors, every mode and length against the bare block cipher, padding, tags, bad input.

T-7.4-1 for SM4 (GB/T 32907-2016); SM2 is in test_sm2.py, SM3 in test_sm3.py.
"""

import sys
from array import array

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import sm4, sm4_gcm
from carbonterm.gm.sm4 import Cipher
from carbonterm.gm.sm4_gcm import Gcm
from seeded import Random
from vectors import load

VECTORS = load("gm")
KEY = bytes(range(16))
IV = bytes(range(12))


def unhex(text):
    return bytes.fromhex(text)


@pytest.mark.requirement("T-7.4-1")
def test_block_vector():
    (vector,) = [v for v in VECTORS["sm4_block"] if "iterations" not in v]
    cipher = Cipher(unhex(vector["key"]))
    assert cipher.encrypt(unhex(vector["pt"])).hex() == vector["ct"]
    assert cipher.decrypt(unhex(vector["ct"])).hex() == vector["pt"]
    print(vector["ct"])


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-1")
def test_million_iterations():
    (vector,) = [v for v in VECTORS["sm4_block"] if "iterations" in v]
    cipher = Cipher(unhex(vector["key"]))
    # encrypting over and over is CBC of zeros with the plaintext as the initial block
    chain, zeros = bytearray(unhex(vector["pt"])), bytearray(16000)
    out = bytearray(16000)
    for _ in range(vector["iterations"] // 1000):
        sm4._process(cipher._encrypt, sm4.ENCRYPT_CBC, chain, zeros, out)
    assert bytes(chain).hex() == vector["ct"] and vector["iterations"] == 1000000
    print(bytes(chain).hex())


@pytest.mark.requirement("T-7.4-1")
def test_cbc_vectors():
    for vector in VECTORS["sm4_cbc_pkcs7"]:
        cipher, iv = Cipher(unhex(vector["key"])), unhex(vector["iv"])
        assert cipher.encrypt_cbc(iv, unhex(vector["pt"])) == unhex(vector["ct"])
        assert cipher.decrypt_cbc(iv, unhex(vector["ct"])) == unhex(vector["pt"])
    assert len(VECTORS["sm4_cbc_pkcs7"]) >= 6


@pytest.mark.requirement("T-7.4-1")
def test_gcm_vectors():
    for vector in VECTORS["sm4_gcm"]:
        gcm, iv, aad = Gcm(unhex(vector["key"])), unhex(vector["iv"]), unhex(vector["aad"])
        sealed = gcm.seal(iv, unhex(vector["pt"]), aad)
        assert sealed.hex() == vector["ct"] + vector["tag"], vector["name"]
        assert gcm.open(iv, sealed, aad) == unhex(vector["pt"]), vector["name"]
        print(vector["name"], sealed.hex()[-32:])
    assert len(VECTORS["sm4_gcm"]) >= 4


def test_substitution_is_what_its_algebra_says():
    """S(x) = A(A(x)⁻¹) in GF(2^8) modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1, A affine."""

    def times(a, b):
        found = 0
        while b:
            if b & 1:
                found ^= a
            a = a << 1 ^ (0x1F5 if a & 0x80 else 0)
            b >>= 1
        return found

    def affine(x):
        found = 0
        for i in range(8):
            row = (0xA7 << i | 0xA7 >> (8 - i)) & 0xFF & x
            found |= (bin(row).count("1") & 1) << i
        return found ^ 0xD3

    inverse = [0] * 256
    generator = 1
    powers = []
    while len(powers) < 255:  # by trial: the first element whose powers are all elements but 0
        generator += 1
        powers = [1]
        while times(powers[-1], generator) != 1:
            powers.append(times(powers[-1], generator))
    for i in range(255):
        inverse[powers[i]] = powers[-i % 255]
    assert [affine(inverse[affine(x)]) for x in range(256)] == list(sm4.SBOX)


def test_modes_are_made_of_blocks():
    random = Random(40)
    for size in (0, 1, 15, 16, 17, 31, 32, 48, 100):
        cipher = Cipher(random.bytes(16))
        start, data = random.bytes(16), random.bytes(size)
        chained, chain = b"", start
        padded = data + bytes((16 - size % 16,)) * (16 - size % 16)
        counted, counter = b"", int.from_bytes(start, "big")
        for at in range(0, len(padded), 16):
            block = padded[at : at + 16]
            chain = cipher.encrypt(sm4.xor(block, chain))
            assert cipher.decrypt(cipher.encrypt(block)) == block
            chained += chain
            counted += sm4.xor(block, cipher.encrypt(counter.to_bytes(16, "big")))
            counter = (counter + 1) % (1 << 128)
        assert cipher.encrypt_cbc(start, data) == chained
        assert cipher.decrypt_cbc(start, chained) == data
        assert cipher.ctr(start, data) == counted[:size]
        assert cipher.ctr(start, counted[:size]) == data
        print(size, (chained + counted[:size]).hex())


def test_counter_carries_and_wraps():
    cipher = Cipher(KEY)
    for ones in range(17):
        start = bytes(16 - ones) + b"\xff" * ones
        after = ((int.from_bytes(start, "big") + 1) % (1 << 128)).to_bytes(16, "big")
        assert cipher.ctr(start, bytes(32)) == cipher.encrypt(start) + cipher.encrypt(after)


def test_any_splitting_gives_the_same_stream():
    random = Random(41)
    cipher = Cipher(KEY)
    data = random.bytes(300)
    whole = cipher.ctr(KEY, data)
    for _ in range(20):
        stream, out, at = cipher.stream(KEY), b"", 0
        while at < len(data):
            step = random.below(40)
            out += stream.process(data[at : at + step])
            at += step
        assert out == whole
    assert cipher.stream(KEY).process(b"") == b""


def test_bytes_bytearray_and_memoryview():
    cipher, gcm = Cipher(bytearray(KEY)), Gcm(memoryview(KEY))
    data = bytes(range(50))
    sealed = gcm.seal(IV, data, b"aad")
    for kind in (bytes, bytearray, memoryview):
        assert cipher.ctr(kind(KEY), kind(data)) == Cipher(KEY).ctr(KEY, data)
        ciphertext = cipher.encrypt_cbc(kind(KEY), kind(data))
        assert cipher.decrypt_cbc(kind(KEY), kind(ciphertext)) == data
        assert gcm.seal(kind(IV), kind(data), kind(b"aad")) == sealed
        assert gcm.open(kind(IV), kind(sealed), kind(b"aad")) == data


def test_padding_is_checked_strictly():
    cipher = Cipher(KEY)

    def sealed(plain):  # CBC of whole blocks as they are
        return cipher.encrypt_cbc(KEY, plain)[: len(plain)]

    good = 0
    for last in range(256):
        block = bytes(15) + bytes((last,))
        for pad in (block, bytes(16 - min(last, 16)) + bytes((last,)) * min(last, 16)):
            ciphertext = sealed(b"carbon terminal!" + pad)
            if 1 <= last <= 16 and pad[16 - last :] == bytes((last,)) * last:
                assert cipher.decrypt_cbc(KEY, ciphertext) == b"carbon terminal!" + pad[: 16 - last]
                good += 1
            else:
                with pytest.raises(GmError, match="does not end in PKCS #7 padding"):
                    cipher.decrypt_cbc(KEY, ciphertext)
    for pad in range(2, 17):  # each byte of the padding matters
        for at in range(16 - pad, 15):
            block = bytearray(bytes(16 - pad) + bytes((pad,)) * pad)
            block[at] ^= 1
            with pytest.raises(GmError, match="padding"):
                cipher.decrypt_cbc(KEY, sealed(bytes(block)))
    print(good)
    assert good == 17


def test_every_changed_bit_and_length_is_refused_by_gcm():
    gcm = Gcm(KEY)
    sealed = gcm.seal(IV, b"carbon data", b"terminal")
    for at in range(8 * len(sealed)):
        wrong = bytearray(sealed)
        wrong[at >> 3] ^= 1 << (at & 7)
        with pytest.raises(GmError, match="tag is wrong"):
            gcm.open(IV, wrong, b"terminal")
    for size in range(len(sealed)):
        with pytest.raises(GmError, match="tag is wrong" if size >= 16 else "no sealed message"):
            gcm.open(IV, sealed[:size], b"terminal")
    for iv, aad in ((IV, b"termina"), (IV, b""), (b"\xff" + IV[1:], b"terminal")):
        with pytest.raises(GmError, match="tag is wrong"):
            gcm.open(iv, sealed, aad)
    with pytest.raises(GmError, match="tag is wrong"):
        Gcm(bytes(16)).open(IV, sealed, b"terminal")
    # what is in the data cannot be moved into aad
    with pytest.raises(GmError, match="tag is wrong"):
        gcm.open(IV, sealed[1:], b"terminal" + sealed[:1])
    assert gcm.open(IV, sealed, b"terminal") == b"carbon data"


def test_wrong_lengths():
    cipher, gcm = Cipher(KEY), Gcm(KEY)
    for wrong in (b"", KEY[:15], KEY + b"\0", KEY * 2, "0123456789abcdef", 16, None):
        for use in (
            Cipher, Gcm, cipher.encrypt, cipher.decrypt, cipher.stream,
            lambda v: cipher.encrypt_cbc(v, b""), lambda v: cipher.decrypt_cbc(v, KEY), lambda v: cipher.ctr(v, b""),
            lambda v: gcm.seal(v, b""), lambda v: gcm.open(v, bytes(16)),
        ):  # fmt: skip
            with pytest.raises(GmError) as caught:
                use(wrong)
            assert caught.value.hint
    for size in (0, 1, 15, 17, 31):
        with pytest.raises(GmError, match="not whole blocks"):
            cipher.decrypt_cbc(KEY, bytes(size))


def test_both_paths_give_the_same():
    random = Random(42)
    for mode in (sm4.ECB, sm4.CTR, sm4.ENCRYPT_CBC, sm4.DECRYPT_CBC):
        for blocks in (0, 1, 3):
            keys = array("I", [random.bits(32) for _ in range(32)] + [0, 0])
            data, chain = random.bytes(16 * blocks), random.bytes(16)
            found = []
            for process in (sm4._process, sm4.process_python):
                after, out = bytearray(chain), bytearray(len(data))
                process(keys, mode, after, data, out)
                found.append((after, out))
            assert found[0] == found[1]
            print(mode, bytes(found[0][0] + found[0][1]).hex())
    table = sm4_gcm.multiples(random.bytes(16))
    for _ in range(5):
        data, state = random.bytes(48), random.bytes(16)
        found = []
        for ghash in (sm4_gcm._ghash, sm4_gcm.ghash_python):
            after = bytearray(state)
            ghash(table, after, data)
            found.append(after)
        assert found[0] == found[1]
        print(bytes(found[0]).hex())


def test_backend_and_its_self_test():
    viper = sys.implementation.name == "micropython"
    assert ("viper" if viper else "python") == sm4.BACKEND
    assert viper == (sm4_gcm._ghash is not sm4_gcm.ghash_python)
    assert sm4.passes_self_test(sm4.process_python) and sm4.passes_self_test(sm4._process)
    assert sm4_gcm.passes_self_test(sm4_gcm.ghash_python) and sm4_gcm.passes_self_test(sm4_gcm._ghash)
    assert not sm4.passes_self_test(lambda keys, mode, chain, data, out: None)
    assert not sm4_gcm.passes_self_test(lambda table, state, data: None)

    def without_carry(keys, mode, chain, data, out):
        last = chain[15]
        sm4.process_python(keys, mode, chain, data, out)
        if mode == sm4.CTR and last == 255:
            chain[14] = (chain[14] - 1) & 255

    assert not sm4.passes_self_test(without_carry)
