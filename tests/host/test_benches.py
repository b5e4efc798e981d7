"""Scenarios: what is no scenario is refused with the way out; a small one is green, and red with each defect."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as tree

import pytest

from carbonterm_host.benches import bench, report, scenario
from carbonterm_host.benches.evidence import Evidence
from carbonterm_host.screen import Failure
from shell import carbonterm

SMALL = """\
title = "Small 小场景"
time = "simulated"
lasts = "30min"
seed = 4

[site]
buses = [{name = "line", kind = "serial", baud = 9600, timeout = "300ms", retries = 1, gap = "10ms"}]
meters = [
  {name = "e1", bus = "line", unit = 1, model = "eastron-sdm630"},
  {name = "gas", bus = "line", unit = 2, model = "generic-gas-modbus"},
]
points = [
  {name = "E1", meter = "e1", register = "active_energy_import", every = "1min"},
  {name = "G1", meter = "gas", register = "volume", every = "1min"},
]
settings = {closings = ["minute", "hour"], commit = "1s"}

[[faults]]
name = "crc"
probability = 0.1

[[events]]
do = "line-cut"
bus = "line"
at = "10min"
for = "5min"

[[events]]
do = "power-cut"
at = "22min"

[expect]
verified = true
replayed = true
wrong = 0
lost = 0
doubled = 0
totals_equal = true
gaps_marked = true
starts = 2

[defects.swapped]
does = "swap"
meter = "e1"
[defects.muted]
does = "mute"
meter = "gas"
every = 5
[defects.flipped]
does = "flip"
[defects.dropped]
does = "drop"
"""


def written(folder, text=SMALL, name="small"):
    file = folder / f"{name}.scenario.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(Scenario, folder, result) of the small scenario, run once."""
    folder = tmp_path_factory.mktemp("small")
    found = scenario.load(written(folder))
    return found, folder / "out", bench.run(found, folder / "out")


@pytest.mark.slow
def test_a_small_scenario_is_green(small):
    found, folder, result = small
    assert result["green"], result["verdicts"]
    assert [row["expect"] for row in result["verdicts"]] == list(found.expect)
    assert json.loads((folder / "verdicts.json").read_text()) == result
    assert {path.name for path in folder.iterdir()} >= {"truth.jsonl", "log.bundle", "site.yaml", "report.html"}


@pytest.mark.slow
def test_reports_are_for_people_and_machines(small):
    _, folder, result = small
    suite = tree.parse(folder / "junit.xml").getroot()
    assert suite.get("tests") == str(len(result["verdicts"])) and suite.get("failures") == "0"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3 and "GREEN" in page and "<script" not in page and "http" not in page
    bad = {**result, "verdicts": [{**result["verdicts"][0], "ok": False, "found": 'a "bad" <word>'}]}
    failure = tree.fromstring(report.junit(bad)).find("testcase/failure")
    assert 'a "bad" <word>' in failure.get("message")


@pytest.mark.parametrize("defect, red", [("flipped", "verified"), ("dropped", "verified")])
def test_a_log_that_was_changed_turns_it_red(small, tmp_path, defect, red):
    found, folder, _ = small
    result = concluded(found, folder, tmp_path / "red", defect)
    assert not result["green"] and not next(row for row in result["verdicts"] if row["expect"] == red)["ok"]


def concluded(found, folder, other, defect):
    """The result of judging what an earlier run left once more, with a defect of the log."""
    shutil.copytree(folder, other)
    saw = {"begin_ms": 1795222797000, "end_ms": 1795222797000 + found.ms, "faults": {}}
    return bench.conclude(found, other, saw, defect, 1)


@pytest.mark.slow
@pytest.mark.parametrize("defect, red", [("swapped", {"wrong", "totals_equal"}), ("muted", {"lost"})])
def test_a_terminal_that_gets_it_wrong_turns_it_red(tmp_path, defect, red):
    code, out, _ = carbonterm("bench", "run", written(tmp_path), "-o", tmp_path / "out", "--defect", defect, "--json")
    result = json.loads(out)
    assert code == 1 and not result["green"] and result["defect"] == defect
    assert {row["expect"] for row in result["verdicts"] if not row["ok"]} >= red


