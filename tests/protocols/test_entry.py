"""Entries: every field's border, every body's shape, and that what is accepted is what would be written."""

import pytest

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from seeded import Random

DIGEST = bytes(range(32))

# kind, a body of every form it may have
BODIES = (
    (entry.START, ["0.1.0", "3.4.0; MicroPython", "first", 0]),
    (entry.START, ["0.1.0", "3.11", "restart", 9999999999]),
    (entry.CONFIG, [sm3.digest(b"site"), b"site"]),
    (entry.READINGS, [[], None]),
    (entry.READINGS, [[[0, 0, 0, -2, 1250], [65535, -100, 1, 400, -(1 << 64)]], DIGEST]),
    (entry.READINGS, [[[1, 5, 2, -400, (1 << 64) - 1]], DIGEST]),
    (entry.READINGS, [[[0, 0, 3, 0, None], [1, 0, 4, 0, None], [2, 0, 5, 0, None]], DIGEST]),
    (entry.CLOSING, [2, 1750000000000, [[0, 0, -1, 15, 8, 7], [1, 1, 0, 0, None, None], [2, 4, 0, None, None, None]]]),
    (entry.EMISSION, [5, 0, 0, [[0, 0, -6, 123, DIGEST], [1, 4, 0, None, DIGEST]]]),
    (entry.METER, [3, 0, 1750000000000, -2, 99999, 0]),
    (entry.FILL, [3, 0, 1750000000000, 1750003600000, [86400000, 64800000, 0, 1], -1, 105, -20, -6, 0, 1 << 60]),
    (entry.FILL, [0, 1, 0, 1, [0, 0, 0, 0], 0, 1, 1, 0, -5, None]),
    (entry.FILL, [0, 2, 5, 6, [], -2, 100, 250, -2, 900, 1050]),
    (entry.GAP, ["torn", "00000-0000000000.seg", 20, 77]),
    (entry.CLOCK, [entry.SYNC, 1750000000000, 1750000000007, 2, 3, None]),
    (entry.CLOCK, [entry.STEP, 1 << 32, 253402300799999, 3, 3, None]),
    (entry.CLOCK, [entry.REBASE, 5000, 1750000000000, 0, 3, 9999999999]),
    (entry.AUDIT, ["terminal", "identified", "em-1: 0042"]),
    (entry.UPGRADE, [0, 1]),
    (entry.MANUAL, [b"record", bytes(64)]),
    (entry.EMISSION, [4, 1748707200000, 2, [[0, 0, -6, 233, DIGEST]], "corrected by zhang, entry 17"]),
    (entry.SNAPSHOT, [[bytes(32), bytes(range(32))], [1, None, ["state"]]]),
)

