"""The beginning of a log goes when every centre holds it, by the real firmware; what is left verifies and says so."""

import json

import pytest

from carbonterm.ledger import entry as entries
from carbonterm.ledger.frames import segments
from carbonterm_host import bundles, datafolder, site_yaml
from shell import carbonterm
from station import Station, delivered

DAY = 86400000
SEGMENT = ("--segment-size", "12000")


def keeping(station, terminal, keep, **more):
    """Configures the terminal with `keep` in its settings; more: texts of the site file to be replaced."""
    text = station._yaml(terminal.name).replace("commit: 50ms", f"commit: 50ms, keep: {keep}")
    for old, new in more.items():
        text = text.replace(old, new)
    file = station.folder / "keeping.yaml"
    file.write_text(text)
    terminal.configure(site_yaml.compile_file(file).canonical())
    terminal.options = list(SEGMENT)


def audits(file, who):
    found = [entries.decode(raw) for raw, _ in bundles.read(file).entries]
    return [one.body[2] for one in found if one.kind == entries.AUDIT and one.body[0] == who]


def checked(station, terminal, begins=True):
    """The bundle of a stopped terminal, after verify, replay and trace; begins: its beginning was dropped."""
    file = station.pulled(terminal)
    code, report = station.verify(file)
    assert code == 0 and report["ok"] and (report["begins"] > 0) == begins, report
    code, out, err = carbonterm("verify", file, "--backend", "openssl")
    assert code == 0 and (f"begins with entry {report['begins']}" in out) == begins, out
    code, out, err = carbonterm("replay", file, "--json")
    assert code == 0 and json.loads(out)["equal"], (out, err)
    assert (json.loads(out)["begins"] is not None) == begins
    return file, report


@pytest.mark.slow
@pytest.mark.requirement("T-9.2-5", part="a log whose beginning was dropped")
@pytest.mark.requirement("T-7.6-2", part="what no centre holds is never dropped")
def test_what_all_centres_hold_goes_by_age(tmp_path):
    with Station(tmp_path) as station:
        one = station.registered(offset_ms=-3 * DAY)
        keeping(station, one, "{days: 1}")
        one.start()
        one.wait(lambda status: status["entries"] > 60, 60)
        one.rotate()
        one.wait(lambda status: status["epoch"] == 1 and status["entries"] > 150, 90)
        # no day old: nothing goes, though all of it is held
        one.wait(delivered(1), 60)
        assert one.status()["storage"]["begins"] == [0, 0]
        one.set_clock(0)
        status = one.wait(lambda status: status["storage"]["begins"][0] == 1, 90)
        assert status["storage"]["begins"][1] > 0 and not status["alarms"]
        # a start reads only what is there, and so does delivery
        one.kill()
        one.offset_ms = 0
        one.start()
        status = one.wait(delivered(1, status["entries"] + 10), 90)
        assert [row["error"] for row in status["centres"]] == [""] and not status["disagreements"]
        assert one.stop() == 0
        names = sorted(path.name for path in one.data.iterdir())
        assert not [name for name in names if name[:6] == "00000-" and name.endswith((".seg", ".ckp"))]
        assert "00000.pub" in names and "00000.key" not in names
        file, report = checked(station, one)
        first = segments(datafolder.DataFolder(one.data))[0][1]
        assert report["begins"] == first
        said = audits(file, "retention")
        print(said)
        assert any(f"before 1:{first}," in text or "before 1:" in text for text in said)
        assert carbonterm("trace", file, "--list")[0] == 0
        # the platform has all of it
        assert station.receipt(epoch=1).next_seq == one.status()["entries"]


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-2", part="what no centre holds is never dropped")
def test_nothing_goes_that_no_centre_holds(tmp_path):
    with Station(tmp_path) as station:
        one = station.registered(offset_ms=-3 * DAY)
        keeping(station, one, "{days: 1}")
        station.platform.kill()
        one.start()
        one.wait(lambda status: status["entries"] > 150, 90)
        one.set_clock(0)
        one.wait(lambda status: status["entries"] > 250, 90)
        assert one.status()["storage"]["begins"] == [0, 0]
        # the centre comes back: now it may go
        station.platform.start()
        one.wait(lambda status: status["storage"]["begins"][1] > 0, 120)
        assert one.stop() == 0
        checked(station, one)