def test_verdicts_are_signed(small, tmp_path):
    folder = tmp_path / "signed"
    shutil.copytree(small[1], folder)
    said = carbonterm("key", "operator", "institute", "-o", tmp_path / "key", "--json")[1]
    public = f"institute:{json.loads(said)['public_key']}"
    assert carbonterm("bench", "verify", folder, "--public", public)[0] == 4
    from carbonterm_host.benches import signing

    signing.sign(folder, *signing.load(tmp_path / "key"))
    assert json.loads(carbonterm("bench", "verify", folder, "--public", public, "--json")[1])["ok"]
    assert "not signed by somebody" in carbonterm("bench", "verify", folder, "--public", public.replace(
        "institute", "somebody"))[1]  # fmt: skip
    with open(folder / "truth.jsonl", "a") as file:
        file.write("\n")
    assert "truth.jsonl is not the file" in carbonterm("bench", "verify", folder, "--public", public)[1]
    verdicts = folder / "verdicts.json"
    verdicts.write_text(verdicts.read_text().replace("true", "false", 1))
    assert carbonterm("bench", "verify", folder, "--public", public)[0] == 4


@pytest.mark.slow
def test_pytest_runs_scenarios(tmp_path):
    written(tmp_path)
    written(tmp_path, SMALL.replace("starts = 2", "starts = 3"), "other")
    written(tmp_path, "title = 3", "broken")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--bench-folder", tmp_path / "kept", tmp_path,
         "--continue-on-collection-errors", "-c", "/dev/null", "--rootdir", tmp_path],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "15 passed" in done.stdout and "1 failed" in done.stdout and "1 error" in done.stdout, done.stdout
    assert "wanted 3, found 2" in done.stdout and "'time' is missing" in done.stdout
    assert (tmp_path / "kept/other/report.html").exists()


# --- bad scenarios ---------------------------------------------------------------------------------------------------

_BAD = [
    ("title =", "titel =", "there is no key 'titel'", "title"),
    ('time = "simulated"', 'time = "dream"', "time: 'dream' is none of them", "one of: real, simulated"),
    ('lasts = "30min"', 'lasts = "30 miles"', "lasts: '30 miles' is no duration", "write it like"),
    ("seed = 4", "seed = -4", "seed: '-4' is no number", "write it like"),
    ("seed = 4", "seed = 4\nbegins = 7", "begins: '7' is no time of day", "23:59:30"),
    ("seed = 4", 'seed = 4\nboard = {kind = "toaster"}', "[board] kind: 'toaster'", "one of: process"),
    ("seed = 4", "seed = 4\ncentres = 9", "centres: '9' is no number", "write it like"),
    ('model = "eastron-sdm630"', 'model = "eastron-sdm631"', "eastron-sdm631", "docs/site.md"),
    ('every = "1min"}', 'every = "1min", colour = "red"}', "colour", "docs/site.md"),
    ('kind = "serial", baud = 9600', 'kind = "modbus-tcp"', "time is simulated", 'time = "real"'),
    ('kind = "serial"', 'kind = "serial", device = "/dev/x"', "bus line has a place", "the bench gives it one"),
    ('name = "crc"', 'name = "crcc"', "there is no fault 'crcc'", "docs/simulate.md"),
    ("probability = 0.1", "probability = 7", "from 0 to 1", "docs/simulate.md"),
    ("probability = 0.1", 'probability = 0.1\nmeter = "e9"', "there is no meter 'e9'", "known: e1, gas"),
    ('do = "power-cut"', 'do = "earthquake"', "'earthquake' is nothing that happens", "power-cut"),
    ('do = "power-cut"', 'do = "network-cut"\nfor = "1s"', "in real time only", 'time = "real"'),
    ('bus = "line"\nat', 'bus = "lime"\nat', "there is no bus 'lime'", "did you mean 'line'?"),
    ('at = "22min"', 'at = "31min"', "is not over before the scenario is", "let it last longer"),
    ('at = "22min"', 'at = "22min"\ntimes = 0', "times: '0' is no number", "times = 10"),
    ("verified = true", "verified = false", "[expect] verified: 'False' is no yes", "verified = true"),
    ("lost = 0", "lots = 0", "there is no key 'lots'", "did you mean 'lost'?"),
    ("lost = 0", "polls = {lime = 3}", "there is no bus 'lime'", "polls = {line = 1000}"),
    ('does = "swap"', 'does = "swop"', "'swop' is no defect", "does = one of"),
    ('does = "swap"\nmeter = "e1"', 'does = "swap"', "'meter' is missing", "docs/bench.md"),
    ("[expect]", '[meters]\ne1 = {rate = "fast"}\n[expect]', "[meters.e1]", "decimal texts"),
    ("[expect]", '[meters]\ne1 = {start = {colour = "3"}}\n[expect]', "has no register colour", "decimal texts"),
    ("[defects.swapped]", '[defects."../swapped"]', "'../swapped' is no name for a folder", "letters, digits"),
    ("[defects.swapped]", "[defects.as-it-is]", "'as-it-is' is no name for a folder", "letters, digits"),
    ("lasts", "faults = 7\nlasts", "another form than it should", "docs/bench.md"),
    ("[site]", "[site", "this is no TOML", "docs/bench.md"),
]


