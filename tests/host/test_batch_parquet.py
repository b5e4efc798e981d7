"""Parquet files of readings: wide and long, every type that is exact, and what is refused with the way out."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carbonterm.errors import SeriesError
from carbonterm_host.batch import parquet

T0 = 1772204400000
STAMP = pa.timestamp("ms", "UTC")


@pytest.fixture
def read(tmp_path):
    """read({column: Arrow array}) -> {point: (times, [(mantissa, exponent)], qualities)}"""

    def run(table, **options):
        pq.write_table(pa.table(table), tmp_path / "a.parquet", **options)
        found = {}
        for name, column in parquet.columns(tmp_path / "a.parquet"):
            values = list(zip(column.mantissas.tolist(), column.exponents.tolist(), strict=True))
            quality = None if column.qualities is None else column.qualities.tolist()
            found[name] = [time - T0 for time in column.times.tolist()], values, quality
        return found

    return run


def times(*minutes, kind=STAMP):
    stamps = pa.array([T0 + 60000 * minute for minute in minutes], pa.int64())
    return stamps.cast(pa.timestamp("ms", getattr(kind, "tz", None))).cast(kind)


def decimals(*texts, scale=2):
    return pa.array([None if text is None else Decimal(text) for text in texts], pa.decimal128(18, scale))


def test_wide_files_of_every_exact_type(read):
    found = read({
        "time": times(0, 1, 2),
        "D": decimals("1.25", None, "-3.00"),
        "I": pa.array([7, 8, None], pa.int32()),
        "U": pa.array([7, 8, 2**62], pa.uint64()),
        "T": pa.array(["1.250", "-7", "1e-6"]),
        "N": pa.array([None, None, None], pa.int64()),
    })  # fmt: skip
    assert found == {
        "D": ([0, 120000], [(125, -2), (-300, -2)], None),
        "I": ([0, 60000], [(7, 0), (8, 0)], None),
        "U": ([0, 60000, 120000], [(7, 0), (8, 0), (2**62, 0)], None),
        "T": ([0, 60000, 120000], [(1250, -3), (-7, 0), (1, -6)], None),
        "N": ([], [], None),
    }


@pytest.mark.parametrize("kind", [pa.int64(), STAMP, pa.timestamp("us", "Asia/Shanghai"), pa.timestamp("s", "UTC")])
def test_times_of_every_kind_and_out_of_order(read, kind):
    found = read({"time": times(2, 0, 1, kind=kind), "P": decimals("3", "1", "2")})
    assert found == {"P": ([0, 60000, 120000], [(100, -2), (200, -2), (300, -2)], None)}


@pytest.mark.parametrize("options", [{}, {"row_group_size": 2}, {"use_dictionary": False}])
def test_long_files(read, options, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", 3)
    found = read({
        "value": decimals("1", "5", "2", None, "6", "3", "7"),
        "point": ["B", "A", "B", "A", "A", "B", "A"],
        "time": times(0, 0, 1, 1, 2, 2, 1),
        "quality": pa.array([0, 0, 1, 4, 0, 0, 2], pa.int8()),
    }, **options)  # fmt: skip
    assert found == {
        "A": ([0, 60000, 120000], [(500, -2), (700, -2), (600, -2)], [0, 2, 0]),
        "B": ([0, 60000, 120000], [(100, -2), (200, -2), (300, -2)], [0, 1, 0]),
    }


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"P": decimals("1")}, "no column time"),
        ({"time": times(0)}, "no column but time"),
        ({"time": times(0), "P": pa.array([1.5])}, "double holds no exact decimals"),
        ({"time": times(0, kind=pa.timestamp("ms")), "P": decimals("1")}, "timestamps without a zone"),
        ({"time": pa.array(["2026"]), "P": decimals("1")}, "string is no time"),
        ({"time": pa.array([None], STAMP), "P": decimals("1")}, "a row has no time"),
        ({"time": pa.array([1], pa.timestamp("us", "UTC")), "P": decimals("1")}, "finer than a millisecond"),
        ({"time": times(0), "P": pa.array(["1,5"])}, "column P, row 1: '1,5' is not a decimal number"),
        ({"time": times(0), "P": pa.array(["9" * 30])}, "more than 18 digits"),
        ({"time": times(0), "P": pa.array([2**63], pa.uint64())}, "longer than 63 bits"),
        ({"time": times(0), "P": pa.array([Decimal(10**30)], pa.decimal128(38, 0))}, "more than 18 digits"),
        ({"time": times(0), "point": pa.array([3]), "value": decimals("1")}, "column point: int64 is no text"),
        ({"time": times(0), "point": pa.array([None], pa.string()), "value": decimals("1")}, "a row has no point"),
        ({"time": times(0), "point": ["A"], "value": decimals("1"), "quality": pa.array([9])}, "not from 0 to 5"),
        ({"time": times(0), "point": ["A"], "value": decimals("1"), "quality": pa.array(["x"])}, "not an integer"),
    ],
)  # fmt: skip
def test_what_is_refused(read, table, what):
    with pytest.raises(SeriesError) as refusal:
        read(table)
    assert what in refusal.value.what


def test_what_is_no_parquet_file(tmp_path):
    with pytest.raises(SeriesError, match="cannot be read"):
        list(parquet.columns(tmp_path / "none.parquet"))
    (tmp_path / "a.parquet").write_bytes(b"time,value\n" * 9)
    with pytest.raises(SeriesError, match="no Parquet file"):
        list(parquet.columns(tmp_path / "a.parquet"))
