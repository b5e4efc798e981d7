"""Keys and signatures in DER and PEM: one encoding each, whatever differs is refused."""

import pytest

from carbonterm.errors import GmError
from carbonterm.gm import der, sm2
from seeded import Random
from vectors import load

VECTORS = load("gm")
PRIVATE = bytes.fromhex(VECTORS["sm2_sign"][0]["d"])
PUBLIC = sm2.public(PRIVATE)


def test_signature_vectors():
    for v in VECTORS["sm2_sign"]:
        assert der.signature_to_der(bytes.fromhex(v["sig"])).hex() == v["sig_der"]
        assert der.signature_from_der(bytes.fromhex(v["sig_der"])).hex() == v["sig"]
    for v in VECTORS["sm2_invalid_der"]:
        with pytest.raises(GmError) as caught:
            der.signature_from_der(bytes.fromhex(v["sig_der"]))
        print(v["name"], caught.value)


def test_keys_there_and_back():
    assert der.public_from_der(der.public_to_der(PUBLIC)) == PUBLIC
    assert der.public_from_pem(der.public_to_pem(PUBLIC)) == PUBLIC
    print(der.public_to_pem(PUBLIC))
    for sec1 in (False, True):
        assert der.private_from_der(der.private_to_der(PRIVATE, PUBLIC, sec1)) == PRIVATE
        text = der.private_to_pem(PRIVATE, PUBLIC, sec1)
        assert der.private_from_pem(text) == der.private_from_pem(text.replace("\n", "\r\n")) == PRIVATE
        print(text)
    assert der.private_from_pem(text.replace("SM2 PRIVATE", "EC PRIVATE")) == PRIVATE


def test_changed_keys_are_refused():
    random = Random(70)
    for good, read in (
        (der.public_to_der(PUBLIC), der.public_from_der),
        (der.private_to_der(PRIVATE, PUBLIC), der.private_from_der),
        (der.private_to_der(PRIVATE, PUBLIC, True), der.private_from_der),
    ):
        for at in range(0, len(good), 3):
            wrong = bytearray(good)
            wrong[at] ^= 1 << random.below(8)
            with pytest.raises(GmError) as caught:
                read(wrong)
            assert caught.value.hint
        for wrong in (good + b"\0", good[:-1], b"", b"\0" + good[1:]):
            with pytest.raises(GmError):
                read(wrong)


def test_texts_that_are_no_pem():
    text = der.public_to_pem(PUBLIC)
    for wrong in (
        "", "\n", text[:-1], text + "\n", " " + text, text.replace("PUBLIC", "PRIVATE"), text.replace("M", "!"),
        text.replace("\n", ""), text + text, "x" * 1001, "é" + text, None, text.encode(),
    ):  # fmt: skip
        with pytest.raises(GmError, match="no PEM"):
            der.public_from_pem(wrong)
    with pytest.raises(GmError, match="no PEM"):
        der.private_from_pem(text)


def test_wrong_lengths():
    for size in (0, 63, 65):
        with pytest.raises(GmError, match="64 bytes, not %d" % size):
            der.signature_to_der(bytes(size))
        with pytest.raises(GmError, match="64 bytes, not %d" % size):
            der.public_to_der(bytes(size))
        with pytest.raises(GmError, match="32 bytes and its public"):
            der.private_to_der(PRIVATE, bytes(size))


@pytest.mark.slow
def test_ciphertexts():
    random = Random(72)
    for size in (1, 30, 31, 127, 128, 255, 256, 300, 65535):
        for _ in range(3 if size < 1000 else 1):
            raw = bytes(random.below(3)) + random.bytes(size + 96)
            raw = raw[: size + 96]
            made = der.ciphertext_to_der(raw)
            assert der.ciphertext_from_der(made) == raw
        print(size, len(made), made[:80])
    good = der.ciphertext_to_der(random.bytes(96 + 140))
    accepted = 0
    for at in range(len(good)):
        for wrong in (good[:at], good[:at] + bytes((good[at] ^ 1 << random.below(8),)) + good[at + 1 :], good[at:]):
            try:
                raw = der.ciphertext_from_der(wrong)
            except GmError as error:
                assert error.hint
                continue
            accepted += 1
            assert der.ciphertext_to_der(raw) == wrong
    print(accepted)
    for wrong in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\xff" + bytes(200), good + b"\0"):
        with pytest.raises(GmError, match="in DER"):
            der.ciphertext_from_der(wrong)
    with pytest.raises(GmError, match="no SM2 ciphertext"):
        der.ciphertext_to_der(bytes(96))


def test_pem_fuzz():
    """Lines cut, doubled, swapped, joined; characters of PEM and others in any place: the same key, or a GmError."""
    random = Random(73)
    texts = (der.private_to_pem(PRIVATE, PUBLIC), der.private_to_pem(PRIVATE, PUBLIC, True), der.public_to_pem(PUBLIC))
    pieces = ("-----", "BEGIN", "\n", "\r", "=", "==", "A", "+", " ", "\0", "EC ", "ENCRYPTED ", "\u7891", "SM2 ")
    accepted = 0
    for _ in range(400):
        text = random.choice(texts)
        for _ in range(1 + random.below(3)):
            lines = text.split("\n")
            at, other = random.below(len(lines)), random.below(len(lines))
            how = random.below(6)
            if how == 0:
                lines[at], lines[other] = lines[other], lines[at]
            elif how == 1:
                lines.pop(at)
            elif how == 2:
                lines.insert(at, lines[other])
            else:
                line = lines[at]
                place = random.below(len(line) + 1)
                lines[at] = line[:place] + random.choice(pieces) + line[place + random.below(2) :]
            text = "\n".join(lines) or "\n"
        for read, wanted in ((der.private_from_pem, PRIVATE), (der.public_from_pem, PUBLIC)):
            try:
                assert read(text) == wanted
                accepted += 1
            except GmError as error:
                assert error.hint
    print(accepted)


def test_encrypted_keys_and_parameters_are_named():
    good = der.private_to_pem(PRIVATE, PUBLIC)
    for text, what in (
        (good.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"),
        (good.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n", 1), "is encrypted"),
        ("-----BEGIN SM2 PARAMETERS-----\nBggqgRzPVQGCLQ==\n-----END SM2 PARAMETERS-----\n" + good, "with parameters"),
    ):
        with pytest.raises(GmError, match=what) as caught:
            der.private_from_pem(text)
        assert "openssl pkey" in caught.value.hint
