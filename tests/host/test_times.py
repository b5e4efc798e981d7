"""Bundles from the time to come: what verify says of times that cannot be, and what it lets pass."""

import io
import json

import pytest

from carbonterm import clock
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.ledger.tree import leaf, root_of
from carbonterm.uplink.kept import keep
from carbonterm.uplink.message import Receipt
from carbonterm_host.commands.verify import tools
from carbonterm_host.times import TOLERANCE_MS
from carbonterm_host.verifier import Verifier
from memory_storage import MemoryStorage
from shell import carbonterm, pulled

SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
T0 = clock.parse("2026-06-01T00:00:00Z")
DAY = 86400000
UNSET, RTC = clock.UNSET, clock.RTC


def bundle_of(rows, receipt_ms=None):
    """Bytes of a bundle of entries (time_ms, clock_state, kind, body), with a centre's receipt over all of them."""
    storage = MemoryStorage()
    log = Log(storage, "T1", 0, SIGNER)
    for time_ms, state, kind, body in rows:
        log.append(time_ms, state, kind, body)
        log.checkpoint()
    if receipt_ms is not None:
        root = root_of([leaf(raw) for raw, _ in log.entries()])
        keep(storage, CENTRE.public, Receipt.make("c", "T1", 0, log.size, root, receipt_ms, None, CENTRE.sign))
    return pulled(storage, "T1")


def audit(time_ms, state=RTC):
    return time_ms, state, entry.AUDIT, ["a", "b", "c"]


def step(before_ms, after_ms):
    return after_ms, RTC, entry.CLOCK, [entry.STEP, before_ms, after_ms, RTC, RTC, None]


def report(data, at_ms=None):
    verifier = Verifier(**tools("openssl"), at_ms=at_ms)
    verifier.read(io.BytesIO(data))
    return verifier.report()


def wrong(found):
    return [name for name, verdict in found["verdicts"].items() if verdict is not True]


def test_entries_later_than_now():
    data = bundle_of([audit(T0), audit(T0 + DAY)])
    assert report(data)["ok"] and report(data, T0 + DAY)["ok"]
    assert report(data, T0 + DAY - TOLERANCE_MS)["ok"]
    found = report(data, T0 + DAY - TOLERANCE_MS - 1)
    assert wrong(found) == ["policy"] and found["first_offence"]["verdict"] == "policy"
    assert found["reasons"]["policy"] == (
        "entry 1 of epoch 0 says 2026-06-02T00:00:00Z, later than 2026-06-01T22:59:59.999Z"
    )


def test_an_unset_clock_says_no_time():
    assert report(bundle_of([audit(T0, UNSET), audit(T0 + 400 * DAY, UNSET), audit(5, UNSET)]), T0)["ok"]
    assert report(bundle_of([audit(5), audit(T0)]), T0)["ok"]  # 1970


def test_a_clock_that_ran_ahead_and_says_so():
    year = 365 * DAY
    rows = [audit(T0), step(T0 + 10, T0 + year), audit(T0 + year + 1), step(T0 + year + 2, T0 + 12), audit(T0 + 13)]
    for receipt_ms in (None, T0 + 20):
        found = report(bundle_of(rows, receipt_ms), T0 + DAY)
        assert found["ok"], found["reasons"]
        assert "ran ahead until entry 3 of epoch 0" in found["notes"][0]
    assert wrong(report(bundle_of(rows[:3]), T0 + DAY)) == ["policy"]
    # a step that goes back only a little explains nothing
    small = [*rows[:3], step(T0 + year + 2, T0 + year - 5), audit(T0 + year)]
    assert wrong(report(bundle_of(small), T0 + DAY)) == ["policy"]
    # what comes after the explanation has to stand for itself
    assert wrong(report(bundle_of([*rows, audit(T0 + year)]), T0 + DAY)) == ["policy"]


def test_a_terminal_that_came_back_without_the_time():
    """It ran a year ahead, then started by an unset clock, and a time server told it the truth."""
    year = 365 * DAY
    rebase = (T0 + 60000, RTC, entry.CLOCK, [entry.REBASE, 50000, T0 + 60000, UNSET, RTC, 1])
    rows = [audit(T0 + year), audit(40000, UNSET), rebase, audit(T0 + 61000)]
    found = report(bundle_of(rows), T0 + DAY)
    assert found["ok"] and "ran ahead until entry 2 of epoch 0" in found["notes"][0]
    assert wrong(report(bundle_of([*rows, audit(T0 + year)]), T0 + DAY)) == ["policy"]


def test_a_centre_that_signed_before_the_entry():
    rows = [audit(T0), audit(T0 + DAY)]
    assert report(bundle_of(rows, T0 + DAY - TOLERANCE_MS))["ok"]
    found = report(bundle_of(rows, T0))
    assert wrong(found) == ["policy"]
    assert found["reasons"]["policy"] == (
        "entry 1 of epoch 0 says 2026-06-02T00:00:00Z, later than 2026-06-01T00:00:00Z, when c signed for it"
    )
    assert report(bundle_of([audit(T0), audit(T0 + DAY, UNSET)], T0))["ok"]
    found = report(bundle_of(rows, T0 + 9 * DAY), T0 + 2 * DAY)
    assert wrong(found) == ["policy"] and "c signed at 2026-06-10T00:00:00Z, later than" in found["reasons"]["policy"]


def test_the_command(tmp_path):
    file = tmp_path / "t.bundle"
    file.write_bytes(bundle_of([audit(T0)]))
    assert carbonterm("verify", file, "--at", "2026-06-01T08:00:00+08:00")[0] == 0
    code, out, _ = carbonterm("verify", file, "--at", "2026-05-01T00:00:00Z", "--json")
    assert code == 4 and json.loads(out)["verdicts"]["policy"] is False
    for text in ("tomorrow", "", "2026-13-01T00:00:00Z", "2026-06-01"):
        code, _, err = carbonterm("verify", file, "--at", text)
        assert code == 2 and "→" in err, text
    file.write_bytes(bundle_of([audit(clock.parse("2999-01-01T00:00:00Z"))]))
    assert carbonterm("verify", file)[0] == 4  # --at is now
    assert carbonterm("verify", file, "--at", "2999-01-02T00:00:00Z")[0] == 0


@pytest.mark.parametrize("begin", (b"carbonterm bundle 2\n", b"carbonterm bundle 10\n"))
def test_a_newer_format_is_a_clear_refusal(tmp_path, begin):
    file = tmp_path / "t.bundle"
    file.write_bytes(begin + bundle_of([audit(T0)])[20:])
    code, out, _ = carbonterm("verify", file)
    assert code == 4 and "another version of the format" in " ".join(out.split())
    for command in (("trace", file, "--list"), ("replay", file), ("prove", file, 0, "-o", tmp_path / "p")):
        code, _, err = carbonterm(*command)
        assert code == 4 and "newer carbonterm" in err, command