# kind, a body that breaks its shape, what the message names
BROKEN = (
    (entry.START, ["0.1.0", "x", "later", 0], "cause"),
    (entry.START, ["0.1.0", "x", "first"], "array of 4"),
    (entry.START, ["0.1.0", "x", "first", -1], "previous size"),
    (entry.START, ["v" * 201, "x", "first", 0], "firmware version"),
    (entry.START, None, "array of 4"),
    (entry.CONFIG, [DIGEST, b"site"], "digest"),
    (entry.CONFIG, [DIGEST[1:], b"site"], "digest"),
    (entry.CONFIG, [DIGEST, "site"], "document"),
    (entry.READINGS, [[], DIGEST + b"x"], "frames"),
    (entry.READINGS, [[]], "array of 2"),
    (entry.MANUAL, [b"record", bytes(63)], "signature"),
    (entry.MANUAL, ["record", bytes(64)], "record"),
    (entry.MANUAL, [b"record"], "array of 2"),
    (entry.EMISSION, [4, 0, 2, []], "no reason"),
    (entry.EMISSION, [4, 0, 1, [], "why"], "no reason"),
    (entry.EMISSION, [4, 0, 2, [], 5], "reason"),
    (entry.READINGS, [5, None], "rows"),
    (entry.READINGS, [[5], None], "readings row"),
    (entry.READINGS, [[[0, 0, 0, 0]], None], "array of 5"),
    (entry.READINGS, [[[0, 0, 0, 0, 1, 2]], None], "array of 5"),
    (entry.READINGS, [[[65536, 0, 0, 0, 1]], None], "point"),
    (entry.READINGS, [[[-1, 0, 0, 0, 1]], None], "point"),
    (entry.READINGS, [[[True, 0, 0, 0, 1]], None], "point"),
    (entry.READINGS, [[[0, 0, 6, 0, 1]], None], "quality"),
    (entry.READINGS, [[[0, 0, 0, 401, 1]], None], "exponent"),
    (entry.READINGS, [[[0, 1 << 31, 0, 0, 1]], None], "offset_ms"),
    (entry.READINGS, [[[0, 0, 0, 0, "1"]], None], "mantissa"),
    (entry.READINGS, [[[0, 0, 0, 0, None]], None], "without a value"),
    (entry.READINGS, [[[0, 0, 3, 0, 1]], None], "with a value"),
    (entry.READINGS, [[[0, 0, 4, -1, None]], None], "with a value"),
    (entry.READINGS, [[[0, 0, 0, 0, 1 << 64]], None], "cannot be encoded"),
    (entry.READINGS, [[[0, 0, 0, 0, 1]] * 4097, None], "rows"),
    (entry.CLOSING, [6, 0, []], "period"),
    (entry.CLOSING, [0, -1, []], "start_ms"),
    (entry.CLOSING, [0, 0, [[0, 3, 0, None, 1, None]]], "maximum or minimum"),
    (entry.CLOSING, [0, 0, [[0, 0, 0, None, None, None]]], "without a value"),
    (entry.EMISSION, [0, 0, -1, []], "version"),
    (entry.EMISSION, [0, 0, 0, [[0, 0, 0, 1, b""]]], "digest"),
    (entry.METER, [0, 2, 0, 0, 1, 0], "event"),
    (entry.METER, [0, 0, 0, 0, None, 0], "last"),
    (entry.FILL, [0, 0, 5, 6, [], 0, 1, 1, 0, 0, 1], "days of another method"),
    (entry.FILL, [0, 2, 5, 6, [0, 0, 0, 0], 0, 1, 1, 0, 0, 1], "days of another method"),
    (entry.FILL, [0, 2, 5, 6, [], 0, 1, 1, 0, 0, None], "total of none"),
    (entry.FILL, [0, 0, 6, 6, [0, 0, 0, 0], 0, 1, 1, 0, 0, 1], "ends where it begins"),
    (entry.FILL, [0, 3, 5, 6, [0, 0, 0, 0], 0, 1, 1, 0, 0, 1], "method"),
    (entry.FILL, [0, 0, 5, 6, [0, 0, 0, 86400001], 0, 1, 1, 0, 0, 1], "days"),
    (entry.FILL, [0, 0, 5, 6, [0, 0, 0], 0, 1, 1, 0, 0, 1], "days"),
    (entry.FILL, [0, 0, 5, 6, [0, 0, 0, 0], 0, None, 1, 0, 0, 1], "first"),
    (entry.FILL, [0, 0], "array of 11"),
    (entry.GAP, ["torn", "x", -1, 0], "offset"),
    (entry.SNAPSHOT, [[b"short"], []], "peaks"),
    (entry.SNAPSHOT, [[], 7], "state"),
    (entry.CLOCK, [0, 1], "array of 6"),
    (entry.CLOCK, [3, 0, 0, 2, 2, None], "event"),
    (entry.CLOCK, [1, -1, 0, 2, 2, None], "before_ms"),
    (entry.CLOCK, [1, 0, 253402300800000, 2, 2, None], "after_ms"),
    (entry.CLOCK, [1, 0, 0, 5, 2, None], "state before"),
    (entry.CLOCK, [1, 0, 0, 2, 2, 7], "seq"),
    (entry.CLOCK, [2, 0, 0, 0, 2, None], "seq"),
    (entry.CLOCK, [2, 0, 0, 2, 2, 7], "re-bases"),
    (entry.CLOCK, [1, 0, 0, 0, 2, None], "without re-basing"),
    (entry.AUDIT, ["a", "b"], "array of 3"),
    (entry.AUDIT, ["a", "b", "c" * 201], "detail"),
)

# a field of the entry, values it must not have
FIELDS = (
    ("terminal_id", ("", "-a", ".a", "a" * 33, "a b", "a/b", "站", "a\n", 5, None, b"a")),
    ("epoch", (-1, 100000, None, True, "0")),
    ("seq", (-1, 10000000000, False)),
    ("time_ms", (-1, 253402300800000, None)),
    ("clock_state", (-1, 5)),
    ("kind", (-1, 14, "readings", True)),
)
NAMES = ("terminal_id", "epoch", "seq", "time_ms", "clock_state", "kind", "body")
GOOD = ("CT-01", 0, 7, 1750000000123, 3, entry.READINGS, [[[0, 0, 0, -1, 5]], None])


