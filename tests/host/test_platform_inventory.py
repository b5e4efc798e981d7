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
from carbonterm_host import inventories, site_yaml
from carbonterm_host.platform.data import contexts, tables
from carbonterm_host.platform.inventory import figures
from carbonterm_host.platform.store import Store, entries, find_log
from carbonterm_host.platform.store import figures as rows_of
from chromium import Chromium, find
from seeded import Random
from serving import START_MS, Platform, Source, post, run
from sites import document

DAY_MS = 86400000
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


@pytest.mark.requirement("T-8.3.1-2", part="the views of a page come from one inventory and agree with it")
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
    """Days and longer first, hours only where a day lacks or a factor changed: against Records of every figure, over
    random holes, with another grid factor from one noon on."""
    random, store = Random(17), Store(f"sqlite:///{tmp_path}/store.db")
    source = Source("CT-STEEL")
    plans = [steelworks.written(source.log, START_MS)]
    plans.append(site_yaml.compile_text(steelworks.SITE.replace("0.5703", "0.6000")))
    zone = plans[0].zone
    store.register("CT-STEEL", 0, source.signer.public)
    begin = clock.stamp(2025, 11, 20, zone=zone)
    last, noon = begin + 70 * DAY_MS, begin + 35 * DAY_MS + DAY_MS // 2
    spans = [(clock.DAY, begin + day * DAY_MS) for day in range(70)]
    spans += [(clock.HOUR, begin + hour * 3600000) for hour in range(0, 70 * 24, 3)]
    spans += [(clock.MONTH, clock.stamp(2025, 12, 1, zone=zone)), (clock.YEAR, clock.stamp(2025, 1, 1, zone=zone))]
    made = inventories.Records(zone)
    with store.write() as connection:
        log = find_log(connection, "CT-STEEL", 0)
        for context, plan in enumerate(plans):
            describe(connection, log, plan, context, (begin, noon)[context])
        spans = [(clock.end(*one, zone), *one) for one in spans]
        for seq, (end, period, at) in enumerate(sorted(spans), 100):
            for subject in range(3):
                if not random.below(4):
                    continue
                value, plan = None if not random.below(6) else Number(random.below(10**9), -6), plans[end > noon]
                version = 1 + (random.below(5) == 0)
                text = None if value is None else str(value)
                row = {"log": log.id, "row": subject, "period": period, "start_ms": at, "subject": subject,
                       "quality": 0, "value": text, "context": int(end > noon)}  # fmt: skip
                emission, closing = ({**row, "seq": 2 * seq + kind - 5, "kind": kind} for kind in (6, 5))
                connection.execute(insert(rows_of).values(**emission, version=version))
                connection.execute(insert(rows_of).values(**closing, version=0))
                one = plan.sources[subject]
                made.add(SOURCE, one.name, period, at, version, 0, value, one.compiled)
                made.add(POINT, plan.points[subject].name, period, at, 0, 0, value)
        made.heard(last)
        for period in ("2025", "2026", "2025-12", "2026-01", "2025-12-25", "2026-01-05", "2026-01-29"):
            little = figures.records(connection, [log], plans[1], period, last)
            assert inventories.report(plans[1], little, period) == inventories.report(plans[1], made, period), period
    store.close()


def describe(connection, log, plan, context, time_ms):
    """The config entry, context and subjects of a site, as the intake writes them."""
    canonical = plan.canonical()
    raw = entry.encode("CT-STEEL", 0, context, time_ms, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    connection.execute(insert(entries).values(
        log=log.id, seq=context, raw=raw, fingerprint=bytes(64), leaf=bytes(32), kind=entry.CONFIG, time_ms=time_ms,
    ))  # fmt: skip
    row, subjects = contexts.Describer(log.id).hear(entry.decode(raw))
    connection.execute(insert(tables.contexts).values(**row))
    for row in subjects:
        connection.execute(insert(tables.subjects).values(**row))
