"""Checkpoints: the text to the byte, right and wrong signatures, and everything that must be refused."""

import binascii

import pytest

from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint
from seeded import Random

TERMINAL = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
OTHER = sm2.Signer(bytes(31) + b"\x09")
ROOT = sm3.digest(b"")
NAME = "carbonterm/CT-01/3"
BODY = checkpoint.body("CT-01", 3, 60, ROOT)
TEXT = checkpoint.signed(BODY, NAME, TERMINAL.public, TERMINAL.sign)
COSIGNED = checkpoint.cosigned(TEXT, "centre.example", CENTRE.public, 1750000000, CENTRE.sign)


def test_the_text():
    lines = COSIGNED.split("\n")
    assert lines[:4] == [NAME, "60", "GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis=", ""]
    assert lines[4].split(" ")[:2] == ["\u2014", NAME] and lines[5].split(" ")[:2] == ["\u2014", "centre.example"]
    own = binascii.a2b_base64(lines[4].split(" ")[2].encode())
    assert own[:4] == sm3.digest(NAME.encode() + b"\n\xffsm2-sm3" + TERMINAL.public)[:4]
    assert sm2.verify(TERMINAL.public, BODY.encode(), own[4:])
    centre = binascii.a2b_base64(lines[5].split(" ")[2].encode())
    assert centre[:4] == sm3.digest(b"centre.example\n\xffsm2-sm3-cosignature" + CENTRE.public)[:4]
    assert centre[4:12] == (1750000000).to_bytes(8, "big")
    assert sm2.verify(CENTRE.public, b"cosignature/v1\ntime 1750000000\n" + BODY.encode(), centre[12:])
    print(COSIGNED)


def test_parse_and_verify():
    found = checkpoint.parse(COSIGNED)
    assert (found.terminal_id, found.epoch, found.size, found.root) == ("CT-01", 3, 60, ROOT)
    assert found.body == BODY and found.name == NAME
    assert [(row[0], row[2]) for row in found.signatures] == [(NAME, None), ("centre.example", 1750000000)]
    assert checkpoint.verify(found, NAME, TERMINAL.public)
    assert checkpoint.verify(found, "centre.example", CENTRE.public)
    assert checkpoint.parse(TEXT).size == 60
    for name, public in (
        (NAME, OTHER.public), (NAME, CENTRE.public), ("centre.example", TERMINAL.public), ("nobody", CENTRE.public),
    ):  # fmt: skip
        assert not checkpoint.verify(found, name, public)
    assert not checkpoint.verify(checkpoint.parse(TEXT), "centre.example", CENTRE.public)


def test_a_signature_for_another_role():
    # a terminal's key used as a centre's, and the other way round, under the right key hash for the wrong role
    as_centre = checkpoint.cosigned(TEXT, "x", TERMINAL.public, 5, TERMINAL.sign)
    assert not checkpoint.verify(checkpoint.parse(as_centre.replace(" x ", " y ")), "y", TERMINAL.public)
    signature = checkpoint.parse(TEXT).signatures[0]
    line = "\u2014 " + NAME + " " + binascii.b2a_base64(signature[1] + bytes(8) + signature[3]).decode()
    assert not checkpoint.verify(checkpoint.parse(BODY + "\n" + line), NAME, TERMINAL.public)


LATE = binascii.b2a_base64(b"abcd\xff" + bytes(71)).decode()
REFUSED = (
    ("empty", ""), ("no signature", BODY + "\n"), ("no empty line", TEXT.replace("\n\n", "\n")),
    ("no last line feed", TEXT[:-1]), ("empty line at the end", TEXT + "\n"),
    ("carriage returns", TEXT.replace("\n", "\r\n")),
    ("leading blank", " " + TEXT), ("other origin", TEXT.replace("carbonterm/CT-01/3\n60", "carbon/CT-01/3\n60")),
    ("origin of four parts", TEXT.replace("/3\n60", "/3/4\n60")),
    ("no id", TEXT.replace("carbonterm/CT-01/3\n60", "carbonterm//3\n60")),
    ("id", TEXT.replace("carbonterm/CT-01/3\n60", "carbonterm/CT 01/3\n60")),
    ("epoch 03", TEXT.replace("/3\n60", "/03\n60")),
    ("epoch", TEXT.replace("/3\n60", "/100000\n60")), ("size 060", TEXT.replace("\n60\n", "\n060\n")),
    ("size +60", TEXT.replace("\n60\n", "\n+60\n")), ("no size", TEXT.replace("\n60\n", "\n\n")),
    ("size", TEXT.replace("\n60\n", "\n10000000000\n")),
    ("size of 200 digits", TEXT.replace("\n60\n", "\n" + "9" * 200 + "\n")),
    ("Arabic digits", TEXT.replace("\n60\n", "\n\u0666\u0660\n")),
    ("root without padding", TEXT.replace("CCqis=", "CCqis")), ("root with garbage", TEXT.replace("GrIdg1", "GrI!dg1")),
    ("root with spare bits", TEXT.replace("CCqis=", "CCqit=")), ("root of 33 bytes", TEXT.replace("CCqis=", "CCqisA")),
    ("root with blank", TEXT.replace("GrIdg1", "Gr Idg1")), ("hyphen", TEXT.replace("\u2014 ", "- ")),
    ("two blanks", TEXT.replace("\u2014 ", "\u2014  ")), ("a fourth word", TEXT[:-1] + " x\n"),
    ("plus in a name", TEXT + TEXT.split("\n")[4].replace(NAME, "a+b") + "\n"),
    ("extension line", TEXT.replace("\n\n", "\nextension\n\n")), ("signed twice", TEXT + TEXT.split("\n")[4] + "\n"),
    ("17 signatures", TEXT + "".join(TEXT.split("\n")[4].replace(NAME, "n%d" % i) + "\n" for i in range(16))),
    ("too long", TEXT + "\u2014 " + "n" * 9000 + " AAAA\n"),
    ("signature of 65 bytes", TEXT.replace(TEXT.split(" ")[-1], binascii.b2a_base64(bytes(69)).decode())),
    ("signature of 0 bytes", TEXT.replace(TEXT.split(" ")[-1], "\n")),
    ("time after 9999", COSIGNED.replace(COSIGNED.split(" ")[-1], LATE)),
    ("not a text", None), ("bytes", TEXT.encode()),
)  # fmt: skip


def test_refused():
    for why, text in REFUSED:
        assert not isinstance(text, str) or text not in (TEXT, COSIGNED), why
        with pytest.raises(LedgerError) as caught:
            checkpoint.parse(text)
        print(why, "|", caught.value)


def test_what_cannot_be_made():
    for values in (("a b", 0, 0, ROOT), ("a", -1, 0, ROOT), ("a", 0, -1, ROOT), ("a", 0, 0, b"")):
        with pytest.raises(LedgerError):
            checkpoint.body(*values)
    for name in ("", "a b", "a+b", "a\n", "站", "n" * 101):
        with pytest.raises(LedgerError):
            checkpoint.cosigned(TEXT, name, CENTRE.public, 5, CENTRE.sign)


@pytest.mark.slow
def test_flips_never_verify():
    """A text with another character anywhere either cannot be parsed or does not verify."""
    random, parsed = Random(4), 0
    for at in range(len(TEXT)):
        text = TEXT[:at] + chr(ord(TEXT[at]) ^ 1 << random.below(6)) + TEXT[at + 1 :]
        try:
            found = checkpoint.parse(text)
        except LedgerError:
            continue
        parsed += 1
        assert not checkpoint.verify(found, NAME, TERMINAL.public)
    print(parsed)
    assert parsed > 50
