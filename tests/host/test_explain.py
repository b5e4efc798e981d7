"""carbonterm explain and watch: a point from its bytes to what it feeds, by the site, the meter, a terminal, a log."""

import json

import pytest

from carbonterm import clock
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.site_yaml import compile_text
from commandline import carbonterm
from ptyline import PtyLine, cjt188_meter, dlt645_meter, modbus_meter

HEAT = bytes.fromhex("05192853000519285300170000000035000000002C42331800031900101900612700265723310315200301")
SITE = """\
terminal: CT-EXPLAIN-1
name: 解释
zone: "+08:00"
factors_on: 2026-11-21
buses:
  - {name: line, kind: serial, device: DEVICE, baud: 19200, parity: even, timeout: 2s, retries: 0, gap: 5ms}
meters:
  - {name: main, bus: line, address: "201000000012", model: dlt645-2007-three-phase, ct: 200/5}
  - {name: heat, bus: line, address: "42590008210438", model: cjt188-heat-unit-first}
  - {name: gas, bus: line, unit: 3, model: generic-gas-modbus, gap: 0}
  - {name: dead, bus: line, unit: 9, model: generic-gas-modbus}
points:
  - {name: E1, meter: main, register: active_energy_import, every: 1s}
  - {name: Q1, meter: heat, register: volume, every: 1s}
  - {name: F1, meter: gas, register: flow, every: 1s, max: "100"}
  - {name: T1, meter: gas, register: temperature, every: 1s}
  - {name: D1, meter: dead, register: flow, every: 1s}
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [E1], EF: cn-nat-2023}
settings: {closings: [day], commit: 50ms}
"""


