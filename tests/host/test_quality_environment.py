"""Quality control of sensors (park document, 6.3): jumps and stuck sensors are found, due calibrations are alarms."""

import json
import random
from functools import partial

import pytest

from carbonterm import clock
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry
from carbonterm.uplink.message import Batch
from carbonterm_host import gm_backends, site_nodes, site_yaml
from carbonterm_host.platform.access import audit
from carbonterm_host.platform.intake import Intake
from carbonterm_host.platform.quality import engine, notices
from carbonterm_host.platform.store import Store
from sensors import model

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
T0 = 1767196800000  # midnight of 2026-01-01 in China
KEY = bytes(31) + b"\x07"
FAST = {name: partial(getattr(gm_backends, name), backend=gm_backends.best()) for name in ("verify", "digest")}
SITE = """\
terminal: CT-ENV
name: sensors
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 10.0.0.1}]
meters:
  - {name: weather, bus: lan, unit: 1, model: sensors.json, place: 东门, certificate: {number: J-1, authority: 省计量院,
     date: 2025-01-05, due: 2026-02-05, result: 合格}}
  - {name: kiln, bus: lan, unit: 2, model: sensors.json, certificate: {number: J-2, authority: 省计量院,
     date: 2025-01-05, due: 2027-01-05, result: 合格}}
points:
  - {name: T, meter: weather, register: temperature, every: 5min}
  - {name: H, meter: weather, register: humidity, every: 5min}
  - {name: K, meter: kiln, register: temperature, every: 5min}
nodes:
  - {name: 气象站, class: environment, meters: [weather]}
  - {name: 窑, class: production, meters: [kiln]}
"""


def store_of(tmp_path, days, said):
    """A store with a log of readings every five minutes; said(point, minute): tenths, None for no reading."""
    (tmp_path / "sensors.json").write_text(json.dumps(model()), encoding="utf-8")
    raw = site_yaml.compile_text(SITE, folder=tmp_path).canonical()
    bodies = [(T0, entry.CONFIG, [sm3.digest(raw), raw])]
    for minute in range(0, days * 1440, 5):
        rows = [[point, 0, 0, -1, said(name, minute)] for point, name in enumerate("THK")]
        rows = [row for row in rows if row[4] is not None]
        bodies.append((T0 + minute * MINUTE, entry.READINGS, [rows, None]))
    store = Store(f"sqlite:///{tmp_path}/p.db")
    store.register("CT-ENV", 0, sm2.Signer(KEY).public)
    intake = Intake(store, "centre", sm2.Signer(bytes(31) + b"\x08"), **FAST)
    pairs = []
    for seq, (at, kind, body) in enumerate(bodies):
        raw = entry.encode("CT-ENV", 0, seq, at, 3, kind, body)
        pairs.append((raw, gm_backends.sign(KEY, raw, gm_backends.best())))
    for first in range(0, len(pairs), 500):
        status, answer = intake.post("CT-ENV", Batch("CT-ENV", 0, first, pairs[first : first + 500], None).encode())
        assert status == 200, answer
    return store


def weather(seed):
    dice = random.Random(seed)
    found = {}

    def said(name, minute):
        hour = minute // 60 % 24
        base = {"T": 50 + 12 * min(hour, 24 - hour), "H": 600 - 10 * min(hour, 24 - hour), "K": 9000}[name]
        return found.setdefault((name, minute), base + dice.randrange(12))

    return said


def examined(store, days):
    report = engine.examine(store, "CT-ENV", T0, T0 + days * DAY, 1, **FAST)
    return report, {rule["rule"]: rule for rule in report["rules"]}


@pytest.mark.slow
@pytest.mark.requirement("P-6.3-1", "P-6.3-2", "P-6.3-3", "P-6.3-4")
def test_what_a_sensor_cannot_say_is_found(tmp_path):
    """A jump of 30 °C and back on the second day, a hygrometer that shows the same for 13 and for 25 hours."""
    clean = weather(5)

    def said(name, minute):
        if name == "T" and minute == 1440 + 300:
            return clean(name, minute) + 300
        if name == "H" and 3 * 1440 <= minute <= 4 * 1440 + 60:
            return 555
        if name == "H" and 600 <= minute <= 600 + 13 * 60:
            return 444
        if name == "K" and minute % 1440 == 0:
            return 2000  # a kiln is no environment: nobody minds its jumps
        return clean(name, minute)

    store = store_of(tmp_path, 5, said)
    _, found = examined(store, 5)
    rule = found["environment"]
    assert rule["findings"] == [
        {"point": "H", "type": "air_humidity", "day": "2026-01-05", "why": "shows the same for 24h and longer",
         "times": 1},
        {"point": "T", "type": "air_temperature", "day": "2026-01-02", "why": "jumps by more than 10 °C", "times": 2},
    ]  # fmt: skip
    assert rule["checked"] == 2 * 5 * 288 and not rule["ok"] and rule["found"] == 2
    store.close()


@pytest.mark.slow
@pytest.mark.requirement("P-6.3-5")
def test_due_calibrations_are_alarms(tmp_path):
    """The register of sensors has place and due date; what is due or overdue is an alarm and stands on the page."""
    clean = weather(6)
    store = store_of(tmp_path, 1, lambda name, minute: None if 300 < minute < 900 else clean(name, minute))
    report, found = examined(store, 1)
    assert found["environment"]["ok"] and found["environment"]["checked"] == 2 * (288 - 119)
    assert found["calibration"]["ok"] and found["calibration"]["due"] == [
        {"meter": "weather", "certificate": "J-1", "due": "2026-02-05", "days_left": 35}
    ]
    plan = site_yaml.compile_text(SITE, folder=tmp_path)
    register = site_nodes.point_map(plan, T0 + DAY - 1)["classes"][-1]["nodes"][0]["meters"][0]
    assert [register[key] for key in ("meter", "place", "due", "days_left", "state")] == [
        "weather", "东门", "2026-02-05", 35, "due",
    ]  # fmt: skip
    engine.keep(store, report)
    (alarm,) = audit.rows(store, audit.ALARM)
    assert alarm["what"] == "CT-ENV: calibration overdue 0, due 1: weather 2026-02-05" and alarm["status"] == 1
    assert "weather J-1: 校准将于 35 天后到期 due (2026-02-05)" in "".join(notices.lines(store, "CT-ENV"))
    late = engine.examine(store, "CT-ENV", T0, clock.parse("2026-02-06T00:00:00+08:00"), 1, **FAST)
    assert late["rules"][0]["findings"] == [{"meter": "weather", "why": "certificate due 2026-02-05"}]
    engine.keep(store, late)
    assert "overdue 1, due 0: weather 2026-02-05" in audit.rows(store, audit.ALARM)[0]["what"]
    assert "校准已过期 overdue" in "".join(notices.lines(store, "CT-ENV"))
    store.close()
