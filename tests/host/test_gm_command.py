"""`carbonterm gm` as a user calls it: answers, exit codes, and what it says to a wrong call."""

import json

import pytest

from carbonterm.gm.der import private_to_pem, signature_from_der
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


def test_files_of_secrets_and_of_data(capsys, tmp_path):
    (tmp_path / "key").write_text("0123456789abcdef fedcba9876543210\n")
    (tmp_path / "raw").write_bytes(bytes.fromhex("0123456789abcdeffedcba9876543210"))
    (tmp_path / "data").write_bytes(b"abc")
    for mode in ("cbc", "ctr", "gcm"):
        for backend in ("core", "openssl", "gmssl")[: 2 if mode == "gcm" else 3]:
            more = ("--mode", mode, "--backend", backend)
            code, secret, _ = call(capsys, "sm4", f"@{tmp_path}/data", "--key", str(tmp_path / "key"), *more)
            assert code == 0
            assert call(capsys, "sm4", secret.strip(), "--decrypt", "--key", str(tmp_path / "raw"), *more) == (
                0, "616263\n", "",
            )  # fmt: skip
            again = call(capsys, "sm4", "616263", "--key", str(tmp_path / "key"), *more)[1]
            assert again != secret  # another initial value
    vector = VECTORS["sm4_gcm"][0]
    (tmp_path / "gcm").write_text(vector["key"])
    given = ("--key", str(tmp_path / "gcm"), "--iv", vector["iv"], "--aad", vector["aad"])
    code, out, _ = call(capsys, "sm4", vector["pt"], *given, "--json")
    assert (code, json.loads(out)["ciphertext"]) == (0, vector["ct"] + vector["tag"])
    code, out, err = call(capsys, "sm4", vector["ct"] + vector["tag"][:-2] + "00", *given, "--decrypt")
    assert (code, out) == (4, "") and "tag is wrong" in err
    assert call(capsys, "hmac", "616263", "--key", str(tmp_path / "raw"))[1] == call(
        capsys, "hmac", f"@{tmp_path}/data", "--key", str(tmp_path / "raw"), "--backend", "gmssl"
    )[1]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["core", "openssl", "gmssl"])
def test_encryption_and_signatures_with_keys_in_files(capsys, tmp_path, backend):
    public, private = GOOD["pub"], tmp_path / "key.pem"
    private.write_text(private_to_pem(bytes.fromhex(GOOD["d"]), bytes.fromhex(public)))
    by = "core" if backend == "gmssl" else backend
    for more in ((), ("--der",)):
        secret = call(capsys, "encrypt", "616263", "--public", public, "--backend", by, *more)[1].strip()
        for shown in (secret, "04" + secret) if not more else (secret,):
            answer = call(capsys, "decrypt", shown, "--private", str(private), "--backend", backend)
            assert answer == (0, "616263\n", "")
        signature = call(capsys, "sign", "616263", "--private", str(private), "--backend", by, *more)[1].strip()
        assert verify(capsys, "--backend", backend, message="616263", signature=signature)[0] == 0
    wrong = secret[:-2] + ("00" if secret[-2:] != "00" else "01")
    code, out, err = call(capsys, "decrypt", wrong, "--private", str(private), "--backend", backend, "--json")
    assert code == 4 and "not for this key" in json.loads(out)["error"], err
    (tmp_path / "32").write_bytes(bytes.fromhex(GOOD["d"]))
    assert call(capsys, "decrypt", secret, "--private", str(tmp_path / "32"), "-o", str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out").read_bytes() == b"abc" and (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_what_is_no_key_and_what_a_backend_has_not(capsys, tmp_path):
    (tmp_path / "short").write_bytes(b"short")
    (tmp_path / "key").write_bytes(bytes(16))
    for arguments, what in (
        (("sm4", "00", "--key", str(tmp_path / "short")), "is no key: it has 5 bytes"),
        (("sign", "00", "--private", str(tmp_path / "short")), "is no key: it has 5 bytes"),
        (("sm4", f"@{tmp_path}/none", "--key", str(tmp_path / "key")), "No such file"),
        (("sm4", "00", "--key", str(tmp_path / "key"), "--backend", "gmssl"), "gmssl has no GCM"),
        (("sm4", "00", "--key", str(tmp_path / "key"), "--mode", "ctr", "--aad", "00"), "--aad is not for ctr"),
        (("sm4", "00", "--key", str(tmp_path / "key"), "--iv", "00"), "12 bytes, not 1"),
        (("encrypt", "00", "--public", "00"), "no SM2 public key"),
        (("encrypt", "", "--public", GOOD["pub"]), "1 to 65535 bytes"),
        (("sm4", "00", "--key", str(tmp_path / "key"), "-o", str(tmp_path)), "Is a directory"),
    ):
        code, out, err = call(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert what in err and "→" in err, err
