"""Manual data on the real firmware: entered, corrected, reviewed and rejected by the maintenance socket and the
console, with reminders, a power cut, and a replay that gives the same bytes."""

import json
import time

import pytest

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import key as keys
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from commandline import carbonterm

SITE = """\
terminal: CT-HAND-1
name: 填报
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}]
meters: [{name: M1, bus: lan, unit: 1, model: eastron-sdm630}]
points: [{name: E1, meter: M1, register: active_energy_import, every: 1h, limit: "2000"}]
operators: [{name: zhang, public: "ZHANG"}, {name: li, public: "LI"}]
manual: [{name: 煤, fuel: coal, max: "5000"}, {name: 热值, unit: GJ/t, mean: true}]
virtual: [{name: 窑1, apportion: 煤, share: "0.7"}, {name: 窑2, apportion: 煤, share: "0.3"}]
sources:
  - {name: kiln 1, method: cn-2015-other-industry, source: fuel_combustion, parameters: {FC: [窑1], fuel: bituminous}}
  - {name: kiln 2, method: cn-2015-other-industry, source: fuel_combustion,
     parameters: {FC: [窑2], NCV: [热值], fuel: bituminous}}
settings: {closings: [day, month, year], commit: 50ms}
"""
DAY = 86400000


@pytest.fixture
def plant(tmp_path):
    """(terminal that runs since 40 days by its log, {name: key file})."""
    text, files = SITE, {}
    for name in ("zhang", "li"):
        files[name] = tmp_path / f"{name}.key"
        printed = carbonterm("key", "operator", name, "-o", files[name])[1]
        text = text.replace(name.upper(), printed.split()[-1])
    terminal = Terminal(tmp_path / "t", site_yaml.compile_text(text).canonical(), maintenance=True, offset_ms=-40 * DAY)
    terminal.start()
    terminal.wait(lambda status: status["entries"] > 2)
    terminal.stop()
    terminal.offset_ms = 0
    terminal.start()
    try:
        terminal.wait(lambda status: status["clock"])
        yield terminal, files
    finally:
        terminal.stop()


def give(terminal, key, *words, code=0):
    """The object of an `enter` command."""
    found = carbonterm("enter", *words, "--key", key, "--to", terminal.folder, "--json")
    assert found[0] == code, found
    return json.loads(found[1])


def listed(terminal):
    return json.loads(carbonterm("enter", "list", terminal.folder, "--json")[1])["manual"]


def amounts(terminal):
    """The amounts of coal."""
    return [row for row in listed(terminal) if row["event"] == "amount" and row["point"] == "煤"]


def months(terminal):
    """The texts 2026-10 of the months that are missing."""
    return [text[:7] for text in listed(terminal)[0]["missing"]]


