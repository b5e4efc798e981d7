"""carbonterm trace of rates and fills: each step shown, computed a second time and equal."""

import json

import pytest

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.site import FORMATS, Bus, Meter
from carbonterm_host import bundles
from carbonterm_host.proofs import Book
from carbonterm_host.tracer import Tracer
from logs import HOUR, Written
from memory_storage import MemoryStorage
from seeded import Random
from shell import carbonterm, pulled
from sites import compiled, document, point

pytestmark = pytest.mark.slow
SIGNER = sm2.Signer(bytes(31) + b"\x07")
CENTRE = sm2.Signer(bytes(31) + b"\x08")
T0 = 1767196800000 - 8 * HOUR  # midnight of 2026-01-01 in China
STEAM = [["steam", compiled("steam", 2, "AD*EF", [["AD", "t"]], [["EF", "tCO2/t", -2, 11]]), [["AD", [[1, 1, 1]]]]]]
SERIES = [[0, None, None, None, None, 0, False], [1, 0, 0, HOUR, "t", 0, False], [2, 1, 0, None, "°C", None, False]]


def written(seed, hours, holes):
    """A bundle of a register, a steam flow that is integrated and a temperature that is averaged, half-hourly."""
    random, storage = Random(seed), MemoryStorage()
    points = [point("E1", 0, interval_ms=HOUR // 2), point("F1", 1, "t/h", interval_ms=HOUR // 2),
              point("T1", 2, "°C", interval_ms=HOUR // 2)]  # fmt: skip
    points[1][9] = points[2][9] = "instant"
    doc = document(points=points, sources=STEAM)
    doc[0] = FORMATS[1]
    doc[5] = [[*Bus(row, "bus", True).canonical(), None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6]]
    made = Written(storage, SIGNER, [*doc, [], [], [], SERIES], T0 - 1000)
    total = 0
    for half in range(hours * 2):
        total += random.below(50)
        at = T0 + half * HOUR // 2 + (random.below(900000) if half % 5 else 0)
        if not any(first < half / 2 < last for first, last in holes):
            flow = (1, 0, 0, -random.below(3), random.below(400))
            made.readings(at, [(0, 0, 0, 0, total), flow, (2, 0, 0, -1, random.between(-200, 900))])
    made.log.commit()
    made.log.checkpoint()
    return pulled(storage, "CT-TEST-1", ("centre.example", CENTRE))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fills") / "t.bundle"
    path.write_bytes(written(1, 160, [(60, 67)]))
    return path


@pytest.mark.requirement("T-9.2-5", part="rates, means and fills")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_comes_out_equal(seed, tmp_path):
    (tmp_path / "t.bundle").write_bytes(written(seed, 150, [(52, 55), (90, 95)]))
    tracer = Tracer(Book(bundles.read(tmp_path / "t.bundle")))
    assert not tracer.wrong and len(tracer.figures) > 400
    wrong = [(one.name, one.period, one.start_ms) for one in tracer.figures if not tracer.equal(one)]
    assert wrong == []
    rates = [one for one in tracer.figures if one.name == "F1" and tracer.value(one) is not None]
    assert len(rates) > 150 and all(tracer.settled(one)[0] == tracer.value(one) for one in rates)


@pytest.mark.requirement("T-12.4-5", part="trace shows what was filled, with the entry's proof")
def test_what_a_script_gets(file):
    code, out, _ = carbonterm("trace", str(file), "steam day 2026-01-03", "--json")
    view = json.loads(out)
    assert code == 0 and view["ok"]
    versions = [(one["emission"]["version"], one["emission"]["quality"]) for one in view["figures"]]
    assert versions == [(1, 2), (2, 1)]
    part = view["figures"][1]["activity"][0]["points"][0]
    assert part["unit"] == "t" and part["fills"][0]["method"] == "linear" and part["fills"][0]["proof"]["ok"]
    assert part["fills"][0]["known_hours"] == ["24", "24", "24", "24"]
    code, out, _ = carbonterm("trace", str(file), "E1 day 2026-01-03", "--json")
    assert code == 0 and json.loads(out)["figures"][0]["fills"][0]["method"] == "counted"


def test_what_a_person_sees(file):
    code, out, _ = carbonterm("trace", str(file), "F1 day 2026-01-03")
    assert code == 0 and "linear, total " in " ".join(out.split()) and "every step holds" in out


def test_a_changed_fill_is_found(tmp_path, file):
    found = bundles.read(file)
    book = Book(found)
    at = next(i for i, one in enumerate(book.entries) if one.kind == entry.FILL and one.body[1] == 0)
    book.entries[at].body[7] += 1
    tracer = Tracer(book)
    later = [one for one in tracer.figures if one.name == "F1" and one.index > at and tracer.fills(one)]
    assert later and not all(tracer.equal(one) for one in later)
