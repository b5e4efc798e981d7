"""SM3 and HMAC-SM3: the published vectors, any splitting, and the two compression functions side by side.

T-7.4-1 as far as SM3 reaches (GB/T 32905-2016); SM2 is in test_sm2.py, SM4 follows with its module.
"""

import struct
import sys

import pytest

from carbonterm.gm import sm3
from seeded import Random
from vectors import load

VECTORS = load("gm")


def unhex(text):
    return bytes.fromhex(text)


@pytest.mark.requirement("T-7.4-1")
def test_digest_vectors():
    count = 0
    for vector in VECTORS["sm3"]:
        if "msg" in vector:
            assert len(unhex(vector["msg"])) == vector["len"]
            assert sm3.digest(unhex(vector["msg"])).hex() == vector["digest"], vector
            count += 1
    assert count >= 20
    print(count, sm3.digest(b"abc").hex())


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-1")
def test_long_digest_vectors():
    long = [v for v in VECTORS["sm3"] if "msg" not in v]
    assert [v["len"] for v in long] == [1000000, 1048576]
    assert sm3.digest(b"a" * 1000000).hex() == long[0]["digest"]
    period = bytes([(i * 7 + 3) & 255 for i in range(256)])
    assert sm3.digest(period * 4096).hex() == long[1]["digest"]


@pytest.mark.requirement("T-7.4-1")
def test_hmac_vectors():
    for vector in VECTORS["hmac_sm3"]:
        mac = sm3.hmac(unhex(vector["key"]), unhex(vector["msg"])).hex()
        assert mac == vector["mac"], vector
        print(mac)


def test_hmac_key_lengths_around_the_block():
    for size in (0, 1, 32, 63, 64, 65, 200):
        print(size, sm3.hmac(bytes(range(size)), b"data").hex())
    long = bytes(range(65))
    assert sm3.hmac(long, b"data") == sm3.hmac(sm3.digest(long), b"data")


def test_any_splitting_gives_the_same_digest():
    random = Random(3)
    for size in list(range(0, 140, 7)) + [55, 56, 63, 64, 65, 127, 128, 129, 1000]:
        data = random.bytes(size)
        whole = sm3.digest(data)
        state = sm3.Hash()
        at = 0
        while at < size:
            step = random.below(1 + min(130, size - at))
            state.update(data[at : at + step])
            at += step
        assert state.digest() == whole, size
        print(size, whole.hex())


def test_digest_does_not_end_the_hash_and_a_copy_goes_its_own_way():
    state = sm3.Hash(b"ab")
    assert state.digest() == sm3.digest(b"ab")
    other = state.copy()
    state.update(b"c")
    other.update(b"d" * 100)
    assert state.digest() == sm3.digest(b"abc") == state.digest()
    assert other.digest() == sm3.digest(b"ab" + b"d" * 100)


def test_bytes_bytearray_and_memoryview_at_an_odd_place():
    data = Random(4).bytes(301)
    expected = sm3.digest(data[3:])
    assert sm3.digest(bytearray(data[3:])) == expected
    assert sm3.digest(memoryview(data)[3:]) == expected
    state = sm3.Hash()
    state.update(memoryview(data)[3:10])
    state.update(memoryview(bytearray(data))[10:])
    assert state.digest() == expected


def test_the_chosen_compression_gives_what_the_portable_one_gives():
    random = Random(5)
    for blocks in (1, 2, 5):
        for _ in range(20):
            data = random.bytes(64 * blocks + 9)
            start = random.bytes(32)
            chosen, portable = bytearray(start), bytearray(start)
            sm3._compress(chosen, data, 9, 9 + 64 * blocks)
            sm3.compress_python(portable, data, 9, 9 + 64 * blocks)
            assert chosen == portable
    print(bytes(portable).hex())


def test_the_portable_path_alone_is_right_everywhere():
    state = bytearray(sm3._IV)
    sm3.compress_python(state, b"abc\x80" + bytes(52) + struct.pack(">Q", 24), 0, 64)
    assert bytes(state).hex() == VECTORS["sm3"][0]["digest"]


def test_backend():
    assert ("viper" if sys.implementation.name == "micropython" else "python") == sm3.BACKEND


def test_a_wrong_twin_does_not_pass_the_self_test():
    assert sm3._passes_self_test(sm3.compress_python)
    assert sm3._passes_self_test(sm3._compress)
    assert not sm3._passes_self_test(lambda state, data, start, end: None)
    assert not sm3._passes_self_test(_first_block_only)


def _first_block_only(state, data, start, end):
    sm3.compress_python(state, data, start, start + 64)
