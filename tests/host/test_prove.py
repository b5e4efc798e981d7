"""`carbonterm prove` and `verify PROOF --operator`: a proof that leads to an operator, after a rotation too."""

import json
from functools import cache

import pytest

from carbonterm.ledger import checkpoint, proof
from carbonterm.ledger.registry import Revocation
from carbonterm_host import single_proof
from carbonterm_host.commands.verify import tools
from rotated import KEYS, OPERATOR, OTHER, T0, log
from shell import carbonterm

OPENSSL = tools("openssl")


def proved(folder, seq, epoch, **more):
    file = folder / f"{epoch}-{seq}.proof"
    code, out, err = carbonterm("prove", log(folder, **more), seq, "--epoch", epoch, "-o", file, "--json")
    assert code == 0, out + err
    return file


def verify(file, *more):
    code, out, _ = carbonterm("verify", file, "--json", *more)
    return code, json.loads(out)


@pytest.mark.slow
@pytest.mark.requirement("T-7.4-2", part="one record's key leads to the operator that registered the device")
def test_the_operator_is_enough(tmp_path):
    for epoch in range(3):
        file = proved(tmp_path, 0, epoch)
        code, report = verify(file, "--operator", OPERATOR.public.hex())
        assert code == 0 and report["ok"] and report["operator"] == "op.example" and report["keys"][0]["known"]
        code, report = verify(file, "--operator", OTHER.public.hex())
        assert code == 4 and report["verdicts"]["keys"] is False and not report["keys"][0]["known"]
        code, report = verify(file)
        assert code == 0 and not report["keys"][0]["known"]
        assert verify(file, "--key", KEYS[0].public.hex())[0] == 0
        assert verify(file, "--key", OTHER.public.hex())[0] == 4
        assert [link[0] for link in proof.decode(file.read_bytes()).links] == ["registration"] + ["next"] * epoch


def test_checkpoints_that_came_another_way(tmp_path):
    file = proved(tmp_path, 0, 2)
    own = proof.decode(file.read_bytes()).checkpoint
    root = checkpoint.parse(own).root
    name = checkpoint.origin("T1", 2)
    for size, head, code, said in (
        (2, root, 0, True), (2, bytes(32), 4, False), (3, root, 4, None), (1, root, 4, None),
    ):  # fmt: skip
        text = checkpoint.signed(checkpoint.body("T1", 2, size, head), name, KEYS[2].public, KEYS[2].sign)
        (tmp_path / "other.txt").write_text(text)
        found, report = verify(file, "--checkpoint", tmp_path / "other.txt")
        assert (found, report["verdicts"]["checkpoints"]) == (code, said), (size, report)


def test_a_revocation_travels_with_the_proof(tmp_path):
    before = Revocation.make("T1", 2, 1, T0 + 9000, "stolen", OPERATOR.sign)
    file = proved(tmp_path, 0, 2, revoked=before)
    assert verify(file, "--operator", OPERATOR.public.hex())[0] == 0
    code, report = verify(file)
    assert (code, report["verdicts"]["keys"]) == (4, None) and "--operator" in report["reasons"]["keys"]
    file = proved(tmp_path, 1, 2, revoked=before)
    code, report = verify(file, "--operator", OPERATOR.public.hex())
    assert (code, report["verdicts"]["keys"]) == (4, False) and "revoked from entry 1" in report["reasons"]["keys"]
    file = proved(tmp_path, 0, 2, revoked=before)
    code, report = verify(file, "--operator", OPERATOR.public.hex(), "--centre", OTHER.public.hex())
    assert (code, report["verdicts"]["keys"]) == (4, False)


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="no bit of a proof can be changed")
def test_every_bit(tmp_path):
    data = proved(tmp_path, 0, 1).read_bytes()
    passed, verify_once = 0, cache(OPENSSL["verify"])  # the signatures that are not touched are right each time
    for at in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[at] ^= 1 << bit
            found = single_proof.report(bytes(bad), (), [OPERATOR.public], verify=verify_once, digest=OPENSSL["digest"])
            passed += found["ok"]
    assert passed == 0
    print(8 * len(data), "changed bits")
