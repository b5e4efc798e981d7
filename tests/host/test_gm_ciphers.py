"""SM4, HMAC, KDF and SM2 encryption: every vector by every backend that has the operation, and thousands of random
and changed cases of all operations on which the backends must agree."""

import os
from concurrent.futures import ProcessPoolExecutor

import gmalg.sm2
import pytest

import gm_cases
from carbonterm.errors import GmError
from carbonterm.gm import der, sm2
from carbonterm.gm.curve import N
from carbonterm.gm.sm2_exchange import Exchange
from carbonterm_host import gm_ciphers
from carbonterm_host.gm_backends import BACKENDS
from seeded import Random
from vectors import load

VECTORS = load("gm")


def given(vector, *names):
    return [bytes.fromhex(vector[name]) for name in names]


@pytest.mark.requirement("T-7.4-1")
@pytest.mark.parametrize("backend", BACKENDS)
def test_vectors(backend):
    for vector in VECTORS["hmac_sm3"]:
        assert gm_ciphers.hmac(*given(vector, "key", "msg"), backend).hex() == vector["mac"]
    for vector in VECTORS["sm4_block"]:
        key, plain, secret = given(vector, "key", "pt", "ct")
        if "iterations" not in vector:
            assert gm_ciphers.block(key, plain, False, backend) == secret
            assert gm_ciphers.block(key, secret, True, backend) == plain
        elif backend == "openssl":  # a cipher chained to itself is CBC of zeros; a minute for pure Python
            chained = gm_ciphers.cbc(key, plain, bytes(16 * vector["iterations"]), False, backend)
            assert chained[-32:-16] == secret
    for vector in VECTORS["sm4_cbc_pkcs7"]:
        key, iv, plain, secret = given(vector, "key", "iv", "pt", "ct")
        assert gm_ciphers.cbc(key, iv, plain, False, backend) == secret
        assert gm_ciphers.cbc(key, iv, secret, True, backend) == plain
    for vector in VECTORS["sm2_decrypt"]:
        private, ciphertext, plain = given(vector, "d", "ct_c1c3c2", "pt")
        assert gm_ciphers.decrypt(private, ciphertext[-96 - len(plain) :], backend) == plain


@pytest.mark.parametrize("backend", gm_cases.WITHOUT_GMSSL)
def test_gcm_vectors(backend):
    for vector in VECTORS["sm4_gcm"]:
        key, iv, aad, plain, secret, tag = given(vector, "key", "iv", "aad", "pt", "ct", "tag")
        assert gm_ciphers.gcm(key, iv, plain, aad, False, backend) == secret + tag
        assert gm_ciphers.gcm(key, iv, secret + tag, aad, True, backend) == plain


