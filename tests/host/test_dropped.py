"""A bundle whose beginning was dropped: what verify, replay, trace and prove say of it."""

import json

import pytest

from carbonterm.ledger import frames, retention
from memory_storage import MemoryStorage
from owner import T0, run
from shell import carbonterm, pulled

DAY = 86400000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    storage = MemoryStorage()
    owner = run(storage, 260, ())
    drop = retention.plan(storage, retention.measure(storage), lambda *_: True, T0 + 1000 * DAY, keep_ms=DAY)
    half = [first for _, first, _ in frames.segments(storage)][2]
    owner.log.drop_before(half)
    assert 0 < half < drop.first
    file = tmp_path_factory.mktemp("dropped") / "log.bundle"
    file.write_bytes(pulled(storage, "CT-TEST-1"))
    return file, half


@pytest.mark.slow
def test_verify_and_replay_say_where_it_begins(bundle):
    file, first = bundle
    code, out, _ = carbonterm("verify", file, "--json")
    report = json.loads(out)
    assert (code, report["ok"], report["begins"]) == (0, True, first)
    assert f"begins with entry {first} of epoch 0" in carbonterm("verify", file)[1]
    code, out, _ = carbonterm("replay", file, "--json")
    report = json.loads(out)
    assert (code, report["equal"], report["begins"]) == (0, True, [0, first])
    assert f"begins with entry {first} of epoch 0" in carbonterm("replay", file)[1]


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", part="a log whose beginning was dropped")
def test_trace_of_what_is_there_holds(bundle):
    file, first = bundle
    figures = json.loads(carbonterm("trace", file, "--list", "--json")[1])["figures"]
    begin, holds = True, 0
    for figure in figures:
        code, out, _ = carbonterm("trace", file, *figure["figure"].split())
        if code == 0:
            begin = False
            holds += 1
        else:
            assert begin and f"begins with entry {first}" in out.replace("\n", " "), out
    print(len(figures), holds)
    assert holds


@pytest.mark.slow
def test_a_proof_of_an_entry_behind_the_drop(bundle, tmp_path):
    file, first = bundle
    proof = tmp_path / "one.proof"
    assert carbonterm("prove", file, str(first + 3), "-o", proof)[0] == 0
    assert carbonterm("verify", proof)[0] == 0
    code, _, err = carbonterm("prove", file, str(first - 1), "-o", proof)
    assert code and "has no entry" in err
