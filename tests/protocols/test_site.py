"""The canonical site document: the same bytes again, and a refusal that names the row for whatever is wrong in it."""

import pytest

from carbonterm import cbor, site
from carbonterm.errors import CarbonError, SiteError
from carbonterm.gm import sm3
from carbonterm.site_changes import changes
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
    ((7, 2, 1, 9), "meter 9 of 3"), ((7, 2, 4, 6), "point 2, 'G1': function"),
    ((7, 2, 6, "float16"), "point 2, 'G1': type"),
    ((7, 2, 7, "ABDC"), "point 2, 'G1': order"), ((7, 2, 8, [1]), "point 2, scale"),
    ((7, 2, 9, "total"), "point 2, kind"),
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


def later(row, **own):
    """The places of a row that the second format has and the first has not."""
    return [own.get(name, value) for name, _, value in row.later()]


METER_97 = ["D", 1, "000012345678", "dlt645-1997", 1, None, None, None, None, None] + later(
    site.Meter, protocol="dlt645-1997", baud=1200, parity="even", stop=1, silence_ms=50, ct="200/5"
)
METER_188 = ["W", 1, "00112233445566", "cjt188-water", 1, None, None, None, None, None] + later(
    site.Meter, protocol="cjt188", dialect=[16, "90 1F", False]
)
CT = [name for name, _ in site.Meter.shape() + tuple([rule[:2] for rule in site.Meter.later()])].index("ct")


def mixed():
    """A document of the second format: the meters of the first, and a serial line with three protocols."""
    doc = document()
    doc[0] = site.FORMAT
    doc[5].append(["line", "serial", "/dev/ttyS1", 2400, "even", 1, 800, 1, 50])
    doc[5] = [row + later(site.Bus) for row in doc[5]]
    doc[6] = [row + later(site.Meter) for row in doc[6]]
    doc[10] += later(site.Settings)
    doc[6][1][1] = 1
    doc[6] += [list(METER_97), list(METER_188)]
    doc[7].append(["D1", 3, "active energy", "kWh", 0, "9010", "XXXXXX.XX", "ABCD", [40, 0], "register", [40000000, 0],
                   None, None, None, 900000])  # fmt: skip
    doc[7].append(["W1", 4, "volume", "m3", 0, "current", "bcd", "ABCD", [1, 0], "register", [1000000, 0],
                   None, None, None, 900000])  # fmt: skip
    return doc


def test_a_line_of_three_protocols():
    data = cbor.encode(mixed())
    again = site.decode(data)
    assert again.canonical() == data
    modbus, old, water = again.meters[1], again.meters[3], again.meters[4]
    assert (modbus.protocol, modbus.unit, modbus.gap, modbus.baud) == ("modbus", 2, 8, None)
    assert (old.unit, old.baud, old.parity, old.silence_ms, old.ct) == ("000012345678", 1200, "even", 50, "200/5")
    assert (water.dialect, again.points[4].address) == ([16, "90 1F", False], "current")
    print(sm3.digest(data).hex())


# path into the document of the second format, a value that is wrong there, what the refusal names
WRONG_2 = (
    ((0, "carbonterm-site-1"), "must have"), ((6, 3, 2, 7), "no address of a DL/T 645"),
    ((6, 3, 2, "1234"), "meter 3, unit"), ((6, 4, 2, "AA" * 7), "meter 4, unit"), ((6, 3, 1, 0), "is modbus-tcp"),
    ((6, 4, 2, 9), "meter 4, unit"), ((6, 3, 10, "dlt645"), "meter 3, protocol"),
    ((6, 4, 11, None), "meter 4, dialect"),
    ((6, 3, 11, [16, "90 1F", False]), "meter 3, dialect"), ((6, 3, 12, 100), "meter 3, baud"),
    ((6, 3, 13, "mark"), "meter 3, parity"), ((6, 3, 15, 125), "meter 3, gap"), ((6, 3, 16, -1), "silence_ms"),
    ((6, 3, CT, ""), "meter 3, ct"), ((6, 3, 8, [3, 0, 2, "uint32", "ABCD"]), "only a Modbus meter has an identity"),
    ((7, 3, 5, "00010000"), "'D1': '00010000' is no data identifier"), ((7, 3, 6, "float32"), "no layout"),
    ((7, 3, 4, 3), "has function 0"), ((7, 4, 5, "clock"), "'W1': 901F of CJ/T 188 has no"),
    ((7, 3, 1, 0), "'D1': function must be"), ((5, 1, 1, "modbus-rtu"), "make it a bus of kind serial"),
)  # fmt: skip


@pytest.mark.parametrize("path, named", WRONG_2)
def test_what_is_wrong_in_the_second_format_is_named(path, named):
    place = doc = mixed()
    for step in path[:-2]:
        place = place[step]
    place[path[-2]] = path[-1]
    with pytest.raises(SiteError) as caught:
        site.Site(doc)
    assert named in str(caught.value), str(caught.value)
    print(caught.value)


def test_two_meters_with_one_address():
    doc = mixed()
    doc[6].append(list(METER_97))
    doc[6][5][0] = "E"
    with pytest.raises(SiteError, match="two meters of bus 'line' have the address 000012345678"):
        site.Site(doc)
    doc[6][5][1], doc[6][5][10], doc[6][5][3] = 1, "dlt645-2007", "x"  # another protocol, another question
    assert len(site.Site(doc).meters) == 6


