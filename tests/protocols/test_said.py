"""What messages say of points, and what of an entrance the site document may hold: every rule, and its refusals."""

import pytest

from carbonterm import clock, site
from carbonterm.errors import CarbonError, FrameError, SiteError
from carbonterm.field import hj212, inbound, names, places, said
from carbonterm.number import Number
from carbonterm.site_changes import changes
from seeded import Random
from sites import document

NOW = clock.parse("2026-11-21T08:00:00+08:00")
MN = "010000A8900016F000169DC0"


class Point:
    def __init__(self, address, scale="1", interval_ms=600000):
        self.address, self.scale, self.interval_ms = address, Number(scale), interval_ms


def points(*addresses, scale="1"):
    return [(10 + at, Point(address, scale)) for at, address in enumerate(addresses)]


def shown(rows):
    return [(at, None if value is None else str(value), quality, moment) for at, value, quality, moment in rows]


def test_filters_of_topics():
    for pattern, topic, stands in (
        ("a/+", "a/b", "b"), ("a/+", "a/b/c", None), ("a/#", "a/b/c", "b/c"), ("a/#", "a", ""), ("#", "x/y", "x/y"),
        ("+/t/+", "x/t/y", "x/y"), ("+/t/+", "x/u/y", None), ("a", "a", ""), ("a", "b", None), ("a/+/c", "a/b", None),
        ("#", "$SYS/x", None), ("+/x", "$SYS/x", None), ("$SYS/#", "$SYS/x", "x"), ("a//+", "a//b", "b"), ("+", "", ""),
    ):  # fmt: skip
        assert names.matched(pattern, topic) == stands, (pattern, topic)
        if stands is not None:
            assert names.overlap(pattern, topic) or topic[:1] == "$"
    for one, other, common in (
        ("a/+", "a/#", True), ("a/+", "b/+", False), ("a/+/c", "a/b/+", True), ("a/+/c", "a/+/d", False),
        ("a/#", "a", True), ("a/+", "a", False), ("+/x", "y/#", True),
    ):  # fmt: skip
        assert names.overlap(one, other) == names.overlap(other, one) == common, (one, other)
    for good in ("a", "+", "#", "a/+/b", "a/#", "/+", "+/+/#"):
        names.check_filter(good)
    for bad in ("", "a+", "a/b#", "#/a", "a/#/b", "a/x+/b", "\x00", None, 7, "a" * 65536):
        with pytest.raises(FrameError) as caught:
            names.check_filter(bad)
        print(caught.value.what[:60])
    for pointer, parts in (("", (None, "")), ("/a", ("a", "")), ("/a/b", ("a", "/b")), ("/a~1b/c", ("a/b", "/c")),
                           ("/", ("", "")), ("/~01", ("~1", "")), ("/a/", ("a", "/"))):  # fmt: skip
        assert inbound.split_pointer(pointer) == parts, pointer


def test_a_payload_of_a_topic_that_a_filter_took():
    wanted = points("/boiler~1energy/total", "/boiler~1power", "/kiln/total")
    assert shown(said.of_payload(b'{"total": 7}', [1, None], wanted, "boiler/energy")) == [(10, "7", 0, None)]
    assert shown(said.of_payload(b"1.5", [1, None], wanted, "boiler/power")) == [(11, "1.5", 0, None)]
    assert shown(said.of_payload(b"{", [1, None], wanted, "kiln")) == [(12, None, 3, None)]
    assert said.of_payload(b"1", [1, None], wanted, "else") == []


def test_a_payload():
    wanted = points("/e/total", "/p/0", "/none", scale="0.1")
    found = said.of_payload(b'{"e": {"total": 12.50}, "p": ["7", 8], "t": 1795219200000}', [1, "/t"], wanted)
    print(shown(found))
    assert shown(found) == [(10, "1.250", 0, NOW), (11, "0.7", 0, NOW), (12, None, 3, NOW)]
    assert shown(said.of_payload(b"21.50", [0, None], points(""))) == [(10, "21.50", 0, None)]
    assert shown(said.of_payload(b'" 21"', [0, None], points(""))) == [(10, None, 3, None)]
    for bad in (b"{", b"\xff", b"21.5.1", b"", b'{"t": "soon", "e": {"total": 1}}'):
        assert [row[1:] for row in said.of_payload(bad, [1, "/t"], wanted)] == [(None, 3, None)] * 3
    for text in ("true", "null", "[1]", "{}", '"1e50"', '"' + "9" * 20 + '"', '"1e-41"', '"0x10"', '"１"'):
        assert shown(said.of_payload(text.encode(), [1, None], points(""))) == [(10, None, 3, None)]


