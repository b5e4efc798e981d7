"""Inventories of a real platform: the same as of the log itself, on the page, drawn; the enterprises by type."""

import json
from fractions import Fraction

import httpx
import pytest
from sqlalchemy import insert

import steelworks
from carbonterm import clock, site
from carbonterm.accounting.records import POINT, SOURCE
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from carbonterm.number import Number
from carbonterm_host import inventories
from carbonterm_host.platform.data import contexts, tables
from carbonterm_host.platform.inventory import figures
from carbonterm_host.platform.store import Store, find_log
from carbonterm_host.platform.store import figures as rows_of
from chromium import Chromium, find
from seeded import Random
from serving import START_MS, Platform, Source, post, run
from sites import document

pytestmark = pytest.mark.slow  # a real platform, and commands that ask it


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    steel, other = Source("CT-STEEL"), Source("CT-TEST-1", seed=3)
    steelworks.written(steel.log, START_MS)
    canonical = site.Site(document()).canonical()
    other.log.append(START_MS, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    other.log.commit()
    other.log.checkpoint()
    with Platform(tmp_path_factory.mktemp("platform"), "--check-every", "0", "--quality-hours", "0") as started:
        for source in (steel, other):
            started.register(source)
            assert post(started, source.terminal_id, source.batch(checkpoint=source.log.last_checkpoint))[0] == 200
        yield started


def asked(platform, path, status=200, **query):
    answer = httpx.get(f"{platform.url}/v1/{path}", params=query)
    assert answer.status_code == status, answer.text[:300]
    return answer.json()


@pytest.mark.requirement("T-11.7-1", "T-11.7-2", "T-11.7-3", "T-11.7-4", "T-11.7-6", part="figures, by address")
def test_the_platform_says_what_the_log_says(platform, tmp_path):
    found = asked(platform, "terminals/CT-STEEL/inventory")
    bundle = tmp_path / "steel.bundle"
    bundle.write_bytes(httpx.get(f"{platform.url}/v1/terminals/CT-STEEL/bundle").content)
    for period in ("2026", "2026-01", "2026-02", "2026-03", "2025", "2026-02-14"):
        own = json.loads(run("inventory", bundle, "--period", period, "--json").stdout)
        assert asked(platform, "terminals/CT-STEEL/inventory", period=period) == own, period
    assert asked(platform, "terminals/CT-STEEL/inventory", period="2026") == found
    by_url = run("inventory", platform.url, "--terminal", "CT-STEEL", "--json")
    by_store = run("inventory", platform.store, "--terminal", "CT-STEEL", "--json")
    assert json.loads(by_url.stdout) == json.loads(by_store.stdout) == found
    assert Fraction(found["total"]["total"]) == Fraction("3452.641199")


def test_what_cannot_be_asked(platform):
    for period in ("2026-13", "", "yesterday", "99999"):
        assert "no period" in asked(platform, "terminals/CT-STEEL/inventory", 400, period=period)["error"]
    asked(platform, "terminals/CT-NONE/inventory", 404)
    assert httpx.get(f"{platform.url}/v1/terminals/CT-NONE/boundary").status_code == 404
    assert "type is one of" in asked(platform, "enterprises", 400, type="huge")["error"]
    assert "sort is one of" in asked(platform, "enterprises", 400, sort="colour")["error"]
    done = run("inventory", platform.url, "--terminal", "CT-NONE", "--json")
    assert done.returncode == 3 and "no such terminal" in done.stdout


@pytest.mark.requirement("T-5.1-1", "T-5.1-2", part="sorted and filtered by type")
def test_enterprises_by_type(platform):
    rows = asked(platform, "enterprises")
    assert [(row["terminal"], row["type"], row["sectors"]) for row in rows] == [("CT-STEEL", "key", ["steel"])]
    assert asked(platform, "enterprises", type="key", sort="tco2e") == rows
    assert asked(platform, "enterprises", type="general") == []


@pytest.mark.requirement("T-11.7-1", "T-11.7-2", "T-11.7-3", "T-11.7-4", "T-11.7-5", "T-11.7-6", "T-11.7-7")
def test_the_page_in_a_browser(platform, tmp_path):
    """Every dimension of 11.7 stands on the page with the figure that the stored totals give."""
    if find() is None:
        pytest.skip("chromium is not installed")
    found = asked(platform, "terminals/CT-STEEL/inventory")
    page = tmp_path / "platform.html"
    page.write_bytes(httpx.get(f"{platform.url}/").content)
    boundary = tmp_path / "boundary.html"
    boundary.write_bytes(httpx.get(f"{platform.url}/v1/terminals/CT-STEEL/boundary").content)
    with Chromium(tmp_path / "profile") as browser:
        browser.open(page)
        browser.wait("document.querySelector('table.inventory')")
        cells = browser.evaluate(
            "Object.fromEntries([...document.querySelector('table[data-terminal=CT-STEEL]').rows].slice(1)"
            ".map((row) => [row.cells[0].innerText, row.cells[1].innerText]))"
        )
        for name, zh, en in inventories.DIMENSIONS:
            assert cells[f"{zh} {en}"] == found["total"][name]
        assert cells["清洁能源 clean energy (16.67 %)"] == found["clean"]["mwh"] == "300.000000"
        for row in found["products"]["rows"]:
            assert cells[f"产品碳足迹 product footprint: {row['name']}"] == row["kgco2e_per_unit"]
        assert "重点排放单位" in browser.evaluate("document.querySelector('[data-type=key]').innerText")
        for width in (400, 1200):
            browser.look(width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
        browser.screenshot(tmp_path / "platform.png")
        browser.open(boundary)
        browser.wait("document.querySelector('svg rect')")
        assert browser.evaluate("document.getElementById('yaml').hidden")  # the platform shows, site.yaml is changed
        assert "855.450001 t" in browser.evaluate("document.querySelector('svg').textContent")
        assert not browser.errors


def test_reading_little_comes_to_what_all_figures_come_to(tmp_path):
    """Days and longer first, hours only where a day lacks: against Records of every figure, over random holes."""
    random, store = Random(17), Store(f"sqlite:///{tmp_path}/store.db")
    source = Source("CT-STEEL")
    plan = steelworks.written(source.log, START_MS)
    store.register("CT-STEEL", 0, source.signer.public)
    begin = clock.stamp(2025, 11, 20, zone=plan.zone)
    made, rows, seq = inventories.Records(plan.zone), [], 100
    for day in range(70):
        start = begin + day * 86400000
        for subject in range(3):
            for period, at in [(clock.DAY, start)] + [(clock.HOUR, start + h * 3600000) for h in range(0, 24, 3)]:
                seq += 1
                if random.below(4):
                    value = None if not random.below(6) else Number(random.below(10**9), -6)
                    rows.append((entry.EMISSION, subject, period, at, 1 + random.below(2), seq, value))
                    rows.append((entry.CLOSING, subject, period, at, 0, seq + 10**6, value))
    last = begin + 70 * 86400000
    with store.write() as connection:
        log = find_log(connection, "CT-STEEL", 0)
        describe(connection, log, plan)
        for kind, subject, period, at, version, number, value in sorted(rows, key=lambda row: row[5]):
            names = plan.sources if kind == entry.EMISSION else plan.all_points
            made.add(SOURCE if kind == entry.EMISSION else POINT, names[subject].name, period, at, version, 0, value)
            connection.execute(insert(rows_of).values(
                log=log.id, seq=number, row=0, kind=kind, period=period, start_ms=at, version=version, subject=subject,
                quality=0, value=None if value is None else str(value), context=0,
            ))  # fmt: skip
        made.heard(last)
        for period in ("2025", "2026", "2025-12", "2026-01", "2026-01-05", "2026-01-29"):
            little = figures.records(connection, [log], plan, period, last)
            assert inventories.report(plan, little, period) == inventories.report(plan, made, period), period
    store.close()


def describe(connection, log, plan):
    """The context and subjects of a site, as the intake writes them."""
    canonical = plan.canonical()
    found = contexts.Describer(log.id)
    raw = entry.encode("CT-STEEL", 0, 0, START_MS, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    context, subjects = found.hear(entry.decode(raw))
    connection.execute(insert(tables.contexts).values(**context))
    for row in subjects:
        connection.execute(insert(tables.subjects).values(**row))