def test_changes_are_said_in_words():
    old = site.Site(mixed())
    assert changes(old, site.Site(mixed())) == []
    doc = mixed()
    doc[1] = 2
    doc[6][3][CT] = "400/5"
    doc[7][3][8] = [80, 0]
    doc[6][2][4] = 30
    doc[7].append(point("E9", 1))
    del doc[7][4]  # the last but one: the indexes of no source move
    doc[8][0][2][0][1][0][1] = 2
    doc[10][1] = 500
    said = changes(old, site.Site(doc))
    for text in said:
        print(text)
    assert said == [
        "site: version 1 → 2", "meter 'D': ct 200/5 → 400/5", "meter 'M2': most 60 → 30", "point 'D1': scale 40 → 80",
        "point 'E9': added", "point 'W1': removed", said[6], "settings: commit_ms 1000 → 500",
    ]  # fmt: skip
    assert said[6].startswith("source 'electricity': inputs SM3 ")
    assert changes(None, old) == ["site document, version 1: the first one"]
    assert changes(site.Site(document()), site.Site(document(version=3))) == ["site: version 1 → 3"]
    doc = mixed()
    doc[3] = "x" * 120
    long = mixed()
    long[3] = "y" * 120
    assert [len(text) for text in changes(site.Site(doc), site.Site(long))] == [200]


def test_a_point_that_moves_is_not_a_change():
    """Rows are found by name: a point put first moves all indexes and changes nothing but what was added."""
    doc = mixed()
    doc[7].insert(0, point("A0", 1))
    for source in doc[8]:
        for feed in source[2]:
            for one in feed[1]:
                one[0] += 1
    assert changes(site.Site(mixed()), site.Site(doc)) == ["point 'A0': added"]


def test_a_value_of_the_moment_feeds_no_source():
    doc = document(points=[point("E1", 0), point("E2", 1, kind="instant"), point("G1", 2, unit="Nm3")])
    with pytest.raises(SiteError, match="no running total"):
        site.Site(doc)


@pytest.mark.slow
def test_only_refusals_leave_the_decoder():
    random, refused = Random(5), 0
    for turn in range(300):
        data = cbor.encode((document(), mixed(), with_nodes(*NODES))[turn % 3])
        broken = bytearray(data)
        for _ in range(random.between(1, 3)):
            broken[random.below(len(broken))] = random.below(256)
        try:
            site.decode(bytes(broken))
        except CarbonError:
            refused += 1
    print(refused)
    assert refused > 100


# --- nodes ----------------------------------------------------------------------------------------------------------

NODES = [["1号锅炉", "boiler", [2], None], ["2号锅炉", "boiler", [], "停用，已封存"],
         ["进线", "distribution", [0, 1], None]]  # fmt: skip


def with_nodes(*rows):
    return mixed() + [[list(row) for row in rows]]


def test_nodes_stand_last_and_only_where_there_are_some():
    data = cbor.encode(with_nodes(*NODES))
    again = site.decode(data)
    assert again.canonical() == data and site.Site(mixed()).nodes == []
    assert [(n.name, n.class_, n.meters, n.gap) for n in again.nodes] == [tuple(row) for row in NODES]
    print(sm3.digest(data).hex())
    moved = [list(NODES[0]), ["2号锅炉", "boiler", [3], None], ["进线", "distribution", [0], None]]
    assert changes(again, site.Site(with_nodes(*moved))) == [
        "node '2号锅炉': meters none → D", "node '2号锅炉': gap 停用，已封存 → none", "node '进线': meters M0, M1 → M0",
    ]  # fmt: skip
    assert changes(site.Site(mixed()), again) == ["node '%s': added" % row[0] for row in NODES]


@pytest.mark.parametrize(
    "rows, named",
    (
        ([], "a document's last part is not empty"),
        ([["a", "kiln", [0], None]], "node 0, class_: must be one of production"),
        ([["", "boiler", [0], None]], "node 0, name"),
        ([["a", "boiler", [0], "why"]], "a meter and a reason for having none"),
        ([["a", "boiler", [1, 0], None]], "not in order"),
        ([["a", "boiler", [0, 0], None]], "not in order"),
        ([["a", "boiler", [5], None]], "node 'a' names meter 5 of 5"),
        ([["a", "boiler", [0], None], ["a", "boiler", [1], None]], "two rows are named 'a'"),
        ([["a", "boiler", [0]]], "node 0 must have 4 fields"),
    ),
)
def test_wrong_nodes_are_named(rows, named):
    with pytest.raises(SiteError) as caught:
        site.Site(with_nodes(*rows))
    assert named in str(caught.value), str(caught.value)
    print(caught.value)


def test_the_first_format_has_no_nodes():
    with pytest.raises(SiteError, match="11 parts"):
        site.Site(document() + [[["a", "boiler", [0], None]]])


def test_certificates_that_end():
    """The day it is due it no longer holds; a day in the site's zone."""
    doc = mixed()
    doc[6][0][9] = ["J-1", "SDIM", "2025-03-01", "2026-03-01", "ok", None, None, None, None, None]
    found = site.Site(doc)
    due = 1772294400000  # 2026-03-01T00:00+08:00
    rows = [[(meter.name, left) for meter, left in found.calibrations(at, 30)]
            for at in (due - 31 * 86400000, due - 30 * 86400000, due - 1, due, due + 86400000)]  # fmt: skip
    print(rows)
    assert rows == [[], [("M0", 30)], [("M0", 1)], [("M0", 0)], [("M0", -1)]]