def test_times():
    for text, wanted in (("1795219200000", NOW), ("1795219200", NOW), ("1795219200.250", NOW + 250), ("0", 0),
                         ("1.7952192e12", NOW)):  # fmt: skip
        assert said.moment(Number(text)) == wanted
    assert said.moment("2026-11-21T00:00:00.5Z") == NOW + 500
    for bad in (Number("-1"), Number("1e17"), Number("0.0001"), "2026-11-21", "", None, True, [], "2026-11-21T08:00"):
        with pytest.raises(FrameError) as caught:
            said.moment(bad)
        print(caught.value)


POST = b'{"source":"s","id":"m1","time":"2026-11-21T08:00:00+08:00","values":{"E":"12.5","T":-1.5,"X":null,"Y":true}}'


def test_a_post():
    post = said.Post(POST)
    assert (post.source, post.id, post.time_ms) == ("s", "m1", NOW)
    assert shown(said.of_post(post, points("T", "E", "X", "Y", "Z"))) == [
        (10, "-1.5", 0, NOW), (11, "12.5", 0, NOW), (12, None, 3, NOW), (13, None, 3, NOW),
    ]  # fmt: skip
    for old, new in ((b'"s"', b"7"), (b'"s"', b'""'), (b'"m1"', b'"\\n"'), (b'"m1"', b'"' + b"x" * 65 + b'"'),
                     (b'"time"', b'"at"'), (b'"id"', b'"id":"x","more"'), (b"+08:00", b""),
                     (b'{"E"', b'["E",{"E"')):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            said.Post(POST.replace(old, new))
        print(caught.value)
    with pytest.raises(FrameError):
        said.Post(POST.replace(b'{"E":"12.5","T":-1.5,"X":null,"Y":true}', b"[]"))


def test_a_packet_of_hj212():
    wanted = points("2051/a05001-Avg", "2051/a00000-Cou", "2051/a19001-Avg", "2011/a05001-Rtd")
    items = [[("DataTime", "20261121080000")], [("a05001-Avg", "199000.25"), ("a05001-Flag", "N")],
             [("a00000-Cou", "120"), ("a00000-Flag", "M")], [("a19001-Avg", "-")]]  # fmt: skip
    found = shown(said.of_packet(hj212.MINUTE, items, 480, wanted))
    print(found)
    at = NOW + 600000
    assert found == [(10, "199000.25", 0, at), (11, "120", 2, at), (12, None, 3, at)]
    items = [[("DataTime", "20261121080000250"), ("a05001-Rtd", "1")]]
    assert shown(said.of_packet(hj212.REALTIME, items, 480, wanted)) == [(13, "1", 0, NOW + 250)]
    for bad in ([], [[("a05001-Avg", "1")]], [[("DataTime", "20261301080000")]]):
        with pytest.raises(FrameError):
            said.of_packet(hj212.MINUTE, bad, 480, wanted)


def test_the_table_of_places():
    digest = bytes(32)
    for protocol, unit, dialect, address in (
        ("mqtt", "a/b", [1, "/t"], "/e~1f/0"), ("mqtt", "工厂", [0, None], ""), ("https", "scada 1", digest, "E1"),
        ("hj212", MN, None, "2011/a05001-Rtd"), ("hj212", MN, None, "2061/a05001-ZsAvg"),
    ):  # fmt: skip
        places.check_unit(protocol, unit)
        places.check_dialect(protocol, dialect)
        places.check_point(protocol, 0, address, "decimal", "ABCD")
    for check in (
        lambda: places.check_unit("mqtt", "a/#/b"), lambda: places.check_unit("mqtt", ""),
        lambda: places.check_unit("https", 1),
        lambda: places.check_unit("hj212", "MN 1"), lambda: places.check_unit("https", "x" * 65),
        lambda: places.check_dialect("mqtt", [2, None]), lambda: places.check_dialect("mqtt", None),
        lambda: places.check_dialect("mqtt", [1, "t"]), lambda: places.check_dialect("https", b"short"),
        lambda: places.check_dialect("hj212", [1]), lambda: places.check_point("mqtt", 0, "e", "decimal", "ABCD"),
        lambda: places.check_point("https", 0, "", "decimal", "ABCD"),
        lambda: places.check_point("https", 1, "e", "decimal", "ABCD"),
        lambda: places.check_point("https", 0, "e", "uint16", "ABCD"),
        lambda: places.check_point("hj212", 0, "a05001-Rtd", "decimal", "ABCD"),
        lambda: places.check_point("hj212", 0, "2051/a05001-Rtd", "decimal", "ABCD"),
        lambda: places.check_point("hj212", 0, "2011/a05001-Avg", "decimal", "ABCD"),
        lambda: places.check_point("hj212", 0, "2011/a05001-Flag", "decimal", "ABCD"),
        lambda: places.check_point("hj212", 0, "2011/-Rtd", "decimal", "ABCD"),
        lambda: places.check_point("hj212", 0, 7, "decimal", "ABCD"),
    ):  # fmt: skip
        with pytest.raises(FrameError) as caught:
            check()
        print(caught.value)


