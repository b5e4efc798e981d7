"""From an answer's bytes to a point's value, step by step, for people who doubt it."""

from carbonterm.field import explain, plan, registers
from carbonterm.number import Number
from carbonterm.site import Site
from seeded import Random
from sites import document, point


def told(site, index, data):
    for request in plan.plan(site, 0):
        for at, place in request.points:
            if at == index:
                rows = explain.steps(site, index, request, place, data)
                for row in rows:
                    print(sorted(row.items(), key=lambda item: item[0]))
                return rows


def site_of(row):
    return Site(document(points=[row], sources=[]))


def modbus_row(low, high):
    row = point("p", 0)
    row[4:13] = [3, 10, "float32", "CDAB", [40, 0], "instant", None, None, low]
    row[13] = high
    return row


def test_a_register_from_its_bytes_to_its_range():
    site = site_of(modbus_row([0, 0], [100, 0]))
    rows = told(site, 0, registers.encode(Number("2.5"), "float32", "CDAB"))
    steps = [row["step"] for row in rows]
    assert steps == ["asked", "bytes", "read", "scaled", "value", "range"]
    assert rows[0]["what"] == "03 10+2" and Number(rows[4]["value"]) == 100
    assert rows[5]["inside"] is True
    rows = told(site, 0, registers.encode(Number("2.6"), "float32", "CDAB"))
    assert rows[5]["inside"] is False


def test_what_is_no_number_ends_there():
    rows = told(site_of(modbus_row(None, None)), 0, b"\xff" * 4)
    assert rows[-1]["step"] == "read" and rows[-1]["value"] is None


def test_no_bytes_make_it_fail():
    random, site = Random(5), site_of(modbus_row(None, [7, 0]))
    for _ in range(40):
        rows = told(site, 0, random.bytes(4))
        assert rows[-1]["step"] in ("read", "range")


def test_what_a_point_feeds():
    site = Site(document())
    fed = [explain.feeds(site, i) for i in range(len(site.points))]
    assert fed == [[("electricity", "AD", "1/1000")], [("electricity", "AD", "1/1000")], [("gas", "FC", "1/10000")]]