@pytest.mark.slow
def test_some_cases_of_each_operation():
    for operation, share in gm_cases.SHARES.items():
        found = gm_cases.counts(operation, range(share // 50))
        assert found["accepted"], (operation, found)


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-1", part="three implementations agree on 10 000 cases")
def test_ten_thousand_cases():
    """Shared out over processes; the numbers of the cases are what is seeded."""
    assert sum(gm_cases.SHARES.values()) == 10000
    tasks = [(name, range(low, share, 8)) for name, share in gm_cases.SHARES.items() for low in range(8)]
    total = {name: {"accepted": 0, "refused": 0} for name in gm_cases.SHARES}
    with ProcessPoolExecutor(min(os.cpu_count(), 8)) as pool:
        for (name, _), found in zip(tasks, pool.map(gm_cases.counts, *zip(*tasks, strict=True)), strict=True):
            for outcome in found:
                total[name][outcome] += found[outcome]
    print()
    for name, found in total.items():
        print(f"{name:12} {found['accepted']:6} accepted {found['refused']:6} refused")
    assert sum(sum(found.values()) for found in total.values()) == 10000
    for name in gm_cases.SHARES:
        assert total[name]["accepted"] >= 100, (name, total[name])
        assert total[name]["refused"] >= 80 or name in ("digest", "hmac", "kdf", "cbc", "ctr"), (name, total[name])


@pytest.mark.slow
def test_what_core_and_openssl_encrypt_all_decrypt():
    random = Random(31)
    private = (random.bits(256) % (N - 2) + 1).to_bytes(32, "big")
    for size in (1, 32, 127, 128, 255, 256, 300):
        plain = random.bytes(size)
        for backend in ("core", "openssl"):
            ciphertext = gm_ciphers.encrypt(sm2.public(private), plain, backend)
            assert {gm_ciphers.decrypt(private, ciphertext, one) for one in BACKENDS} == {plain}
            assert der.ciphertext_from_der(der.ciphertext_to_der(ciphertext)) == ciphertext


@pytest.mark.slow
def test_the_key_exchange_is_that_of_another_implementation():
    """OpenSSL and gmssl have none; gmalg, pure Python and of somebody else, has it without the hashes that confirm."""
    random = Random(32)

    def peer(private, public, ephemeral):
        return gmalg.sm2.SM2(private, sm2.ID, b"\x04" + public, rnd_fn=lambda _: ephemeral)

    for _ in range(12):
        a, b, ra, rb = [random.bits(256) % (N - 2) + 1 for _ in range(4)]
        a, b = a.to_bytes(32, "big"), b.to_bytes(32, "big")
        ours = Exchange(a, ra.to_bytes(32, "big"), True)
        theirs = peer(b, sm2.public(b), rb)
        send, t = theirs.begin_key_exchange()
        size = random.choice((16, 32, 48))
        key, *_ = ours.agree(sm2.public(b), send[1:], size)
        mode = gmalg.sm2.KEYXCHG_MODE.RESPONDER
        assert theirs.end_key_exchange(size, t, b"\x04" + ours.send, sm2.ID, b"\x04" + ours.public, mode) == key
        mine = Exchange(b, rb.to_bytes(32, "big"), False)
        assert mine.send == send[1:] and mine.agree(ours.public, ours.send, size)[0] == key


def test_what_a_backend_has_not_it_says():
    public = sm2.public(bytes(31) + b"\1")
    for call in (lambda: gm_ciphers.gcm(bytes(16), bytes(12), b"", backend="gmssl"),
                 lambda: gm_ciphers.encrypt(public, b"x", "gmssl")):  # fmt: skip
        with pytest.raises(GmError, match="gmssl") as caught:
            call()
        assert caught.value.hint == "use core or openssl"


@pytest.mark.parametrize("backend", [*BACKENDS, "md5"])
def test_refusals(backend):
    key, iv = bytes(16), bytes(16)
    good = gm_ciphers.cbc(key, iv, b"x")
    public = sm2.public(bytes(31) + b"\1")
    for call in (
        lambda: gm_ciphers.block(key[1:], iv, False, backend), lambda: gm_ciphers.block(key, iv + b"x", False, backend),
        lambda: gm_ciphers.block("k" * 16, iv, False, backend), lambda: gm_ciphers.cbc(key, b"", b"", False, backend),
        lambda: gm_ciphers.cbc(key, iv, b"", True, backend), lambda: gm_ciphers.cbc(key, iv, good[:-1], True, backend),
        lambda: gm_ciphers.cbc(bytes(15) + b"\1", iv, good, True, backend),
        lambda: gm_ciphers.ctr(key, iv[1:], b"x", backend), lambda: gm_ciphers.gcm(key, iv, b"x", b"", False, backend),
        lambda: gm_ciphers.gcm(key, iv[:12], bytes(15), b"", True, backend),
        lambda: gm_ciphers.gcm(key, iv[:12], bytes(16), b"", True, backend),
        lambda: gm_ciphers.kdf(b"", 16, backend), lambda: gm_ciphers.kdf(b"x", 0, backend),
        lambda: gm_ciphers.kdf(b"x", gm_ciphers.MAX_KDF + 1, backend), lambda: gm_ciphers.encrypt(public, b"", backend),
        lambda: gm_ciphers.encrypt(bytes(64), b"x", backend), lambda: gm_ciphers.encrypt(public, bytes(65536), backend),
        lambda: gm_ciphers.decrypt(bytes(32), bytes(100), backend),
        lambda: gm_ciphers.decrypt(bytes(31) + b"\1", bytes(100), backend),
        lambda: gm_ciphers.decrypt(bytes(31) + b"\1", public + bytes(40), backend),
        lambda: gm_ciphers.decrypt(bytes(31) + b"\1", public + bytes(32), backend),
    ):  # fmt: skip
        with pytest.raises(GmError) as caught:
            call()
        assert caught.value.hint
