"""DER signatures and PEM keys against the vectors and against pyca/cryptography's own DER code."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from carbonterm.errors import GmError
from carbonterm.gm.der import public_to_pem, signature_from_der, signature_to_der
from seeded import Random
from vectors import load

VECTORS = load("gm")


def test_vectors_both_ways():
    cases = [v for v in VECTORS["sm2_sign"] if v.get("sig_der")]
    assert cases
    for v in cases:
        raw, der = bytes.fromhex(v["sig"]), bytes.fromhex(v["sig_der"])
        assert signature_to_der(raw) == der
        assert signature_from_der(der) == raw


def test_the_same_der_as_cryptography_writes():
    random = Random(1)
    for size in range(1, 33):
        raw = random.bytes(size).rjust(32, b"\0") + random.bytes(33 - size).rjust(32, b"\0")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        assert signature_to_der(raw) == der
        assert signature_from_der(der) == raw


@pytest.mark.parametrize("vector", VECTORS["sm2_invalid_der"], ids=lambda v: v["name"])
def test_malformed_der_is_refused(vector):
    with pytest.raises(GmError):
        signature_from_der(bytes.fromhex(vector["sig_der"]))


def test_mutated_der_is_refused_or_is_the_one_encoding_of_what_it_gives():
    random = Random(2)
    good = signature_to_der(random.bytes(64))
    accepted = 0
    for _ in range(3000):
        der = bytearray(good)
        for _ in range(1 + random.below(3)):
            at = random.below(len(der))
            if random.below(4):
                der[at] = random.below(256)
            elif random.below(2):
                del der[at]
            else:
                der.insert(at, random.below(256))
        try:
            raw = signature_from_der(der)
        except GmError as error:
            assert error.hint
            continue
        accepted += 1
        assert signature_to_der(raw) == der
        r, s = decode_dss_signature(bytes(der))
        assert raw == r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert accepted


def test_every_truncation_is_refused():
    der = bytes.fromhex(VECTORS["sm2_sign"][0]["sig_der"])
    for size in range(len(der)):
        with pytest.raises(GmError):
            signature_from_der(der[:size])


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_wrong_lengths_are_refused(size):
    with pytest.raises(GmError, match=f"64 bytes, not {size}"):
        signature_to_der(bytes(size))
    with pytest.raises(GmError, match=f"64 bytes, not {size}"):
        public_to_pem(bytes(size))


def test_openssl_reads_the_pem_and_verifies_with_it(tmp_path: Path):
    vector = VECTORS["sm2_sign"][0]
    (tmp_path / "key.pem").write_text(public_to_pem(bytes.fromhex(vector["pub"])))
    (tmp_path / "sig").write_bytes(signature_to_der(bytes.fromhex(vector["sig"])))
    (tmp_path / "msg").write_bytes(bytes.fromhex(vector["msg"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-in", "msg", "-sigfile", "sig",
               "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "Verified Successfully" in done.stdout, done.stdout + done.stderr
