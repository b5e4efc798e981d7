"""What a meter says it is, against the record of it."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field import identity
from seeded import Random

# bytes of the register, type, order, what they say
SAID = (
    (b"\x00\xbc\x61\x4e", "uint32", "ABCD", "12345678"), (b"\x61\x4e\x00\xbc", "uint32", "CDAB", "12345678"),
    (b"\x12\x34\x56\x78", "bcd", "ABCD", "12345678"), (b"\xff\xff\xff\xff", "bcd", "ABCD", None),
    (b"SN-04211\x00\x00", "text", "ABCD", "SN-04211"),
    (b"\x00" * 8, "text", "ABCD", None), (b"\x00\x07", "uint16", "ABCD", "7"),
    (b"\xff" * 8, "uint64", "ABCD", "18446744073709551615"),
)  # fmt: skip


@pytest.mark.parametrize("data, type, order, wanted", SAID)
def test_what_is_said(data, type, order, wanted):
    assert identity.said(data, type, order) == wanted
    print(wanted)
    if wanted is not None:
        assert identity.tell(wanted, len(data) // 2, type, order) == data


def test_text_with_swapped_bytes():
    assert identity.tell("A1B2C", 3, "text", "BADC") == b"1A2B\x00C"
    assert identity.said(b"1A2B\x00C", "text", "BADC") == "A1B2C"


SAME = (("12345678", "12345678"), ("SN-042 11", "sn04211"), ("0012", "12"), ("0", "000"))
OTHER = (("12345678", "12345679"), ("12", "120"), ("0", "1"), ("A1", "A"))


def test_a_record_and_a_meter_are_the_same_or_not():
    assert all([identity.same(a, b) for a, b in SAME])
    assert not any([identity.same(a, b) for a, b in OTHER])


WRONG = (
    (None, "is [function"), ([3, 0, 2, "uint32"], "is [function"), ([1, 0, 2, "uint32", "ABCD"], "function"),
    ([3, -1, 2, "uint32", "ABCD"], "address"), ([3, 0, 0, "text", "ABCD"], "count"),
    ([3, 0, 33, "text", "ABCD"], "count"), ([3, 0, 2, "int32", "ABCD"], "type"), ([3, 0, 2, "uint32", "ABDC"], "order"),
    ([3, 0, 1, "uint32", "ABCD"], "hold no uint32"), ([3, 65535, 2, "uint32", "ABCD"], "hold no uint32"),
    ([3, 0, 3, "bcd", "ABCD"], "hold no bcd"), ([3, True, 2, "uint32", "ABCD"], "address"),
)  # fmt: skip


@pytest.mark.parametrize("place, named", WRONG)
def test_a_place_that_cannot_be_read(place, named):
    with pytest.raises(FrameError) as caught:
        identity.check(place)
    assert named in str(caught.value), str(caught.value)
    print(caught.value)


def test_what_a_meter_cannot_say():
    for text, count, type in (("12345678901", 2, "text"), ("x1", 2, "uint32")):
        with pytest.raises(ValueError):
            identity.tell(text, count, type, "ABCD")


def test_any_bytes_say_a_text_or_nothing():
    random = Random(118)
    for _ in range(300):
        type = identity.TYPES[random.below(5)]
        size = {"uint16": 2, "uint32": 4, "uint64": 8, "bcd": 4, "text": 16}[type]
        data = bytes([random.below(256) for _ in range(size)])
        found = identity.said(data, type, ("ABCD", "CDAB", "BADC", "DCBA")[random.below(4)])
        assert found is None or 0 < len(found) <= 20
        print(found)
