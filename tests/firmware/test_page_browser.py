"""The terminal's page in a real browser: the way of a person, on a wide and a narrow screen, with nobody else asked."""

import time

import pytest

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from chromium import Chromium, find
from paged import FLAGS, USERS, Person, Plant, meters, port


@pytest.mark.slow
@pytest.mark.requirement("T-10.6.3-1", "T-10.6.3-2", "T-10.6.3-3", "T-11.3-14", part="by a person, in a browser")
def test_a_person_changes_an_interval_and_goes_back(tmp_path):
    if find() is None:
        pytest.skip("chromium is not installed")
    with meters() as simulated, Plant(tmp_path, [port(bus) for bus in simulated.buses]) as plant, Chromium(
        tmp_path / "profile", FLAGS
    ) as chromium:
        person = Person(chromium, plant)
        person.go("/login")
        assert person.fits()
        person.fill(name="zhang", password="wrong")
        person.press()
        assert "密码错误" in person.text()
        person.fill(name="zhang", password=USERS[0][2])
        person.press()
        person.there("/")
        assert "E1" in person.text() and person.fits()
        for path in ("/emissions", "/system", "/manual", "/configuration", "/configuration/points", "/history"):
            person.go(path)
            assert person.fits(), path
        person.go("/configuration/points/0")
        person.fill(interval_ms="7")
        person.press("save")
        beside = "document.querySelector('[name=interval_ms]').nextElementSibling.innerText"
        assert "100 to 86400000" in chromium.evaluate(beside) and person.fits()
        person.fill(interval_ms="1500")
        person.press("save")
        person.go("/draft")
        assert "interval_ms 500 → 1500" in person.text()
        person.fill(reason="slower")
        person.press("force")
        person.there("/history")
        assert "zhang" in person.text()
        person.press("back")
        person.there("/draft")
        assert "interval_ms 1500 → 500" in person.text()
        person.press("force")
        person.there("/history")
        assert not chromium.errors
        assert not [url for url in chromium.requests if not url.startswith((person.address, "about:", "chrome"))]
        plant.terminal.stop()
        log = plant.log()
    found = [sites.decode(one.body[1]) for one in log if one.kind == entries.CONFIG]
    assert [one.points[0].interval_ms for one in found] == [500, 1500, 500]
    said = [one.body for one in log if one.kind == entries.AUDIT and one.body[0] == "zhang"]
    assert ["zhang", "configuration", "version 2: slower"] in said


HAND = """\
operators: [{name: wang, page: true}, {name: zhang, page: true}]
manual: [{name: 煤, fuel: coal}, {name: 柴油, fuel: diesel}]"""


@pytest.mark.slow
@pytest.mark.requirement("T-6.2-2", "T-11.3-13", part="by a person, in a browser")
def test_a_person_enters_last_months_coal(tmp_path):
    if find() is None:
        pytest.skip("chromium is not installed")
    start = clock.start(clock.MONTH, clock.start(clock.MONTH, time.time_ns() // 1000000, 480) - 1, 480)
    first = clock.text(start, 480)[:10]
    last = clock.text(clock.end(clock.MONTH, start, 480) - 1, 480)[:10]
    with meters() as simulated, Plant(tmp_path, [port(bus) for bus in simulated.buses], more=HAND) as plant, Chromium(
        tmp_path / "profile", FLAGS
    ) as chromium:
        person = Person(chromium, plant)
        person.go("/login")
        person.fill(name="wang", password=USERS[1][2])
        person.press()
        person.go("/manual")
        person.go("/manual/enter?point=%E7%85%A4", "/manual/enter")
        assert chromium.evaluate("document.querySelector('[name=point]').value") == "煤" and person.fits()
        person.fill(first=first, last=last, value="1250.5 吨")
        person.press("enter")
        assert "not a decimal number" in person.text() and person.fits()
        person.fill(value="1250.5", unit="t")
        (tmp_path / "磅单.pdf").write_bytes(b"weighed")
        chromium.choose("[name=evidence]", tmp_path / "磅单.pdf")
        person.press("enter")
        person.there("/manual")
        assert "1250.5 t" in person.text() and "网页登录" in person.text() and person.fits()
        assert not chromium.errors
        plant.terminal.stop()
        log = plant.log()
    (given,) = [records.Record(*one.body) for one in log if one.kind == entries.MANUAL]
    assert (given.operator, given.basis, given.name) == ("wang", "page", "煤")
    assert given.evidence == [["磅单.pdf", sm3.digest(b"weighed")]]
