"""The part of a site document about the terminal's own page."""

import pytest

import sites
from carbonterm import cbor, site
from carbonterm.errors import SiteError
from carbonterm.site_changes import changes

PAGE = ["0.0.0.0", 8443, "page.crt", "page.key", "page.users"]


def document(page):
    return _second(sites.document()) + [[], [], [], [], [], page]


def _second(rows):
    """The rows of a document of the first format as one of the second."""
    rows[0] = site.FORMAT
    rows[5] = [row + [None] for row in rows[5]]
    rows[6] = [row + ["modbus", None, None, None, None, 8, 0, None, None, None, None] for row in rows[6]]
    return rows


def test_it_comes_back_as_it_was():
    data = cbor.encode(document(PAGE))
    found = site.decode(data)
    found._bytes = None
    assert found.canonical() == data and found.page.port == 8443
    assert site.Site(_second(sites.document())).page is None
    other = site.Site(document(PAGE[:1] + [9443] + PAGE[2:]))
    assert changes(site.decode(data), other) == ["page: port 8443 → 9443"]
    assert len(changes(site.Site(_second(sites.document())), other)) == 1
    print(data)


def test_what_is_no_page():
    for place, value in (
        (0, ""), (1, 0), (1, 65536), (1, "8443"), (2, "../x"), (2, ""), (3, "00000.key"), (4, None), (4, "a/b"),
    ):
        wrong = list(PAGE)
        wrong[place] = value
        with pytest.raises(SiteError) as caught:
            site.Site(document(wrong))
        assert str(caught.value).startswith("page, ")
    for wrong in (PAGE[:4], PAGE + [1], [[]]):
        with pytest.raises(SiteError):
            site.Site(document(wrong))
