"""Requests that read a bus: close registers share one, never more than a meter answers, never two meters'."""

from pytest import raises

from carbonterm.errors import SiteError
from carbonterm.field import dlt645
from carbonterm.field.plan import Budget, cost_us, plan
from carbonterm.field.requests import value
from carbonterm.site import FORMAT, Site
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


def line_site(points, meters, baud=9600, parity="none", gap_ms=5):
    found = document(points=points, sources=[])
    found[0] = FORMAT
    found[5] = [["line", "serial", "/dev/ttyS1", baud, parity, 1, 500, 1, gap_ms, None]]
    found[6] = meters
    found[10] = [[2], 1000]
    return Site(found)


def meter(name, unit, protocol="modbus", dialect=None, **own):
    row = {"baud": None, "parity": None, "stop": None, "gap": 8, "silence": 0, "timeout": None, "retries": None,
           "ct": None, "pt": None}  # fmt: skip
    row.update(own)
    order = ("baud", "parity", "stop", "gap", "silence", "timeout", "retries", "ct", "pt")
    return [name, 0, unit, "none", 60, None, None, None, None, None, protocol, dialect] + [row[key] for key in order]


def at(name, meter, address, layout, interval_ms=60000):
    row = point(name, meter, interval_ms=interval_ms)
    row[4:8] = [0, address, layout, "ABCD"]
    return row


def test_every_protocol_is_asked_in_its_own_way():
    meters = [
        meter("a", "201000000012", "dlt645-2007"),
        meter("b", "000000000007", "dlt645-1997"),
        meter("c", "00000000112233", "cjt188", [0x20, "90 1F", False], baud=2400, parity="even"),
        meter("d", 5),
    ]
    points = [
        at("a1", 0, "00010000", "XXXXXX.XX"), at("a2", 0, "00010000", "XXXXXX.XX"), at("a3", 0, "02010100", "XXX.X"),
        at("b1", 1, "9010", "XXXXXX.XX"), at("c1", 2, "current_heat", "bcd"), at("c2", 2, "volume", "bcd"),
        placed("d1", 3, 0), placed("d2", 3, 8),
    ]  # fmt: skip
    site = line_site(points, meters)
    asked = plan(site, 0)
    assert [[site.points[i].name for i, _ in request.points] for request in asked] == [
        ["a1", "a2"], ["a3"], ["b1"], ["c1", "c2"], ["d1", "d2"],
    ]  # fmt: skip
    bus = site.buses[0]
    costs = [cost_us(request, bus, site.meters[request.meter]) for request in asked]
    # 20 bytes there, 24 back, 10 bits at 9600 baud, 30 ms and a silence of 5 ms; 20 and 63 bytes of 11 bits at 2400
    assert costs[0] == 44 * 10 * 1000000 // 9600 + 35000 and costs[3] == 83 * 11 * 1000000 // 2400 + 30000 + 16041
    for request in asked:
        frame = request.talk(1).exchange.frame
        assert len(frame) == request.sent
        print(request.unit, bytes(frame).hex() if hasattr(frame, "hex") else frame, request.awaited)
    print(costs)


def test_a_budget_says_what_a_line_can():
    meters = [meter("m%d" % i, i + 1) for i in range(4)]
    points = [placed("p%d" % i, i % 4, 2 * (i // 4)) for i in range(40)]
    site = line_site(points, meters)
    merged, apart = Budget(site, 0), Budget(site, 0, False)
    assert (merged.requests, apart.requests, merged.points) == (4, 40, 40)
    assert merged.rows[0][3] == 4 * (53 * 10000000 // 9600 + 35000) // 1 and merged.share < apart.share
    print(merged.rows, merged.share, apart.rows, apart.share)


def test_a_schedule_that_cannot_be_kept_is_refused():
    meters = [meter("m%d" % i, i + 1) for i in range(4)]
    fast = [placed("p%d" % i, i % 4, 1000 * (i // 4), interval_ms=1000) for i in range(80)]
    with raises(SiteError) as caught:
        Budget(line_site(fast, meters), 0)
    assert "cannot be read in time" in caught.value.what and "less often" in caught.value.hint
    print(caught.value.what)
    assert Budget(line_site(fast, meters), 0, refuse=False).share > 1000000
    # a long request of a slow interval blocks a fast one, though the line has time enough
    slow = [placed("s%d" % i, 1, 2 * i, interval_ms=60000) for i in range(30)]
    quick = [placed("q", 0, 0, interval_ms=100)]
    with raises(SiteError):
        Budget(line_site(quick + slow, meters), 0)
    assert Budget(line_site(quick, meters), 0).requests == 1


def test_what_an_answer_says():
    """Each protocol's own reply, as its vectors have it, through the request that would have asked for it."""
    one = line_site([at("a", 0, "00010000", "XXXXXX.XX")], [meter("m", "201000000012", "dlt645-2007")])
    (request,) = plan(one, 0)
    talk = request.talk(1)
    reply = dlt645.frame("201000000012", dlt645.read_response("00010000", bytes((0x78, 0x56, 0x34, 0x12))), 0)
    found = talk.exchange.feed(reply)
    talk.take(found)
    assert talk.exchange is None and talk.refusal is None
    said, _ = value(request, talk.data, one.points[0], 0)
    assert str(said) == "1234.5678", said  # scale 0.01 of the point
    talk = request.talk(2)
    talk.take(talk.exchange.feed(dlt645.frame("201000000012", dlt645.error_response(0x11, 2), 0)))
    assert talk.data is None and talk.refusal[0] and not talk.refusal[2]
    print(said, talk.refusal)
    unknown = dlt645.frame("201000000012", dlt645.read_response("00010000", b"\xff" * 4), 0)
    talk = request.talk(3)
    talk.take(talk.exchange.feed(unknown))
    assert value(request, talk.data, one.points[0], 0) == (None, "the meter has no value")
