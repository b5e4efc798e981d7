"""docs/methods.md names every method with its GWP set and fuels, every source and every factor set."""

from pathlib import Path

import pytest

from carbonterm_host import library

TEXT = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]


def row(id, width):
    return next(cells for cells in ROWS if f"`{id}`" in cells[: width - 1] and len(cells) == width)


@pytest.mark.parametrize("id", list(library.methods()))
def test_a_method_has_its_rows(id):
    method = library.method(id)
    item, _, _, gwp, fuels, _, confidence, successor = row(id, 8)
    assert item == str(method.appendix_a or "–")
    assert (gwp.split(" ")[0], fuels, confidence) == (method.gwp_set or "–", method.fuel_set or "–", method.confidence)
    assert (successor == "–") == (method.superseded is None)
    assert method.superseded is None or successor.startswith(method.superseded[0])
    sources = [f"`{s.id}`" + (" (−)" if s.sign < 0 else "") for s in method.sources]
    assert row(id, 2)[1] == ", ".join(sources)


def test_every_factor_set_is_told():
    told = " ".join(cells[0] for cells in ROWS if len(cells) == 3)
    for name in library.factors().sets:
        assert f"`{name}`" in told, name


@pytest.mark.requirement("T-A-1", "T-A-29", part="every item of Annex A is in the library")
def test_every_item_of_annex_a_is_there():
    items = sorted(m.appendix_a for m in library.methods().values() if m.appendix_a is not None)
    assert items == list(range(1, 30))
