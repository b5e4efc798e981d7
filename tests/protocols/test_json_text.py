"""JSON with exact numbers: the grammar of RFC 8259, UTF-8 of RFC 3629, pointers of RFC 6901, mutations."""

import pytest

from carbonterm.errors import FrameError
from carbonterm.field.inbound import check_pointer
from carbonterm.field.json_text import at, decimal, parse, utf8
from carbonterm.number import Number
from seeded import Random


def shown(value):
    if isinstance(value, dict):
        return [[name, shown(value[name])] for name in sorted(value)]
    if isinstance(value, list):
        return [shown(one) for one in value]
    return "n" + str(value) if isinstance(value, Number) else value


def test_numbers_keep_their_digits():
    digits = "0.10000000000000000000000000000000001"
    for text in ("0", "-0", "1.20", "-12.50", digits, "1e3", "1E+2", "25e-4", "9007199254740993"):
        found = parse(text.encode())
        print(text, found)
        assert isinstance(found, Number) and found == Number(text) and decimal(text) == found
    assert str(parse(b"1.20")) == "1.20" and str(parse(digits.encode())) == digits
    for text in ("", "1.", ".5", "+1", "01", "1e", "0x1", "1 ", " 1", "NaN", "Infinity", "1,5", "１"):
        assert decimal(text) is None


def test_documents():
    data = b' {"a" : [1, "x\\n\\u78b3\\ud83d\\ude00\\/", true,false , null, {}, []], '
    data += b'"\xe7\xa2\xb3": {"b":-1.5e-3} }\r\n'
    found = parse(data)
    print(found["a"][1], found["碳"]["b"])
    assert shown(found) == [["a", ["n1", "x\n碳😀/", True, False, None, [], []]], ["碳", [["b", "n-0.0015"]]]]


BROKEN = [
    b"", b" ", b"{", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{a:1}", b"{1:1}",
    b"'a'", b'"a', b'"\n"', b'"\\', b'"\\x"', b'"\\u12"', b'"\\u12g4"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"',
    b"tru",
    b"True", b"nul", b"NaN", b"-", b"1.e3", b"1e+", b"00", b"-01", b"+1", b".1", b"1 1", b"[1] ]", b'{"a":1,"a":1}',
    b"\xef\xbb\xbf1", b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe7\xa2"', b"[" * 17,
    b"1e41", b"1" * 41, b"\x00",
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(FrameError) as caught:
        parse(data)
    print(caught.value)


def test_utf8_is_that_of_the_standard():
    text = "a\x7f\x80߿ࠀ퟿￿\U00010000\U0010ffff"
    assert utf8(text.encode()) == text
    for raw in (b"\x80", b"\xc1\x80", b"\xe0\x9f\xbf", b"\xed\xbf\xbf", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
                b"\xf5", b"\xfe", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3\x28", b"\xe2\x28\xa1",
                b"\xf0\x9f\x28\x80"):  # fmt: skip
        with pytest.raises(FrameError):
            utf8(raw)


def test_pointers():
    document = parse(b'{"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "o": {"p": [[5]]}}')
    for pointer, wanted in (("", document), ("/foo/0", "bar"), ("/", Number(0)), ("/a~1b", Number(1)),
                            ("/m~0n", Number(8)), ("/o/p/0/0", Number(5))):  # fmt: skip
        check_pointer(pointer)
        assert at(document, pointer) == (True, wanted)
    for pointer in ("/foo/2", "/foo/-", "/foo/00", "/foo/01", "/bar", "/foo/0/x", "/foo/123456789"):
        assert at(document, pointer) == (False, None)
    for bad in ("a", "/~", "/~2", "/" + "x" * 128, None, 7):
        with pytest.raises(FrameError):
            check_pointer(bad)


def test_mutations_are_parsed_or_refused():
    random, counts = Random(8259), [0, 0]
    seed = b'{"source":"s","id":"m1","time":"2026-11-21T08:00:00+08:00",'
    seed += b'"values":{"E":"12.5","T":-1.5e2,"x":[null,true]}}'
    for _ in range(2000):
        data = bytearray(seed)
        for _ in range(random.between(1, 3)):
            data[random.below(len(data))] = random.choice(b'{}[]",:0123456789eE+-.\\ntu \xc3\xa2\x80')
        try:
            parse(data)
            counts[0] += 1
        except FrameError:
            counts[1] += 1
    print(counts)
    assert counts[0] > 20 and counts[1] > 500
