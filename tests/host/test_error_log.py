"""The terminal's error log and its entrances, over names that are long and days that are many."""

import pytest

from carbonterm_device import faults
from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.inbound.inbox import OLD_MS
from carbonterm_device.monitor import WHERE, Monitor
from carbonterm_device.storage import Folder
from carbonterm_host import site_yaml
from wrapping import Ticks, pass_by

SITE = """
terminal: T1
name: x
zone: "+08:00"
buses: [{name: inbox, kind: https, host: 127.0.0.1, port: 8443, certificate: inbox.crt, key: inbox.key}]
meters: [{name: mes, bus: inbox, source: mes-1, token: %s}]
points: [{name: E1, meter: mes, key: E1, unit: kWh, kind: register, every: 60s}]
""" % ("ab" * 32)


@pytest.fixture
def app(tmp_path):
    return App(Folder(str(tmp_path)), site_yaml.compile_text(SITE).canonical(), Clock())


def test_what_has_a_long_name_stands_once(app):
    app.monitor = Monitor(app)
    for _ in range(3):
        app.err("F903", "replaced " + "x" * 80, "there is no such total")
    (row,) = app.monitor.errors()
    assert row["count"] == 3 and row["where"] == ("replaced " + "x" * 80)[:WHERE] and not row["active"]


def test_who_is_silent_for_weeks_stays_so(app):
    """Ticks of 32 bits begin anew after twelve days: what was heard a week ago would be of the future."""
    (inbox,) = app.inboxes
    port = inbox.port = Ticks()
    inbox.begun = port.ticks_ms()
    (sender,) = inbox.senders.values()

    def silent():
        return [row[0] for row in faults.present(app) if row[0] == "F202"] == ["F202"]

    assert not silent()
    for heard in (None, port.ticks_ms()):
        sender.heard = heard
        for _ in range(30):
            pass_by(port, 0.5, inbox._age)
            assert silent() and inbox.silent_ms(sender) <= OLD_MS + 60000
    sender.heard = port.ticks_ms()
    assert not silent()
