"""The whole process in the log (11.12): acquisition, reporting, method issue, configuration, by the real firmware."""

import json

import pytest

import steelworks
from carbonterm.ledger import entry as entries
from carbonterm_device.issued import issued
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.firmware import Terminal
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.simulate.site import six_meters
from carbonterm_host.verifier import Verifier
from serving import Platform, run

SITE = """\
terminal: CT-WHOLE
name: test
zone: "+08:00"
buses: [{{name: lan, kind: modbus-tcp, host: {host}, port: {port}}}]
meters: [{{name: em-1, bus: lan, unit: {unit}, model: {model}}}]
points: [{{name: E1, meter: em-1, register: active_energy_import, every: 200ms}}]
sources:
  - {{name: power, method: cn-2015-other-industry, source: purchased_electricity,
     parameters: {{AD: [E1], EF: {factor}}}}}
centres: [{{name: {centre}, url: {url}, ca: {ca}, public: {public}}}]
settings: {{closings: [minute, hour], commit: 50ms}}
"""


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1")
def test_the_log_tells_the_whole_process(tmp_path):
    terminal = Terminal(tmp_path / "terminal", heap="2M")
    epoch, public = terminal.key()
    tls = make_certificates(tmp_path / "tls")
    options = ("--register", f"CT-WHOLE:{epoch}:{public.hex()}")
    options += ("--tls-cert", tls["server.pem"], "--tls-key", tls["server.key"])
    with six_meters(5, speed=60) as plant, Platform(tmp_path, *options) as platform:
        bus, meter = next((bus, m) for bus in plant.buses for m in bus.meters.values() if m.name == "em-1")
        row, centre = bus.describe(), platform.ready["name"]
        facts = {
            "host": row["address"], "port": row["port"], "unit": meter.unit, "model": meter.model["id"],
            "centre": centre, "url": platform.url, "ca": tls["ca.der"], "public": platform.public.hex(),
        }  # fmt: skip
        try:
            for factor in ("cn-nat-2023", "cn-nat-2022"):
                terminal.configure(site_yaml.compile_text(SITE.format(factor=factor, **facts)).canonical())
                terminal.start()
                begun = terminal.wait(lambda status: status["readings"] > 0)["entries"]
                terminal.wait(lambda status, begun=begun: (status["centres"][0]["cursor"] or 0) > begun + 5)
                done = run("pull", terminal.data, "-o", tmp_path / "log.bundle", "--json")
                assert done.returncode == 0 and json.loads(done.stdout)["noted"], done.stdout + done.stderr
                terminal.wait(lambda status: not (terminal.data / "pull.note").exists())
                assert terminal.stop() == 0
        finally:
            if terminal.process.poll() is None:
                terminal.kill()
    pull.to_file(terminal.data, tmp_path / "log.bundle")
    verifier = Verifier()
    with open(tmp_path / "log.bundle", "rb") as file:
        verifier.read(file)
    assert verifier.report()["ok"], verifier.report()  # append-only, tamper-evident: all is under a checkpoint
    log = [entries.decode(raw) for raw, _ in bundles.read(tmp_path / "log.bundle").entries]
    assert all(entry.time_ms > 0 for entry in log)
    assert {entries.READINGS, entries.CONFIG} <= {entry.kind for entry in log}
    said = [(entry.body[0], entry.body[1], entry.body[2]) for entry in log if entry.kind == entries.AUDIT]
    configured = [detail for _, what, detail in said if what == "configuration"]
    assert len(configured) == 2 and configured[0].endswith("; the first") and configured[1].endswith("changed: sources")
    methods = [detail for _, what, detail in said if what == "method"]
    assert len(methods) == 2 and "cn-nat-2023" in methods[0] and "cn-nat-2022" in methods[1]
    assert all(detail.startswith("power: cn-2015-other-industry version ") for detail in methods)
    assert sum(who == centre and what == "report" for who, what, _ in said) == 2
    pulls = [detail for who, what, detail in said if (who, what) == ("pull", "report")]
    assert len(pulls) == 2 and all(" pulled " in detail for detail in pulls)
    print(said)


MIXED = """\
terminal: CT-1
name: x
zone: Z
buses: [{{name: line, kind: serial, device: /dev/ttyS1}}]
meters: [{{name: m, bus: line, address: "000000000001", model: dlt645-2007-three-phase, ct: {ct}}}]
points:
  - {{name: E1, meter: m, register: active_energy_import, every: 1min, decimals: {decimals}}}
"""


def test_a_changed_transformer_or_decimal_is_audited():
    old, more, finer = (
        site_yaml.compile_text(MIXED.format(ct=ct, decimals=decimals))
        for ct, decimals in (("200/5", 2), ("400/5", 2), ("400/5", 3))
    )
    assert [what for what, _ in issued(None, old)] == ["configuration"]
    told = issued(old, more)
    assert told[0][1].endswith("changed: meters, points")
    assert told[1:] == [
        ("instrument", "meter 'm': ct 200/5 → 400/5"), ("instrument", "point 'E1': scale 40 → 80"),
        ("instrument", "point 'E1': modulus 40000000 → 80000000"),
    ]  # fmt: skip
    told = issued(more, finer)[1:]
    assert told[0] == ("instrument", "point 'E1': type XXXXXX.XX → XXXXX.XXX") and len(told) == 2
    many = MIXED.format(ct="5/5", decimals=2).rstrip("\n").replace("E1", "P0")
    for number in range(1, 80):
        many += f"\n  - {{name: P{number}, meter: m, register: active_energy_export, every: 1min}}"
    told = issued(old, site_yaml.compile_text(many))
    assert len(told) == 1 + 65 and told[-1] == ("instrument", "and 18 more")


@pytest.mark.requirement("P-6.1-4", part="a gap that gets another reason is an audit entry")
def test_a_changed_node_is_audited():
    text = MIXED.format(ct="200/5", decimals=2) + "nodes: [{name: 锅炉, class: boiler, gap: REASON}]\n"
    old, new = (site_yaml.compile_text(text.replace("REASON", reason)) for reason in ("停用", "无锅炉"))
    told = issued(old, new)
    assert told[0][1].endswith("changed: nodes")
    assert told[1:] == [("instrument", "node '锅炉': gap 停用 → 无锅炉")]


def test_a_folder_that_cannot_be_written_is_pulled_all_the_same(tmp_path):
    assert pull.leave_note(tmp_path / "nowhere", 5) is False
    assert pull.leave_note(tmp_path, 5) and pull.leave_note(tmp_path, 6)
    while pull.leave_note(tmp_path, 7):
        pass
    assert (tmp_path / "pull.note").stat().st_size <= 1000  # nobody runs here: it does not grow for ever


@pytest.mark.requirement("T-11.5-5", part="a change of the boundary is an audit entry")
def test_a_changed_boundary_is_audited():
    old, new = (site_yaml.compile_text(steelworks.SITE.replace("承租方", who)) for who in ("承租方", "外租方"))
    told = issued(old, new)
    assert told[0][1].endswith("changed: boundary") and told[1:] == [("boundary", "boundary, places: changed")]
