"""Three implementations of SM3 and SM2 must say the same of every vector; random and changed cases: test_gm_ciphers."""

import ctypes
import hmac
import itertools
import threading

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm3
from carbonterm.gm.curve import N
from carbonterm_host import gm_backends, gm_openssl
from carbonterm_host.gm_backends import BACKENDS, digest, sign, verify
from seeded import Random
from vectors import load

VECTORS = load("gm")
SIGNED = [v for group in ("sm2_sign", "sm2_invalid") for v in VECTORS[group]]
PRIVATE = bytes.fromhex(VECTORS["sm2_sign"][0]["d"])
PUBLIC = bytes.fromhex(VECTORS["sm2_sign"][0]["pub"])


@pytest.mark.requirement("T-7.4-1")
@pytest.mark.parametrize("backend", BACKENDS)
def test_sm3_vectors(backend):
    for vector in VECTORS["sm3"]:
        if "msg" in vector:
            assert digest(bytes.fromhex(vector["msg"]), backend).hex() == vector["digest"], vector


@pytest.mark.requirement("T-7.4-1")
@pytest.mark.parametrize("vector", SIGNED, ids=lambda v: v["name"])
def test_sm2_vectors(vector):
    given = [bytes.fromhex(vector[key]) for key in ("pub", "msg", "sig")]
    assert {b: verify(*given, b) for b in BACKENDS} == dict.fromkeys(BACKENDS, vector["valid"])


def agreed(public, message, signature):
    said = {backend: verify(public, message, signature, backend) for backend in BACKENDS}
    assert len(set(said.values())) == 1, (said, public.hex(), message.hex(), signature.hex())
    return said["core"]


def test_they_agree_on_random_digests():
    random = Random(21)
    for size in [*range(0, 130, 3), 1000]:
        data = random.bytes(size)
        assert {digest(data, backend) for backend in BACKENDS} == {sm3.digest(data)}


def test_nonces_are_those_of_rfc_6979_by_python_s_own_hmac():
    def mac(key, *parts):
        return hmac.new(key, b"".join(parts), "sm3").digest()

    def expected(private, digest, extra, count):
        seed = private.to_bytes(32, "big") + (digest % N).to_bytes(32, "big") + extra
        key, value = mac(bytes(32), b"\1" * 32, b"\0", seed), b"\1" * 32
        value = mac(key, value)
        key = mac(key, value, b"\1", seed)
        value = mac(key, value)
        while count:
            value = mac(key, value)
            if 1 <= int.from_bytes(value, "big") < N:
                count -= 1
                yield int.from_bytes(value, "big")
            key = mac(key, value, b"\0")
            value = mac(key, value)

    random = Random(24)
    for _ in range(20):
        given = random.bits(256) % (N - 2) + 1, random.bits(256), random.bytes(random.choice((0, 32, 100)))
        found = itertools.islice(sm2.nonces(given[0], given[1] % N, given[2]), 3)
        assert list(found) == list(expected(*given, 3))


def test_hmac_is_python_s_own():
    random = Random(25)
    for size in (0, 1, 63, 64, 65, 130):
        key, data = random.bytes(size), random.bytes(2 * size)
        assert sm3.hmac(key, data) == hmac.new(key, data, "sm3").digest()


@pytest.mark.slow
def test_keys_that_begin_with_04_survive_gmssl():
    random = Random(22)
    found = []
    while len(found) < 2:
        signer = sm2.Signer((random.bits(256) % (N - 2) + 1).to_bytes(32, "big"))
        if signer.public[0] == 4:
            found.append(signer)
    for signer in found:
        assert agreed(signer.public, b"04", signer.sign(b"04"))


def test_a_sum_at_infinity_is_refused_by_all():
    # s·G + t·Q = 0 for Q = d·G where s + t·d = 0; gmssl raises there
    d, t = 5, 7
    s = -t * d % N
    signature = ((t - s) % N).to_bytes(32, "big") + s.to_bytes(32, "big")
    assert not agreed(sm2.public(d.to_bytes(32, "big")), b"any", signature)


@pytest.mark.parametrize("signing", ["core", "openssl"])
def test_what_one_signs_all_verify(signing):
    random = Random(23)
    for size in (0, 1, 100, 5000):
        message = random.bytes(size)
        assert agreed(PUBLIC, message, sign(PRIVATE, message, signing))


def test_gmssl_signs_nothing_here():
    with pytest.raises(GmError, match="predictable"):
        sign(PRIVATE, b"", "gmssl")


def test_private_keys_that_are_none():
    for backend in ("core", "openssl"):
        for wrong in (b"", bytes(32), b"\xff" * 32, (N - 1).to_bytes(32, "big")):
            with pytest.raises(GmError):
                sign(wrong, b"", backend)


def test_unknown_backend():
    for call in (lambda b: digest(b"", b), lambda b: verify(b"", b"", b"", b), lambda b: sign(b"", b"", b)):
        with pytest.raises(GmError, match="no backend 'md5'") as caught:
            call("md5")
        assert "core, openssl, gmssl" in caught.value.hint


def test_best_is_openssl_where_it_is_installed():
    assert gm_backends.best() == "openssl"


def test_without_a_library_best_is_ours_and_openssl_says_why(monkeypatch):
    def nothing_there(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", nothing_there)
    gm_openssl.load.cache_clear()
    gm_backends.best.cache_clear()
    try:
        assert gm_backends.best() == "core"
        for call in (lambda: digest(b"", "openssl"), lambda: verify(b"", b"", b"", "openssl")):
            with pytest.raises(GmError, match="no OpenSSL 3") as caught:
                call()
            assert "libcrypto.so.3: cannot open" in caught.value.what and caught.value.hint
    finally:
        gm_openssl.load.cache_clear()
        gm_backends.best.cache_clear()


def test_threads_share_openssl():
    vector = VECTORS["sm2_sign"][0]
    given = [bytes.fromhex(vector[key]) for key in ("pub", "msg", "sig")]
    wrong = [given[0], given[1] + b"x", given[2]]
    said = []

    def work():
        said.extend(verify(*given, "openssl") and not verify(*wrong, "openssl") for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 200
