"""The terminal's page on a small screen of the machine itself, 320x240 pixels, in a real browser (10.1)."""

import re
import shutil
import urllib.parse

import pytest

from carbonterm_host.boards import board as boards
from chromium import Chromium, find
from paged import FLAGS, TOKEN, Person, Plant, meters, port
from shell import carbonterm

WIDE, HIGH = 320, 240
SCREEN = "/screen?token=" + urllib.parse.quote(TOKEN)
FIGURE = r"\d\.\d{6}"


@pytest.fixture
def small(tmp_path):
    """(Plant, Person in front of its small screen)."""
    if find() is None:
        pytest.skip("chromium is not installed")
    with meters() as simulated, Plant(tmp_path, [port(bus) for bus in simulated.buses]) as plant, Chromium(
        tmp_path / "profile", FLAGS
    ) as chromium:
        chromium.look(WIDE, height=HIGH)
        yield plant, Person(chromium, plant)
        assert not chromium.errors


def checked(plant, board):
    """{requirement: line} that the self-check prints, with its mark first."""
    _, out, _ = carbonterm("board", "doctor", "--terminal", plant.terminal.folder, "--board", board)
    return {line.split()[1]: line for line in out.splitlines() if " T-10" in line}


@pytest.mark.slow
@pytest.mark.requirement("T-10.1a-4")
@pytest.mark.requirement("T-10.1a-5")
@pytest.mark.requirement("T-10.1b-5")
@pytest.mark.requirement("T-10.1b-6", part="without a screen it works, and the self-check does not blame it")
def test_state_and_emissions_are_read_at_320x240(small, tmp_path):
    plant, person = small
    person.enter("li")
    person.seen("/", "正常运行，无告警")
    assert person.bottom(".box") <= HIGH and person.unreadable() == []
    person.seen("/emissions", FIGURE + r"\*")
    assert re.search(FIGURE, person.text()) and person.unreadable() == []
    assert person.bottom("tbody tr:first-child td:nth-child(3)") <= HIGH  # tCO2e since the first reading
    person.go("/system")
    assert "处理器" in person.text() and person.unreadable() == []
    for lines in (checked(plant, "linux-gateway"), checked(plant, sheet(tmp_path, 88))):
        assert lines["T-10.1a-4"].startswith("✓") and lines["T-10.1b-5"].startswith("✓")
        assert lines["T-10.1a-5"].startswith("✗") and "(declared)" in lines["T-10.1a-5"]
        assert lines["T-10.1b-6"].startswith("–")
    lines = checked(plant, sheet(tmp_path, 89))
    assert lines["T-10.1a-5"].startswith("✓") and lines["T-10.1b-6"].startswith("✓")


def sheet(folder, millimetres):
    """Folder of a board whose data sheet declares a screen of so many millimetres."""
    made = folder / f"screen-{millimetres}"
    shutil.copytree(boards.root() / "linux-gateway", made)
    text = (made / "board.toml").read_text()
    (made / "board.toml").write_text(re.sub(r"^screen_mm = .*$", f"screen_mm = {millimetres}", text, flags=re.M))
    return made


@pytest.mark.slow
@pytest.mark.requirement("T-10.1b-6", part="a browser in kiosk mode, where there is a screen: it is optional")
def test_the_screen_shows_all_by_itself(small):
    """Nobody logs in and nobody scrolls; it looks again by itself, also after the terminal was away."""
    plant, person = small
    for wrong in ("/screen", "/screen?token=", "/screen?token=wrong", "/screen?token=%e9"):
        assert plant.client().ask("GET", wrong)[0] in (400, 401)
    person.go(SCREEN, "/screen")
    chromium = person.chromium
    chromium.wait("/任务 tasks (\\d+).\\1 · 数据点 points 2.2/.test(document.querySelector('main').innerText)")
    chromium.wait(f"/{FIGURE}\\*/.test(document.querySelector('main').innerText)")
    assert "正常运行，无告警" in person.text() and "外购电力" in person.text() and person.unreadable() == []
    assert chromium.evaluate("document.documentElement.scrollHeight") <= HIGH
    plant.terminal.kill()
    chromium.wait("!document.querySelector('main')")
    plant.terminal.start()
    chromium.wait("document.querySelector('main') && /at=\\d/.test(location.search)")
