"""`carbonterm gm` as a user calls it: answers, exit codes, and what it says to a wrong call."""

import json

import pytest

from carbonterm.gm.der import signature_from_der
from carbonterm_host import cli
from vectors import load

VECTORS = load("gm")
GOOD = VECTORS["sm2_sign"][0]
ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--lang", "en", "gm", *arguments])
    done = capsys.readouterr()
    return caught.value.code, done.out, done.err


def verify(capsys, *more, public=GOOD["pub"], message=GOOD["msg"], signature=GOOD["sig"]):
    return call(capsys, "verify", "--public", public, "--message", message, "--signature", signature, *more)


@pytest.mark.parametrize("backend", ["core", "openssl", "gmssl"])
def test_sm3(capsys, backend):
    assert call(capsys, "sm3", "616263", "--backend", backend) == (0, ABC + "\n", "")
    code, out, _ = call(capsys, "sm3", "61 62\n63", "--json", "--backend", backend)
    assert code == 0
    assert json.loads(out) == {"digest": ABC, "bytes": 3, "backend": backend}


def test_sm3_of_nothing_and_of_stdin(capsys, monkeypatch, tmp_path):
    assert call(capsys, "sm3", "")[1].startswith("1ab21d83")
    file = tmp_path / "in"
    file.write_bytes(b"abc")
    with file.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert call(capsys, "sm3", "-") == (0, ABC + "\n", "")


@pytest.mark.requirement("T-7.4-1")
@pytest.mark.parametrize("backend", ["core", "openssl", "gmssl"])
def test_verify(capsys, backend):
    code, out, _ = verify(capsys, "--json", "--backend", backend)
    assert code == 0
    assert json.loads(out) == {"valid": True, "backend": backend}
    code, out, _ = verify(capsys, "--json", "--backend", backend, message=GOOD["msg"] + "00")
    assert code == 4
    assert json.loads(out) == {"valid": False, "backend": backend}


def test_verify_in_words(capsys):
    assert verify(capsys) == (0, "valid\n", "")
    assert verify(capsys, message="") == (4, "NOT valid\n", "")


def test_other_shapes_of_key_and_signature(capsys):
    assert verify(capsys, public="04" + GOOD["pub"])[0] == 0
    assert verify(capsys, public=GOOD["pub"].upper())[0] == 0
    assert verify(capsys, signature=GOOD["sig_der"])[0] == 0
    assert signature_from_der(bytes.fromhex(GOOD["sig_der"])).hex() == GOOD["sig"]
    for vector in VECTORS["sm2_invalid_der"]:
        assert verify(capsys, public=vector["pub"], message=vector["msg"], signature=vector["sig_der"])[0] == 4


def test_wrong_lengths_are_not_valid_and_are_told(capsys):
    code, out, err = verify(capsys, public=GOOD["pub"][:-2], signature=GOOD["sig"] + "00")
    assert (code, out) == (4, "NOT valid\n")
    assert "public key has 64 bytes, this one 63" in err and "this one has 65" in err
    for public in ("", "03" + GOOD["pub"], "00" + GOOD["pub"]):
        code, out, _ = verify(capsys, "--json", public=public)
        assert (code, json.loads(out)["valid"]) == (4, False)


@pytest.mark.parametrize(
    "option, text, what",
    [
        ("public", "0x04", "'x', character 2 of --public, is no hex digit"),
        ("message", "616", "--message has 3 hex digits, an odd number"),
        ("signature", "碳", "'碳', character 1 of --signature"),
    ],
)
def test_hex_that_is_none(capsys, option, text, what):
    code, out, err = verify(capsys, **{option: text})
    assert (code, out) == (2, "")
    assert what in err and "→" in err
    code, out, _ = verify(capsys, "--json", **{option: text})
    assert code == 2
    assert what in json.loads(out)["error"] and json.loads(out)["hint"]


def test_wrong_calls(capsys):
    assert call(capsys, "sm3", "zz")[0] == 2
    assert call(capsys, "sm3")[0] == 2
    assert call(capsys, "verify", "--public", "00")[0] == 2
    code, _, err = verify(capsys, "--backend", "md5")
    assert code == 2 and "md5" in err