GOOD = {
    "mqtt": ["ct", "broker.login", b"\x30", 60, "ct/state"],
    "https": ["inbox.crt", "inbox.key"],
    "hj212": ["stations.txt", "2025"],
}
BAD = [
    ("mqtt", None), ("mqtt", []), ("mqtt", ["", None, None, 60, None]), ("mqtt", ["c", "../x", None, 60, None]),
    ("mqtt", ["c", "00000.key", None, 60, None]), ("mqtt", ["c", None, b"", 60, None]),
    ("mqtt", ["c", None, None, 4, None]),
    ("mqtt", ["c", None, None, 60, "a/#"]), ("https", ["inbox.crt"]), ("https", ["a/b", "c"]), ("https", ["a", ".key"]),
    ("https", ["pull.note", "c"]), ("hj212", ["stations.txt", "2005"]), ("hj212", [7, "2017"]), ("modbus-tcp", []),
]  # fmt: skip


def test_the_options_of_an_entrance():
    for kind in sorted(GOOD):
        inbound.check_bus(kind, GOOD[kind])
    inbound.check_bus("serial", None)
    for kind, options in BAD:
        with pytest.raises(FrameError) as caught:
            inbound.check_bus(kind, options)
        print(caught.value)


def entrance(kind, unit, dialect, address, options=None):
    """A site document with one meter and one point on an entrance."""
    made = document(points=[], sources=[])
    made[0] = site.FORMAT
    made[5] = [["in", kind, "127.0.0.1", 1883, "none", 1, 10000, 0, 0, None, options or GOOD[kind]]]
    made[6] = [["M", 0, unit, "json", 1] + [None] * 5 + [kind, dialect, None, None, None, 0, 0, None, None, None, None]]
    made[7] = [["P", 0, "active energy", "kWh", 0, address, "decimal", "ABCD", [1, 0], "register"] + [None] * 4]
    made[7][0].append(60000)
    return made


def test_a_site_document_with_an_entrance_keeps_its_bytes():
    for made in (entrance("mqtt", "a/b", [1, None], "/e"), entrance("https", "s", bytes(32), "E"),
                 entrance("hj212", MN, None, "2011/a05001-Rtd")):  # fmt: skip
        first = site.Site(made)
        again = site.decode(first.canonical())
        assert again.canonical() == first.canonical() and again.buses[0].inbound == made[5][0][10]
        assert changes(first, again) == []
    wrong = entrance("mqtt", "a/b", [1, None], "/e")
    wrong[6][0][10:12] = ["https", bytes(32)]
    wrong[7][0][5] = "E"
    with pytest.raises(SiteError) as caught:
        site.Site(wrong)
    print(caught.value)
    wrong = entrance("mqtt", "a/b", [1, None], "/e")
    wrong[5][0] = wrong[5][0][:10]
    with pytest.raises(SiteError):
        site.Site(wrong)
    wrong = entrance("mqtt", "a/b", [1, None], "/e")
    wrong[5][0][1] = "serial"
    with pytest.raises(SiteError):
        site.Site(wrong)


@pytest.mark.slow
def test_mutated_messages_give_rows_or_an_error():
    random, counts = Random(6320), [0, 0]
    wanted = points("E", "T", "X")
    for _ in range(1500):
        data = bytearray(POST)
        for _ in range(random.between(0, 3)):
            data[random.below(len(data))] = random.below(128)
        try:
            rows = said.of_post(said.Post(bytes(data)), wanted)
        except CarbonError:
            counts[1] += 1
            continue
        counts[0] += 1
        for _, value, quality, _ in rows:
            assert (value is None) == (quality == 3)
    print(counts)
    assert counts[0] > 20 and counts[1] > 500
