"""carbonterm site plan: what will be asked and how long it takes, before it runs; impossible schedules are refused."""

import json

import pytest

from commandline import carbonterm

SITE = """\
terminal: CT-PLAN-1
name: 计划
zone: "+08:00"
buses:
  - {name: line, kind: serial, device: /dev/ttyS1, baud: 2400, parity: even, gap: 20ms}
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20}
meters:
  - {name: main, bus: line, address: "201000000012", model: dlt645-2007-three-phase}
  - {name: gas, bus: line, unit: 3, model: generic-gas-modbus, baud: 9600}
  - {name: far, bus: lan, unit: 1, model: generic-gas-modbus}
points:
  - {name: E1, meter: main, register: active_energy_import, every: EVERY}
  - {name: F1, meter: gas, register: flow, every: 1min}
  - {name: T1, meter: gas, register: temperature, every: 1min}
  - {name: X1, meter: far, register: flow, every: 1s}
"""


def plan(folder, text, *words, lang="en"):
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    return carbonterm("site", "plan", folder / "site.yaml", *words, lang=lang)


def test_the_budget_is_the_bytes_on_the_line(tmp_path):
    code, out, _ = plan(tmp_path, SITE.replace("EVERY", "1min"), "--json")
    told = json.loads(out)
    line, lan = told["buses"]
    assert code == 0 and told["turnaround_ms"] == 30
    assert (line["requests"], line["unmerged"], line["points"]) == (2, 3, 3)
    by_meter = {row["meter"]: row for row in line["asked"]}
    # 20 bytes asked, 24 answered with leaders, 11 bits each at 2400 baud; turnaround 30 ms, silence 20 ms
    assert by_meter["main"]["what"] == "00010000"
    assert by_meter["main"]["ms"] == pytest.approx(44 * 11 / 2.4 + 50, abs=0.01)
    # flow at 4, temperature at 8: one request of 6 registers
    assert by_meter["gas"]["what"] == "03 4+6" and by_meter["gas"]["points"] == ["F1", "T1"]
    assert by_meter["gas"]["ms"] == pytest.approx((8 + 17) * 11 / 9.6 + 50, abs=0.01)
    busy = sum(row["ms"] for row in line["asked"])
    assert line["intervals"] == [{"interval_ms": 60000, "requests": 2, "points": 3, "busy_ms": -(-busy // 1)}]
    assert line["busy_percent"] == round(busy / 600, 1) < line["unmerged_percent"]
    assert lan["busy_percent"] is None and lan["asked"][0]["ms"] is None


def test_a_slower_meter_costs_more(tmp_path):
    site = SITE.replace("EVERY", "1min")
    shares = [json.loads(plan(tmp_path, site, "--turnaround", ms, "--json")[1])["buses"][0]["busy_percent"]
              for ms in ("0", "30", "500")]  # fmt: skip
    assert shares == sorted(shares) and shares[0] < shares[2]


@pytest.mark.parametrize("lang, words", [("en", "keep the line busy"), ("zh", "占用总线")])
def test_the_table_says_it_to_people(tmp_path, lang, words):
    code, out, _ = plan(tmp_path, SITE.replace("EVERY", "1min"), lang=lang)
    assert code == 0 and words in out.replace("\n", "") and "00010000" in out and "03 4+6" in out
    assert "line: 0.3 s" in out and "60 s, 1 %" in out


def test_a_schedule_that_cannot_be_kept_is_refused_with_the_way_out(tmp_path):
    code, out, err = plan(tmp_path, SITE.replace("EVERY", "200ms"))
    assert code == 1 and "cannot be read in time" in out + err and "baud rate" in out + err
    code, out, _ = plan(tmp_path, SITE.replace("EVERY", "200ms"), "--json")
    assert code == 1 and "cannot be read in time" in out


@pytest.mark.parametrize("words, code", [(("--turnaround", "-1"), 2), (("--turnaround", "20000"), 2), ((), 1)])
def test_bad_options_and_bad_files(tmp_path, words, code):
    text = SITE.replace("EVERY", "1min") if words else "terminal: [\n"
    assert plan(tmp_path, text, *words)[0] == code


def test_no_file(tmp_path):
    code, _, err = carbonterm("site", "plan", tmp_path / "none.yaml")
    assert code == 2 and "cannot be read" in err
