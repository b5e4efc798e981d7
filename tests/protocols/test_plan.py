"""Requests that read a bus: close registers share one, never more than a meter answers, never two meters'."""

from carbonterm.field.plan import plan
from carbonterm.site import Site
from sites import document, point


def placed(name, meter, address, function=3, interval_ms=60000):
    row = point(name, meter, interval_ms=interval_ms)
    row[4], row[5] = function, address
    return row


def shown(points):
    site = Site(document(points=points, sources=[]))
    return [(r.unit, r.function, r.address, r.count, r.interval_ms, r.points) for r in plan(site, 0)]


def test_close_registers_share_a_request():
    requests = shown([placed("c", 0, 14), placed("a", 0, 0), placed("b", 0, 4), placed("far", 0, 100)])
    assert requests == [(1, 3, 0, 16, 60000, [(1, 0), (2, 4), (0, 14)]), (1, 3, 100, 2, 60000, [(3, 0)])]


def test_meters_functions_and_intervals_do_not():
    requests = shown([placed("a", 0, 0), placed("b", 1, 2), placed("c", 0, 2, 4), placed("d", 0, 2, 3, 1000)])
    assert [r[:5] for r in requests] == [
        (1, 3, 2, 2, 1000),
        (1, 3, 0, 2, 60000),
        (1, 4, 2, 2, 60000),
        (2, 3, 2, 2, 60000),
    ]


def test_no_request_is_longer_than_the_meter_answers():
    requests = shown([placed("p%d" % i, 0, 2 * i) for i in range(70)])
    assert [(r[2], r[3]) for r in requests] == [(0, 60), (60, 60), (120, 20)]
    assert sum(len(r[5]) for r in requests) == 70
    print(requests)


def test_points_on_one_register_and_overlapping_ones():
    assert shown([placed("a", 0, 8), placed("b", 0, 8), placed("c", 0, 9)])[0][3:] == (
        3,
        60000,
        [(0, 0), (1, 0), (2, 1)],
    )
