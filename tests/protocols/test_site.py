"""The canonical site document: the same bytes again, and a refusal that names the row for whatever is wrong in it."""

import pytest

from carbonterm import cbor, site
from carbonterm.errors import CarbonError, SiteError
from carbonterm.gm import sm3
from seeded import Random
from sites import document, point

CENTRE = ["province", "10.0.0.1", 443, b"\x30\x82", bytes(64)]


def test_a_document_is_its_bytes():
    data = cbor.encode(document(centres=[list(CENTRE)]))
    again = site.decode(data)
    assert again.canonical() == data
    assert (again.terminal_id, again.zone, len(again.points), again.sources[0].scope()) == ("CT-TEST-1", 480, 3, 2)
    assert str(again.points[0].modulus) == "10000.00" and again.points[0].limit is None
    print(sm3.digest(data).hex())


def changed(*path_and_value):
    path, value = path_and_value[:-1], path_and_value[-1]
    whole = place = document(centres=[list(CENTRE)])
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return whole


# path into the document, a value that is wrong there, what the refusal names
WRONG = (
    ((0, "carbonterm-site-9"), "no site document"), ((1, 0), "integer from 1"), ((2, "-x"), "no terminal id"),
    ((2, "a" * 33), "no terminal id"), ((2, "ä"), "no terminal id"), ((3, ""), "text"), ((4, 900), "840"),
    ((5, 0, 1, "canbus"), "bus 0, kind"), ((5, 0, 3, 0), "bus 0, port"), ((5, 0, 4, "mark"), "bus 0, parity"),
    ((6, 1, 1, 7), "bus 7 of 1"), ((6, 1, 2, 256), "meter 1, unit"), ((6, 1, 4, 126), "meter 1, most"),
    ((7, 2, 1, 9), "meter 9 of 3"), ((7, 2, 4, 6), "point 2, 'G1': function"), ((7, 2, 6, "float16"), "point 2, 'G1': type"),
    ((7, 2, 7, "ABDC"), "point 2, 'G1': order"), ((7, 2, 8, [1]), "point 2, scale"), ((7, 2, 9, "total"), "point 2, kind"),
    ((7, 2, 10, [1, 900]), "point 2, modulus"), ((7, 2, 14, 99), "point 2, interval_ms"), ((7, 2, True), "point 2"),
    ((7, 1, 0, "E1"), "two rows are named 'E1'"), ((8, 0, 1, 0, "x"), "source 0, compiled"),
    ((8, 0, 2, 0, 1, 0, 0, 3), "no running total"), ((8, 0, 2, 0, 1, 0, 2, 0), "integer from 1"),
    ((8, 0, 2, 0, 0, "AX"), "inputs are not the ones"), ((8, 0, 2, []), "inputs are not the ones"),
    ((9, 0, 4, bytes(63)), "centre 0, public"), ((9, 0, 2, 65536), "centre 0, port"),
    ((10, 0, [2, 9]), "settings, closings"), ((10, 1, 1), "settings, commit_ms"), ((5, "x"), "list"),
)  # fmt: skip


@pytest.mark.parametrize("path, named", WRONG)
def test_what_is_wrong_is_named(path, named):
    with pytest.raises(SiteError) as caught:
        site.Site(changed(*path))
    assert named in str(caught.value), str(caught.value)
    print(caught.value)


def test_a_value_of_the_moment_feeds_no_source():
    doc = document(points=[point("E1", 0), point("E2", 1, kind="instant"), point("G1", 2, unit="Nm3")])
    with pytest.raises(SiteError, match="no running total"):
        site.Site(doc)


def test_only_refusals_leave_the_decoder():
    data, random = cbor.encode(document()), Random(5)
    refused = 0
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(random.between(1, 3)):
            broken[random.below(len(broken))] = random.below(256)
        try:
            site.decode(bytes(broken))
        except CarbonError:
            refused += 1
    print(refused)
    assert refused > 100