@pytest.fixture
def plant(tmp_path):
    """(path of a site.yaml, text) of a line that is there."""
    meters = [
        dlt645_meter("201000000012", 19200),
        cjt188_meter("42590008210438", HEAT, baud=19200),
        modbus_meter(3, {(3, 4): ("230.1", "float32", "ABCD")}, 19200),
    ]
    with PtyLine(meters) as line:
        text = SITE.replace("DEVICE", line.path)
        (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
        yield tmp_path / "site.yaml", text


def explain(point, file, *words):
    code, out, err = carbonterm("explain", point, file, *words, "--json")
    assert code == 0, (out, err)
    told = json.loads(out)
    steps = {step.pop("step"): step for step in (told["answer"] or {"steps": []})["steps"]}
    return told, steps


def test_what_the_site_says_needs_no_meter(plant):
    told, _ = explain("E1", plant[0])
    assert told["model"] == "dlt645-2007-three-phase" and told["register"]["name"] == "active_energy_import"
    assert told["register"]["source"] and told["scale"] == "40" and told["meter"]["ct"] == "200/5"
    assert [(row["source"], row["parameter"]) for row in told["feeds"]] == [("electricity", "AD")]
    assert told["answer"] is None and told["logged"] is None and told["asked"] == "00010000"


@pytest.mark.slow
def test_the_bytes_of_each_protocol_step_by_step(plant):
    told, steps = explain("E1", plant[0], "--live")
    assert steps["bytes"] == {"hex": "56341200", "place": "00010000"} and steps["read"]["value"] == "1234.56"
    assert steps["scaled"]["ct"] == "200/5" and steps["value"] == {"value": "49382.4", "unit": "kWh"}
    assert told["answer"]["value"] == "49382.4" and told["answer"]["quality"] == "good"
    told, steps = explain("Q1", plant[0], "--live")
    assert steps["meter"] == {"value": "1833.42", "unit": "m3"} and told["answer"]["value"] == "1833.42"
    told, steps = explain("F1", plant[0], "--live")
    assert steps["bytes"]["hex"] == "4366199A" and steps["range"]["inside"] is False
    assert told["answer"]["quality"] == "suspect"


@pytest.mark.slow
def test_a_meter_that_refuses_or_is_silent_has_no_steps(plant):
    for name, quality in (("T1", "refused"), ("D1", "silent")):
        told, steps = explain(name, plant[0], "--live")
        assert (told["answer"]["value"], told["answer"]["quality"], steps) == (None, quality, {})
    assert explain("T1", plant[0], "--live")[0]["answer"]["raw"].startswith("0383")


@pytest.mark.slow
@pytest.mark.parametrize("lang, words", [("en", ("feeds", "bytes of the value")), ("zh", ("用于", "数值字节"))])
def test_the_table_for_people(plant, lang, words):
    code, out, _ = carbonterm("explain", "E1", plant[0], "--live", lang=lang)
    assert code == 0 and all(word in out for word in (*words, "49382.4", "200/5", "electricity", "56341200"))
    code, out, _ = carbonterm("explain", "F1", plant[0], lang=lang)
    assert code == 0 and "generic-gas-modbus" in out


@pytest.mark.slow
def test_watch_reads_a_site_from_here(plant):
    code, out, err = carbonterm("watch", plant[0], "--times", "2", "--every", "0.1", "--json")
    looks = [json.loads(line)["points"] for line in out.splitlines()]
    assert code == 0 and len(looks) == 2 and not err
    assert [(row["point"], row["value"], row["quality"]) for row in looks[1]] == [
        ("E1", "49382.4", "good"), ("Q1", "1833.42", "good"), ("F1", "230.1", "suspect"), ("T1", None, "refused"),
        ("D1", None, "silent"),
    ]  # fmt: skip
    code, out, _ = carbonterm("watch", plant[0], "--times", "1", "--meter", "main", lang="zh")
    assert code == 0 and "正常" in out and "heat" not in out and "时间 +08:00" in out


@pytest.mark.slow
def test_a_terminals_last_answer_and_its_log(plant, tmp_path):
    file, text = plant
    terminal = Terminal(tmp_path / "t", compile_text(text).canonical(), maintenance=True)
    terminal.start()
    try:
        terminal.wait(lambda status: status["readings"] > 10)
        told, steps = explain("E1", file, "--terminal", terminal.folder, "--log", terminal.data)
        assert steps["bytes"]["hex"] == "56341200" and told["answer"]["value"] == "49382.4"
        code, out, _ = carbonterm("watch", terminal.folder, "--times", "1", "--json")
        rows = {row["point"]: row["value"] for row in json.loads(out)["points"]}
        assert code == 0 and rows["E1"] == "49382.4" and rows["D1"] is None
    finally:
        terminal.stop()
    assert told["logged"]["value"] == "49382.4" and len(told["logged"]["frames"]) == 64
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    told, _ = explain("D1", file, "--log", tmp_path / "log.bundle")
    assert (told["logged"]["value"], told["logged"]["quality"]) == (None, "silent")
    code, out, _ = carbonterm("watch", terminal.folder, "--times", "1")  # it has stopped: the status file is left
    assert code == 0 and "total" in out and "E1" in out and "at +08:00" in out
    moment = clock.text(json.loads((terminal.folder / "status.json").read_text())["time_ms"], 480)[11:19]
    assert moment in out  # of the site's zone, not this machine's


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("explain", "E9", "SITE"), 2, "no point 'E9'"),
        (("explain", "E1", "nowhere.yaml"), 2, "cannot be read"),
        (("explain", "E1", "SITE", "--log", "nowhere"), 2, "no nowhere"),
        (("explain", "E1", "SITE", "--terminal", "."), 3, "no socket"),
        (("watch", "nowhere"), 2, "no nowhere"),
        (("watch", "nowhere.yaml"), 2, "cannot be read"),
        (("watch", "."), 3, "cannot be read"),
        (("watch", "SITE", "--bus", "nope", "--times", "1"), 2, "nope"),
        (("watch", "SITE", "--meter", "nope", "--times", "1"), 2, "nope"),
    ],
)
def test_refusals(plant, words, code, said):
    done = carbonterm(*[plant[0] if word == "SITE" else word for word in words])
    assert done[0] == code and said in done[2], done
