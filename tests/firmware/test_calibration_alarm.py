"""A certificate that is due or has expired is an alarm in the terminal's status (park document, 6.3)."""

import time

import pytest

from carbonterm import clock
from carbonterm_host import site_yaml
from carbonterm_host.firmware import Terminal

SITE = """\
terminal: CT-CAL
name: test
zone: "+08:00"
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1, port: 9, timeout: 100ms}]
meters:
  - {name: old, bus: lan, unit: 1, model: eastron-sdm630, certificate: {number: J-1, authority: 省计量院,
     date: 2019-03-01, due: 2020-03-01, result: 合格}}
  - {name: soon, bus: lan, unit: 2, model: eastron-sdm630, certificate: {number: J-2, authority: 省计量院,
     date: 2019-03-01, due: SOON, result: 合格}}
  - {name: good, bus: lan, unit: 3, model: eastron-sdm630, certificate: {number: J-3, authority: 省计量院,
     date: 2019-03-01, due: 2099-03-01, result: 合格}}
  - {name: none, bus: lan, unit: 4, model: eastron-sdm630}
points: [{name: E1, meter: old, register: active_energy_import, every: 1s}]
"""


def certificates(status):
    return [text for text in status["alarms"] if "certificate" in text]


@pytest.mark.slow
@pytest.mark.requirement("P-6.3-5", part="due and overdue are alarms of the terminal")
def test_due_certificates_are_alarms(tmp_path):
    soon = clock.text(time.time_ns() // 10**6 + 20 * 86400000, 480)[:10]
    terminal = Terminal(tmp_path / "terminal", site_yaml.compile_text(SITE.replace("SOON", soon)).canonical())
    terminal.start()
    try:
        status = terminal.wait(lambda status: len(certificates(status)) == 2)
    finally:
        terminal.kill()
    assert certificates(status) == [
        "old: certificate J-1 expired on 2020-03-01 · 校准已过期",
        f"soon: certificate J-2 is due on {soon} · 校准即将到期",
    ]