@pytest.mark.parametrize("old, new, what, hint", _BAD)
def test_a_bad_scenario_is_refused_with_the_way_out(tmp_path, old, new, what, hint):
    assert old in SMALL
    text = SMALL.replace('[[faults]]\nname = "crc"\nprobability = 0.1\n', "") if new.startswith("faults") else SMALL
    file = written(tmp_path, text.replace(old, new, 1))
    with pytest.raises(scenario.Bad) as told:
        scenario.load(file)
    assert what in told.value.what and str(file) in told.value.what and hint in str(told.value)


@pytest.mark.slow
def test_a_value_of_another_kind_is_refused(tmp_path):
    """Every value of the file in turn is a number, a text, a list, a table: what is no scenario is a Bad one."""
    values = list(re.finditer(r'(?<= = )("[^"]*"|[0-9.]+|true)', SMALL))
    loaded = refused = 0
    for found in values:
        for other in ("-1", '""', "[[1]]", "{a = 1}"):
            file = written(tmp_path, SMALL[: found.start()] + other + SMALL[found.end() :])
            try:
                scenario.load(file)
                loaded += 1
            except scenario.Bad:
                refused += 1
    assert refused > 100 and loaded < 20, (loaded, refused)


def test_what_is_asked_for_and_not_there(tmp_path, small):
    code, _, said = carbonterm("bench", "run", "nonsense", "-o", tmp_path / "o")
    assert code == 2 and "there is no scenario 'nonsense'" in said and "type-test" in said
    code, _, said = carbonterm("bench", "run", written(tmp_path), "-o", tmp_path / "o", "--defect", "rust")
    assert code == 2 and "knows no defect 'rust'" in said and "swapped" in said
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(Failure, match="not empty"):
        bench.run(small[0], tmp_path / "mine")
    (tmp_path / "link").symlink_to("nowhere")
    for other in ("mine/file", "link"):
        with pytest.raises(Failure, match="is no folder"):
            bench.run(small[0], tmp_path / other)


@pytest.mark.slow
def test_shipped_scenarios_are_read():
    names = scenario.shipped()
    boards = ["board-commissioning", "board-line-faults", "board-power-storm"]
    assert names == [*boards, "commissioning", "flash-endurance", "line-faults", "power-storm", "type-test", "week"]
    assert all(scenario.load(name).defects and scenario.load(name).about for name in names)
    code, out, _ = carbonterm("bench", "list", "--json")
    assert code == 0 and [json.loads(line)["scenario"] for line in out.splitlines()] == names
    assert carbonterm("bench", "check", *names)[0] == 0


def test_a_bundle_that_is_none_is_a_finding(small, tmp_path):
    found, folder, _ = small
    shutil.copytree(folder, tmp_path / "x")
    (tmp_path / "x" / "log.bundle").write_bytes(b"nonsense")
    evidence = Evidence(found, tmp_path / "x", {"begin_ms": 0, "end_ms": 1})
    from carbonterm_host.benches.expect import EXPECTATIONS

    examples = {"yes": True, "count": 0, "number": 1, "texts": ["x"], "table": {"line": 1}, "formulas": {"a": "b"}}
    for name, expectation in EXPECTATIONS.items():
        if name not in ("tamper_seen", "no_errors", "crashes", "wrong", "lost", "doubled", "starts", "rollovers"):
            judged = expectation.judge(evidence, examples[expectation.kind])
            assert not any(row[2] for row in judged) if isinstance(judged, list) else not judged[0], name
