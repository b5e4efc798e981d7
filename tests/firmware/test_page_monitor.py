"""The page as the place of maintenance (10.6.1) and of remote monitoring (10.6.2): real firmware, real faults."""

import contextlib
import json
import platform
import re
from pathlib import Path

import pytest

import entrance
from carbonterm.gm import sm2
from loopback import free_port
from paged import TOKEN, Plant, meters, plain, port
from relay import Relay
from shell import carbonterm

DOCS = Path(__file__).parents[2] / "docs"


def rows(text, first):
    """{first cell: {column's Chinese name: text}} of the page's table whose first column it is."""
    found = {}
    for line in re.findall(r"<tr>(.*?)</tr>", text):
        cells = re.findall(r'<td data-h="(\S*)[^"]*">(.*?)</td>', line)
        if cells and cells[0][0] == first:
            found[cells[0][1]] = {name: plain(re.sub("<[^>]*>", "", cell)) for name, cell in cells}
    return found


def alarms(text):
    """{(code, where)} of the page's box, of lines and meters; rounds come late where a machine is busy (F106)."""
    return {row for row in re.findall(r"<li><b>(F1\d+)</b> (\w+):", text) if row[0] != "F106"}


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.1-1")
def test_a_fault_is_located_by_its_code(tmp_path):
    """Device, links and points on the page; a meter that refuses, then a line that is cut; on the spot the same."""
    with meters() as simulated, contextlib.ExitStack() as stack:
        cable = stack.enter_context(Relay(port(simulated.buses[1])))
        with Plant(tmp_path, [port(simulated.buses[0]), cable.port]) as plant:
            client = plant.client("li")

            def until(condition):
                return entrance.wait(lambda: condition(said := client.get("/")) and said)

            def quality(text, name):
                return rows(text, "数据点").get(name, {}).get("质量")

            text = until(lambda said: quality(said, "E1") == quality(said, "V1") == "好 good")
            assert {name: row["状态"] for name, row in rows(text, "总线").items()} == {
                "lan": "正常 ok", "gas": "正常 ok"
            }  # fmt: skip
            assert alarms(text) == set()
            system = client.get("/system")
            assert platform.release() in system and rows(system, "任务")["gas"]["状态"] == "running"
            refusal = simulated.faults.add("exception", meter="gas")  # its name there
            text = until(lambda said: ("F103", "G1") in alarms(said))
            assert alarms(text) == {("F103", "G1")}
            text = until(lambda said: quality(said, "V1") == "拒绝 refused")
            assert quality(text, "E1") == "好 good"
            simulated.faults.remove(refusal)
            until(lambda said: alarms(said) == set() and quality(said, "V1") == "好 good")
            stack.close()
            text = until(lambda said: ("F105", "gas") in alarms(said) and quality(said, "V1") == "无应答 silent")
            assert alarms(text) == {("F105", "gas")} and quality(text, "E1") == "好 good"
            assert rows(text, "总线")["lan"]["状态"] == "正常 ok" != rows(text, "总线")["gas"]["状态"]
            code, out, _ = carbonterm("status", plant.terminal.folder)
            assert code == 1 and "F105 gas: " in out and "F103" in out  # of the error log
            system = client.get("/system")
            assert rows(system, "任务")["gas"]["状态"] == "failed" and rows(system, "任务")["lan"]["状态"] == "running"
            log = rows(system, "代码")
            assert (log["F103"]["位置"], log["F105"]["位置"]) == ("G1", "gas") and log["F103"]["恢复"]
    for name in ("F103", "F105"):  # and the page of codes says what to do
        assert name in (DOCS / "faults.md").read_text(encoding="utf-8")


ALL = """\
terminal: CT-PAGE-2
name: 远程监控
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: LAN, timeout: 1s, retries: 0}
  - {name: far, kind: modbus-tcp, host: 127.0.0.1, port: GAS}
  - {name: broker, kind: mqtt, host: 127.0.0.1, port: 1}
meters:
  - {name: M1, bus: lan, unit: 1, model: eastron-sdm630}
  - {name: M9, bus: lan, unit: 9, model: generic-gas-modbus}
  - {name: M2, bus: far, unit: 1, model: generic-gas-modbus}
  - {name: A1, bus: broker, topic: plant/air/1}
points:
  - {name: E1, meter: M1, register: active_energy_import, every: 500ms}
  - {name: V9, meter: M9, register: volume, every: 1s}
  - {name: V2, meter: M2, register: volume, every: 1s}
  - {name: EA, meter: A1, pointer: /energy, unit: kWh, kind: register, digits: 8, every: 1min}
MORE
page: {listen: "127.0.0.1:WEB"}
settings: {closings: [day], commit: 50ms}
"""


CENTRE = "centres:\n  - {name: centre, url: 'https://127.0.0.1:%d', ca: %s, public: '%s'}"


def documented(name):
    """{path: {field}} of a section of docs/monitoring.md: "" is the answer itself, "buses" what is in that field."""
    text = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    section = re.search(rf"^## [^\n]*\b{name}\b.*?(?=^## |\Z)", text, re.M | re.S)[0]
    found = {"": set()}
    for left, right in re.findall(r"^\| (`.*?) \| (.*) \|$", section[section.index("| field |") :], re.M):
        paths, fields = (re.findall(r"`([a-z_.]+)`", cell) for cell in (left, right))
        found[""] |= {path for path in paths if "." not in path}
        if fields:
            found[paths[0]] = set(fields)
    return found


def given(answer, path=""):
    """[(path, {field})] of all that an answer has."""
    for one in answer if isinstance(answer, list) else [answer]:
        if isinstance(one, dict):
            yield path, set(one)
            for name, value in one.items():
                yield from given(value, f"{path}.{name}" if path else name)


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.2-1")
def test_the_api_is_as_documented_and_only_for_who_has_a_token(tmp_path):
    more = CENTRE % (free_port(), tmp_path / "ca.der", sm2.public(bytes(31) + b"\x01").hex())
    with meters() as simulated, Plant(tmp_path, [port(simulated.buses[0]), 1], more=more, site=ALL) as plant:
        status = plant.terminal.wait(lambda status: status["faults"] and status["buses"][0]["silent"], 180)
        assert status["inbound"] and status["centres"]
        for given_instead in ("Bearer wrong", "Bearer ", TOKEN):
            assert plant.client().ask("GET", "/api/status", Authorization=given_instead)[0] == 401, given_instead
        for name in ("status", "health", "tasks", "errors", "faults"):
            assert plant.client().ask("GET", "/api/" + name)[0] == 401, name
            code, said, headers = plant.client().ask("GET", "/api/" + name, Authorization="Bearer " + TOKEN)
            assert code == 200 and headers["Content-Type"] == "application/json"
            said, told = json.loads(said), documented(name)
            seen = dict(given(said))
            for path, fields in given(said):
                other = documented(path) if path in ("tasks", "faults") else None
                assert fields == (other[""] if other else told[path]), (name, path)
            assert set(told) - set(seen) <= {"buses.meters"}, name
        assert plant.client().ask("GET", "/api/nothing", Authorization="Bearer " + TOKEN)[0] == 404
        plant.terminal.kill()  # its end would wait for the centre
