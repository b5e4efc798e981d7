"""Analogue and pulse inputs as points: a channel's text becomes a value, or says why it is none."""

import pytest

from carbonterm.errors import FrameError, SiteError
from carbonterm.field import places, plan, requests
from carbonterm.field.channels import ChannelRequest
from carbonterm.number import Number
from carbonterm.site import FORMATS, Site

BUS = ["io", "analog", "/sys/bus/iio/devices", 1, "none", 1, 1000, 0, 0, None]


def meter(name, unit, protocol, dialect):
    later = [protocol, dialect, None, None, None, 0, 0, None, None, None, None]
    return [name, 0, unit, "transmitter-4-20ma", 1, None, None, None, None, None] + later


def point(name, index, address, type, scale=(1, 0), kind="instant", unit="Nm3/h", modulus=None):
    return [name, index, "gas flow", unit, 0, address, type, "ABCD", list(scale), kind, modulus] + 3 * [None] + [1000]


def site(meters=None, points=None):
    if meters is None:
        meters = [
            meter("FT", "iio:device0/in_voltage0_raw", "analog", [4096, [2048, -2]]),
            meter("W", "count0", "pulse", None),
        ]
    if points is None:
        points = [
            point("F", 0, [[0, 0], [500, 0]], "4-20mA"),
            point("S", 0, [[0, 0], [100, 0]], "4-20mA", unit="%"),
            point("W", 1, 16, "pulse", (1, -2), "register", "m3", [65536, -2]),
        ]
    settings = [[2, 3], 1000, 4096, 0, 0, "any"]
    return Site([FORMATS[1], 1, "T1", "plant", 480, [BUS], meters, points, [], [], settings])


@pytest.mark.requirement("T-11.3-7", part="a converter's number through span and range, with NAMUR limits")
def test_a_converters_numbers_are_quantities():
    found = site()
    (flow, count) = plan.plan(found, 0)
    assert [index for index, _ in flow.points] == [0, 1] and [index for index, _ in count.points] == [2]
    assert plan.Budget(found, 0).share == 0
    # 20.48 mA at 4096: 0.005 mA a step
    for raw, value in ((800, "0"), (4000, "500"), (2400, "250"), (761, "-6.09375"), (4100, "515.625")):
        got = requests.value(flow, b"%d\n" % raw, found.points[0], 0)
        assert got == (Number(value), None)
        print(raw, str(got[0].normal()))
    for raw, why in ((720, "open"), (0, "open"), (750, "below"), (4150, "above"), (4200, "failed high")):
        value, reason = requests.value(flow, b"%d" % raw, found.points[0], 0)
        assert value is None and why in reason
        print(raw, reason)
    assert str(requests.value(flow, b"2400\n", found.points[1], 0)[0].normal()) == "50"


def test_a_file_that_shows_milliamperes_itself():
    own = [meter("FT", "in_current0_input", "analog", [1, [1, 0]])]
    found = site(own, [point("F", 0, [[-50, 0], [150, 0]], "4-20mA")])
    request = plan.plan(found, 0)[0]
    assert str(requests.value(request, b"12.0\n", found.points[0], 0)[0].normal()) == "50"
    volts = site([meter("V", "in0", "analog", [1000, [1, 0]])], [point("P", 0, [[0, 0], [1, 0]], "0-10V")])
    value = requests.value(plan.plan(volts, 0)[0], b"2500", volts.points[0], 0)[0]
    assert str(value.normal()) == "0.25"


@pytest.mark.requirement("T-7.1-4", part="a counter of pulses as a register")
def test_pulses_are_a_register():
    found = site()
    request = plan.plan(found, 0)[1]
    assert str(requests.value(request, b"65535\n", found.points[2], 0)[0]) == "655.35"
    for text in (b"65536", b"-1", b"1.5", b"", b"twelve", b"\xff\xfe", b"0x10"):
        value, reason = requests.value(request, text, found.points[2], 0)
        assert value is None and reason
        print(text, reason)


def refused(error, make):
    with pytest.raises(error) as caught:
        make()
    print(caught.value.what)
    return caught.value.what


def test_what_is_refused():
    for unit in ("", "/dev/mem", "../x", "a/./b", "a//b", "a b", "x" * 129, 7, None):
        refused(FrameError, lambda unit=unit: places.check_unit("analog", unit))
    for dialect in (None, [], [0, [1, 0]], [1, [0, 0]], [1, [-1, 0]], [1, "1"], [4095], ["4095", [1, 0]]):
        refused(FrameError, lambda dialect=dialect: places.check_dialect("analog", dialect))
    refused(FrameError, lambda: places.check_dialect("pulse", [1, [1, 0]]))
    ends = [[0, 0], [1, 0]]
    for where in (
        (1, ends, "4-20mA", "ABCD"), (0, ends, "4-20mA", "DCBA"), (0, ends, "0-5V", "ABCD"), (0, 7, "4-20mA", "ABCD"),
        (0, [[1, 0], [10, -1]], "4-20mA", "ABCD"), (0, [[0, 0], 1], "0-10V", "ABCD"), (0, ends, "pulse", "ABCD"),
    ):  # fmt: skip
        refused(FrameError, lambda where=where: places.check_point("analog", *where))
    for bits in (7, 65, "32", None):
        refused(FrameError, lambda bits=bits: places.check_point("pulse", 0, bits, "pulse", "ABCD"))
    for protocol, kind, fit in (("analog", "serial", False), ("modbus", "analog", False), ("pulse", "analog", True)):
        assert places.fits(protocol, kind) == fit
    refused(SiteError, lambda: site([meter("A", "x", "analog", None)], []))
    refused(SiteError, lambda: site([meter("A", "x", "pulse", None), meter("B", "x", "pulse", None)], []))


def test_requests_of_other_buses_are_not_channels():
    request = ChannelRequest(0, "count0", 1000, None)
    assert request.sent == request.awaited == 0 and request.identifier == "count0" and request.alike is None
