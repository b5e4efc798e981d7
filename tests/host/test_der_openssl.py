"""DER signatures and PEM keys against the vectors and against pyca/cryptography's own DER code."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from carbonterm.errors import GmError
from carbonterm.gm import der, sm2, sm2_encrypt
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


def openssl(folder, *command):
    done = subprocess.run(["openssl", *command], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_private_keys_that_openssl_makes(tmp_path):
    """PKCS #8 and SEC 1 by its own commands, each the same key as its own public half says."""
    openssl(tmp_path, "genpkey", "-algorithm", "SM2", "-out", "1.pem")
    openssl(tmp_path, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", "2.pem")
    openssl(tmp_path, "ec", "-in", "1.pem", "-out", "3.pem")
    openssl(tmp_path, "pkcs8", "-topk8", "-nocrypt", "-in", "3.pem", "-out", "4.pem")
    seen = set()
    for number in range(1, 5):
        text = (tmp_path / f"{number}.pem").read_text()
        private = der.private_from_pem(text)
        public = openssl(tmp_path, "pkey", "-in", f"{number}.pem", "-pubout").decode()
        assert der.public_from_pem(public) == sm2.public(private)
        assert der.private_to_pem(private, sm2.public(private), "SM2 PRIVATE" in text) == text
        seen.add(private)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "command, what",
    [
        (("pkcs8", "-topk8", "-passout", "pass:x"), "is encrypted"),
        (("ec", "-aes128", "-passout", "pass:x"), "is encrypted"),
        (("ec", "-conv_form", "compressed"), "no PKCS #8 or SEC 1"),
        (("ec", "-no_public"), "no PKCS #8 or SEC 1"),
        (("ec", "-param_enc", "explicit"), "no PKCS #8 or SEC 1"),
    ],
)
def test_private_keys_that_openssl_makes_and_we_do_not_take(tmp_path, command, what):
    openssl(tmp_path, "genpkey", "-algorithm", "SM2", "-out", "good.pem")
    openssl(tmp_path, *command, "-in", "good.pem", "-out", "other.pem")
    with pytest.raises(GmError, match=what) as caught:
        der.private_from_pem((tmp_path / "other.pem").read_text())
    assert "openssl" in caught.value.hint


def test_keys_of_other_curves_and_files_with_parameters(tmp_path):
    openssl(tmp_path, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "p256.pem")
    with pytest.raises(GmError, match="no PKCS #8"):
        der.private_from_pem((tmp_path / "p256.pem").read_text())
    parameters = openssl(tmp_path, "ecparam", "-name", "SM2").decode()
    good = openssl(tmp_path, "genpkey", "-algorithm", "SM2").decode()
    with pytest.raises(GmError, match="begins with parameters"):
        der.private_from_pem(parameters + good)


def test_openssl_reads_our_private_keys_and_decrypts_with_them(tmp_path):
    vector = VECTORS["sm2_sign"][0]
    private, public = bytes.fromhex(vector["d"]), bytes.fromhex(vector["pub"])
    for sec1 in (False, True):
        (tmp_path / "key.pem").write_text(der.private_to_pem(private, public, sec1))
        said = openssl(tmp_path, "pkey", "-in", "key.pem", "-pubout").decode()
        assert said == public_to_pem(public)
        secret = der.ciphertext_to_der(sm2_encrypt.encrypt(public, b"carbon", bytes(32)))
        (tmp_path / "in").write_bytes(secret)
        assert openssl(tmp_path, "pkeyutl", "-decrypt", "-inkey", "key.pem", "-in", "in") == b"carbon"
    (tmp_path / "pub.pem").write_text(public_to_pem(public))
    (tmp_path / "plain").write_bytes(b"back")
    made = openssl(tmp_path, "pkeyutl", "-encrypt", "-pubin", "-inkey", "pub.pem", "-in", "plain")
    assert sm2_encrypt.decrypt(private, der.ciphertext_from_der(made)) == b"back"