def test_known_bytes():
    raw = entry.encode("T1", 0, 0, 1, 2, entry.START, ["0.1", "x", "first", 0])
    assert raw == bytes.fromhex("8801625431000001020084" + "63302e31" + "6178" + "656669727374" + "00")
    assert raw[: len(entry.prefix("T1", 0))] == entry.prefix("T1", 0)
    print(raw.hex())


def test_round_trip():
    for kind, body in BODIES:
        raw = entry.encode("CT-01.a", 99999, 9999999999, 253402300799999, 4, kind, body)
        found = entry.decode(raw)
        assert (found.terminal_id, found.epoch, found.seq) == ("CT-01.a", 99999, 9999999999)
        assert (found.time_ms, found.clock_state, found.kind) == (253402300799999, 4, kind)
        assert found.body == body and found.raw == raw
        print(entry.KINDS[kind], raw.hex())
    assert len(entry.KINDS) == 14 and entry.KINDS[entry.GAP] == "gap" and entry.KINDS[entry.READINGS] == "readings"


def test_a_three_point_minute_is_small():
    rows = [[point, 120, 0, -2, 123456789 + point] for point in range(3)]
    raw = entry.encode("CT-0001", 0, 123456, 1750000000123, 3, entry.READINGS, [rows, DIGEST])
    print(len(raw))
    assert len(raw) <= 120


def test_bodies_that_break_their_shape():
    for kind, body, named in BROKEN:
        with pytest.raises(LedgerError, match=named) as caught:
            entry.encode("T1", 0, 0, 0, 0, kind, body)
        print(entry.KINDS[kind], caught.value)
        if "encoded" not in named:
            with pytest.raises(LedgerError, match=named):
                entry.decode(cbor.encode((1, "T1", 0, 0, 0, 0, kind, body)))


def test_fields_out_of_range():
    for name, values in FIELDS:
        for value in values:
            fields = list(GOOD)
            fields[NAMES.index(name)] = value
            with pytest.raises(LedgerError):
                entry.encode(*fields)
            with pytest.raises(LedgerError):
                entry.decode(cbor.encode([1] + fields))


def test_not_an_entry():
    raw = entry.encode(*GOOD)
    for data in (b"", b"\x80", b"\x00", cbor.encode([1] * 7), cbor.encode([1] * 9), cbor.encode([2] + list(GOOD)),
                 cbor.encode([True] + list(GOOD)), raw + b"\x00", raw[:-1], b"\x98\x08" + raw[1:]):  # fmt: skip
        with pytest.raises(LedgerError) as caught:
            entry.decode(data)
        print(caught.value)


def test_a_body_too_deep():
    body = 0
    for _ in range(15):
        body = [body]
    raw = entry.encode("T1", 0, 0, 0, 0, entry.UPGRADE, body)
    assert entry.decode(raw).body == body
    with pytest.raises(LedgerError, match="deeper"):
        entry.encode("T1", 0, 0, 0, 0, entry.UPGRADE, [body])


def test_size_limit():
    whole = entry.encode("T1", 0, 0, 0, 0, entry.UPGRADE, bytes(entry.MAX_ENTRY - 16))
    assert len(whole) <= entry.MAX_ENTRY
    with pytest.raises(LedgerError, match="more than"):
        entry.encode("T1", 0, 0, 0, 0, entry.UPGRADE, bytes(entry.MAX_ENTRY))
    with pytest.raises(LedgerError, match="more than"):
        entry.decode(bytes(entry.MAX_ENTRY + 1))


def test_what_is_accepted_is_what_would_be_written():
    random, accepted = Random(76), 0
    wholes = [entry.encode("T1", 0, 5, 1000, 1, kind, body) for kind, body in BODIES]
    for _ in range(3000):
        data = bytearray(random.choice(wholes))
        for _ in range(random.between(1, 2)):
            data[random.below(len(data))] ^= 1 << random.below(8)
        if random.below(4) == 0:
            data = data[: random.below(len(data))]
        try:
            found = entry.decode(bytes(data))
        except LedgerError:
            continue
        accepted += 1
        again = entry.encode(
            found.terminal_id, found.epoch, found.seq, found.time_ms, found.clock_state, found.kind, found.body
        )
        assert again == bytes(data)
    print(accepted)
    assert accepted > 100