@pytest.mark.slow
@pytest.mark.requirement("T-11.2-4", part="a reminder and an overdue mark when a month ended without an entry")
@pytest.mark.requirement("T-11.3-13", part="entry with evidence and review state, by the terminal's own port")
@pytest.mark.requirement("T-6.1-1", part="entered data beside metered ones, in one log")
def test_a_month_is_entered_corrected_reviewed_and_survives_a_power_cut(plant, tmp_path):
    terminal, files = plant
    terminal.wait(lambda status: any("待填报" in text or "逾期" in text for text in status["alarms"]))
    paper = tmp_path / "磅单.pdf"
    paper.write_bytes(b"weighed")
    wanted = months(terminal)
    assert wanted
    taken = [give(terminal, files["zhang"], "amount", "煤", month, "100000", "kg", "--evidence", paper)
             for month in wanted]  # fmt: skip
    for month in wanted:
        give(terminal, files["zhang"], "amount", "热值", month, "20.9", "GJ/t")
    assert months(terminal) == []
    terminal.wait(lambda status: not any("填报" in text for text in status["alarms"]))
    last = wanted[-1]

    # what makes no sense is refused with the reason, and nothing enters the log
    size = terminal.wait(lambda status: status["entries"])["entries"]
    future = clock.text(time.time_ns() // 1000000 + 40 * DAY)[:7]
    for words, code, why in (
        (("煤", last, "1", "t"), 2, "has an amount of"),
        (("煤", future, "1", "t"), 1, "not over"),
        (("煤", last[:4], "1", "t"), 1, "longer than a calendar month"),
        (("煤", last, "1", "kWh"), 1, "do not measure the same"),
        (("油", last, "1", "t"), 2, "no manual point"),
        (("煤", last, "9000", "t", "--replaces", taken[-1]["record"]), 2, "outside the range"),
        (("煤", "2026-13", "1", "t"), 2, "is no period"),
    ):
        assert why in give(terminal, files["zhang"], "amount", *words, code=code)["error"]
    said = give(terminal, files["zhang"], "review", taken[-1]["record"], "reviewed", code=2)
    assert "cannot review" in said["error"]
    stranger = tmp_path / "eve.key"
    carbonterm("key", "operator", "eve", "-o", stranger)
    assert "no operator" in give(terminal, stranger, "amount", "煤", last, "1", "t", code=2)["error"]
    assert all(row[1] == "maintenance" for row in audits(terminal)[size:])

    second = give(terminal, files["zhang"], "amount", "煤", last, "93", "t", "--replaces",
                  amounts(terminal)[-1]["id"])  # fmt: skip
    give(terminal, files["li"], "review", second["record"], "reviewed", "--note", "compared with the weighbridge")
    terminal.kill()
    terminal.start()
    terminal.wait(lambda status: status["found"] > 0 and status["points"])
    rows = amounts(terminal)
    assert [row["state"] for row in rows][-2:] == ["replaced", "reviewed"]
    status = terminal.wait(lambda status: status["points"])
    total = 100 * (len(wanted) - 1) + 93
    points = {name: value for name, _, value in status["points"]}
    assert float(points["煤"]) == total and float(points["窑1"]) + float(points["窑2"]) == pytest.approx(total)
    give(terminal, files["zhang"], "recalculate", "kiln 1", last, "--reason", "factor confirmed")

    # a record signed elsewhere, taken by the console
    signer, name = keys.load(files["li"])
    digest = bytes.fromhex(second["record"])
    fields = [digest, records.REJECTED, "again"]
    record = records.make("CT-HAND-1", name, status["time_ms"], records.REVIEW, fields, signer.sign)
    terminal.say("enter " + record.encode().hex())
    terminal.wait(lambda status: any("填报" in text for text in status["alarms"]))
    terminal.say("enter 00ff")
    terminal.wait(lambda status: any("enter:" in text for text in status["errors"]))
    terminal.stop()

    pull.to_file(terminal.data, tmp_path / "log.bundle")
    found = bundles.read(tmp_path / "log.bundle").entries
    fold, wrong = replay(found)
    assert wrong == [] and not fold.owes()
    versions = [one.body[2:3] + one.body[4:] for one in map(decoded, found)
                if one.kind == entries.EMISSION and one.body[0] == clock.MONTH and one.body[3][0][0] == 0
                and clock.text(one.body[1], 480)[:7] == last]  # fmt: skip
    assert [row[0] for row in versions] == [1, 2, 3, 4] and versions[2][1] == "zhang: factor confirmed"
    assert versions[1][1].startswith("corrected by zhang") and versions[3][1].startswith("rejected by li")
    assert carbonterm("verify", tmp_path / "log.bundle")[0] == 0
    traces = json.loads(carbonterm("trace", tmp_path / "log.bundle", "kiln 1", "month", last, "--json")[1])
    assert traces["ok"] and [row["version"] for row in traces["figures"][0]["versions"]] == [1, 2, 3, 4]
    part = traces["figures"][2]["activity"][0]["points"][0]
    assert (part["mode"], part["op"], part["parts"][0]["ratio"], part["parts"][0]["amount"]) == (
        "virtual", "sum", "7/10", "93.000",
    )  # fmt: skip
    told = [(row["value"], row["state"], row["operator"]) for row in part["parts"][0]["amounts"]]
    assert told[-2:] == [("100", "replaced", "zhang"), ("93", "entered", "zhang")]
    assert part["parts"][0]["amounts"][-2]["evidence"][0]["file"] == "磅单.pdf"
    assert [row["increment"]["equal"] for row in part["parts"]] == [True]
    assert "人工填报" in carbonterm("trace", tmp_path / "log.bundle", "kiln 1", "month", last, lang="zh")[1]
    second_kiln = json.loads(carbonterm("trace", tmp_path / "log.bundle", "kiln 2", "month", last, "--json")[1])
    heat = next(row for row in second_kiln["figures"][0]["activity"] if row["parameter"] == "NCV")["points"][0]
    assert second_kiln["ok"] and (heat["value"], heat["increment"]["equal"]) == ("20.9", True)
    other = tmp_path / "other.pdf"
    other.write_bytes(b"weighed again")
    code, out, _ = carbonterm("enter", "evidence", tmp_path / "log.bundle", paper, other, "--json")
    kept = json.loads(out)["files"]
    assert code == 1 and [len(one["entries"]) for one in kept] == [len(wanted), 0]
    assert (kept[0]["entries"][-1]["name"], kept[0]["entries"][-1]["from"][:7]) == ("磅单.pdf", last)
    assert carbonterm("enter", "evidence", terminal.data, paper)[0] == 0
    shown = json.loads(carbonterm("enter", "list", tmp_path / "log.bundle", "--json")[1])["manual"]
    assert [row["state"] for row in shown if row["event"] == "amount" and row["point"] == "煤"][-1] == "rejected"


def decoded(row):
    return entries.decode(row[0])


def audits(terminal):
    """(who, what, detail) of the log so far."""
    target = terminal.folder / "audit.bundle"
    pull.to_file(terminal.data, target)
    return [one.body for one in map(decoded, bundles.read(target).entries) if one.kind == entries.AUDIT]


def test_a_record_is_signed_without_a_terminal_and_sent_later(tmp_path):
    text = SITE
    for name in ("zhang", "li"):
        printed = carbonterm("key", "operator", name, "-o", tmp_path / f"{name}.key")[1]
        text = text.replace(name.upper(), printed.split()[-1])
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    month = clock.text(clock.start(clock.MONTH, time.time_ns() // 1000000, 480) - 1, 480)[:7]
    words = ["enter", "amount", "煤", month, "12.5", "t", "--key", tmp_path / "zhang.key"]
    words += ["--site", tmp_path / "site.yaml"]
    assert carbonterm(*words)[0] == 2  # nowhere to put it
    code, out, _ = carbonterm(*words, "-o", tmp_path / "coal.manual")
    record = records.Record.decode((tmp_path / "coal.manual").read_bytes())
    assert code == 0 and record.digest.hex()[:16] in out
    assert (record.name, record.unit, record.mantissa, record.exponent) == ("煤", "t", 125, -1)
    found = carbonterm("enter", "send", tmp_path / "coal.manual", "--to", tmp_path)
    assert found[0] == 3 and "no socket" in found[2]
    assert carbonterm("enter", "send", tmp_path / "site.yaml", "--to", tmp_path)[0] == 1
    assert carbonterm("enter", "list", tmp_path / "nowhere")[0] == 2
