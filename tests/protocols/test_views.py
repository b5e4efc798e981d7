"""An answer's bytes in every type and order; the display's value picks the right one."""

import pytest
from pytest import raises

from carbonterm.errors import FrameError
from carbonterm.field import cjt188, dlt645_items, registers, views
from carbonterm.number import Number
from seeded import Random

HEAT = "05192853000519285300170000000035000000002C42331800031900101900612700265723310315200301"


def best(found, expect):
    view = views.ranked(found, Number(expect))[0]
    print(sorted(view.row().items(), key=lambda item: item[0]))
    return view


@pytest.mark.slow
@pytest.mark.parametrize("type", [name for name in registers.TYPES if name != "bcd"])
def test_the_display_tells_type_order_and_place(type):
    orders = ("ABCD", "BADC") if registers.WIDTH[type] == 1 else sorted(registers.ORDERS)
    for order in orders:
        data = b"\x12\x34" + registers.encode(Number(23041), type, order) + b"\xab\xcd"
        view = best(views.of_registers(data, 100), "230.41")
        assert view.match == views.SHOWN and view.place == 101 and view.order == order
        assert view.shown == Number("230.41") and view.shift == -2


def test_digits_of_bcd_and_a_display_that_cuts_off():
    view = best(views.of_registers(bytes.fromhex("00123456")), "12.345")
    assert (view.type, view.order, view.match) == ("bcd32", "ABCD", views.SHOWN)


def test_a_value_that_moved_since_is_near():
    data = registers.encode(Number("221.7"), "float32", "CDAB")
    view = best(views.of_registers(data), "220")
    assert (view.type, view.order, view.match, view.shift) == ("float32", "CDAB", views.NEAR, 0)


def test_without_a_display_every_way_is_there():
    found = views.of_registers(bytes(8))
    # one register: 3 types of 2 orders, each at 4 places; two: 4 of 4 at 3; four: 4 of 4 at one
    assert len(found) == 4 * 3 * 2 + 3 * 4 * 4 + 4 * 4
    assert len(views.ranked(found)) == len(found)
    nan = views.ranked(views.of_registers(b"\x7f\xc0\x00\x00"))
    assert nan[-1].value is None and nan[0].value is not None
    assert views.of_registers(b"") == []


def test_nothing_matches_an_unlike_display():
    assert best(views.of_registers(b"\x00\x07"), "123456").match == views.OTHER
    assert best(views.of_registers(b"\xff\xff\xff\xff"), "0").match != views.SHOWN


def test_dlt645_by_meaning_and_by_digits():
    data = dlt645_items.write("XXXXXX.XX", Number("1234.56"))
    view = best(views.of_digits(data, "00010000"), "1234.56")
    assert (view.type, view.unit, view.match) == ("item", "kWh", views.SHOWN)
    view = best(views.of_digits(data, "EE010000"), "12345.6")
    assert (view.type, view.match) == ("XXXXXXX.X", views.SHOWN)
    assert views.of_digits(b"\xff" * 4, "00010000").pop(0).value is None
    assert views.of_digits(b"", "00010000") == []


def test_cjt188_by_profile_and_item():
    request = cjt188.Decoder(cjt188.METER).feed(cjt188.read_data(0x20, "42590008210438", 1))[0]
    answer = cjt188.Decoder(cjt188.MASTER).feed(cjt188.respond(request, bytes.fromhex(HEAT)))[0]
    view = best(views.of_items(answer), "1833.42")
    assert (view.place, view.type, view.unit) == ("volume", "unit first", "m3")
    assert len(views.of_items(answer)) > 5


def test_half_a_register_is_refused():
    with raises(FrameError, match="3 bytes"):
        views.of_registers(b"abc")


@pytest.mark.slow
def test_no_bytes_make_it_fail():
    random = Random(12)
    for _ in range(60):
        data = random.bytes(2 * random.below(6))
        expect = Number(random.below(100000) - 50000, -random.below(4))
        found = views.ranked(views.of_registers(data), expect)
        assert [v.match for v in found] == sorted([v.match for v in found])
        odd = random.bytes(random.below(12))
        assert len(views.ranked(views.of_digits(odd, "00010000"), expect)) <= 11
    print(len(found))
