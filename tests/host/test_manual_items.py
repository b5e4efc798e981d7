"""Every item of the standard's Table 1 can be entered by hand (6.2), and each datum says how it came (6.1)."""

import json

import pytest

from carbonterm import cbor, clock
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.series import combine
from carbonterm_host import checklist, site_yaml
from logs import Written
from memory_storage import MemoryStorage
from shell import carbonterm, pulled

SITE = """\
terminal: CT-ITEM-1
name: 活动数据
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 1}]
meters: [{name: M1, bus: lan, unit: 1, model: eastron-sdm630}]
points: [{name: E1, meter: M1, register: active_energy_import, every: 1h, limit: "2000"}]
operators: [{name: wang, page: true}]
page: {listen: "127.0.0.1:8443"}
settings: {closings: [day, month]}
manual:
"""
BEGIN, END = (clock.parse(text + "T00:00:00+08:00") for text in ("2026-09-01", "2026-10-01"))
NOW = END + 86400000


def rows():
    """[(sector, item's Chinese name, unit)] of Table 1, with each unit that an item may have."""
    return [(sector, item["name_zh"], unit) for sector in checklist.sectors() for item in checklist.items(sector)
            for unit in item["unit"].split(" | ")]  # fmt: skip


def entered(plan, fields):
    """A record that a user of the page gives."""
    return records.make(plan.terminal_id, "wang", NOW, records.ENTER, fields, lambda body: None)


@pytest.mark.slow
@pytest.mark.requirement("T-6.2-2")
def test_any_item_of_table_1_is_entered_with_period_value_unit_and_evidence():
    wanted = rows()
    assert len({sector for sector, _, _ in wanted}) == 24 and len(wanted) > 260
    text = SITE + "".join(f'  - {{name: P{at}, quantity: "{name[:60]}", unit: "{unit}"}}\n'
                          for at, (_, name, unit) in enumerate(wanted))  # fmt: skip
    plan = site_yaml.compile_text(text)
    assert [row.quantity for row in plan.manual] == [name[:60] for _, name, _ in wanted]
    pipeline, log = Pipeline(), []

    def put(time_ms, kind, body):
        raw = entries.encode(plan.terminal_id, 0, len(log), time_ms, 2, kind, body)
        log.append(entries.decode(raw))
        if kind not in (entries.CLOSING, entries.EMISSION):
            for when, _, derived, more in pipeline.fold(log[-1]):
                put(when, derived, more)

    document = plan.canonical()
    put(BEGIN, entries.CONFIG, [sm3.digest(document), document])
    for at, (_, name, unit) in enumerate(wanted):
        paper = [f"{at}.pdf", sm3.digest(name.encode())]
        record = entered(plan, [f"P{at}", BEGIN, END, -1, 15 + at, plan.manual[at].unit, [paper], "", None])
        pipeline.admit(record, NOW)
        put(NOW, entries.MANUAL, [record.body, record.signature])
        assert unit == plan.manual[at].unit
    months = {}
    for one in log:
        if one.kind == entries.CLOSING and one.body[0] == clock.MONTH:
            for row in one.body[2]:
                months[row[0] - 1] = row[3] * 10 ** (row[2] + 3)
    assert months == {at: (15 + at) * 100 for at in range(len(wanted))}
    replay = Replay()
    assert [found for found in map(replay.entry, log) if found] == []


BOTH = SITE + """\
  - {name: 外购电, quantity: active energy, unit: MWh}
virtual: [{name: 全部用电, add: [E1, 外购电]}, {name: 半数, apportion: 外购电, share: "1"}]
sources:
"""
ELECTRICITY = """\
  - {name: NAME, method: cn-2015-other-industry, source: purchased_electricity,
     parameters: {AD: [POINT], EF: {value: "0.5", unit: tCO2/MWh, source: 测试}}}
"""


@pytest.mark.requirement("T-6.1-1")
@pytest.mark.slow
def test_one_item_of_activity_data_comes_by_itself_and_by_hand_and_says_which(tmp_path):
    text = BOTH + ELECTRICITY.replace("NAME", "自动").replace("POINT", "E1")
    text += ELECTRICITY.replace("NAME", "人工").replace("POINT", "半数")
    plan = site_yaml.compile_text(text)
    assert [combine.collected(plan, index) for index in range(4)] == ["automatic", "manual", "both", "manual"]
    storage = MemoryStorage()
    made = Written(storage, sm2.Signer(bytes(31) + b"\x07"), cbor.decode(plan.canonical()), BEGIN)
    for hour in range(25):
        made.readings(BEGIN + hour * 3600000, [(0, 0, 0, 0, 100 * hour)])
    record = entered(plan, ["外购电", BEGIN, BEGIN + 86400000, -1, 24, "MWh", [], "", None])
    made.entry(NOW, entries.MANUAL, [record.body, record.signature])
    made.log.commit()
    made.log.checkpoint()
    (tmp_path / "t.bundle").write_bytes(pulled(storage, plan.terminal_id))
    for name, source, word in (("自动", "automatic", "自动采集"), ("人工", "manual", "人工采集")):
        code, out, _ = carbonterm("trace", tmp_path / "t.bundle", f"{name} day 2026-09-01", "--json")
        view = json.loads(out)
        assert code == 0 and view["ok"], out
        (part,) = [point for item in view["figures"][-1]["activity"] for point in item["points"]]
        assert (part["source"], view["figures"][-1]["value"]) == (source, "1.200000")
        assert word in carbonterm("trace", tmp_path / "t.bundle", f"{name} day 2026-09-01", lang="zh")[1]
