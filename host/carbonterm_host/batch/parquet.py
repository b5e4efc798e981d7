"""Readings from Parquet files: exact decimals in columns of integers; nothing is read twice or held whole.

Wide: a column `time` and one column for each point. Long: columns time, point, value, and quality where there is one.
Times are timestamps with a zone, or integers: milliseconds since 1970. Values are decimals, integers or texts; a float
is refused, because it is not what a meter showed.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from carbonterm.errors import CarbonError, SeriesError, quoted
from carbonterm.number import Number

TIME, POINT, VALUE, QUALITY = "time", "point", "value", "quality"
WAY = "its columns are time and one for each point, or time,point,value"
ROWS = 1 << 19  # of a long file that are split by point at once


class Column:
    """Readings of one point, by time: arrays of times (ms), mantissas, exponents, and qualities (None: all good)."""

    __slots__ = ("exponents", "mantissas", "qualities", "times")

    def __init__(self, times, mantissas, exponents, qualities=None):
        self.times, self.mantissas, self.exponents, self.qualities = times, mantissas, exponents, qualities

    def __len__(self):
        return len(self.times)


def columns(path):
    """Iterates (point's name, Column) over a Parquet file, point by point; SeriesError says what is wrong."""
    with _opened(path) as file:
        names = file.schema_arrow.names
        if TIME not in names:
            raise SeriesError(f"{path} has no column time", WAY)
        if POINT in names and VALUE in names:
            yield from _long(file, QUALITY in names, path)
        elif len(names) == 1:
            raise SeriesError(f"{path} has no column but time", WAY)
        else:
            times = _times(file.read([TIME]).column(TIME), path)
            for name in names:
                if name != TIME:
                    values = file.read([name]).column(name)
                    yield name, _column(times, values, None, f"{path}, column {name}")


def _opened(path):
    try:
        return pq.ParquetFile(Path(path))
    except OSError as error:
        raise SeriesError(f"{path} cannot be read: {error.strerror or error}") from None
    except pa.ArrowInvalid:
        raise SeriesError(f"{path} is no Parquet file", "write one with pyarrow, DuckDB or Spark") from None


def _long(file, has_quality, path):
    """The points of a long file: each part of it is split by point, the parts of a point are joined."""
    parts, wanted = {}, [TIME, POINT, VALUE] + ([QUALITY] if has_quality else [])
    for batch in file.iter_batches(ROWS, columns=wanted):
        names = batch.column(POINT)
        if not (pa.types.is_string(names.type) or pa.types.is_large_string(names.type) or (
            pa.types.is_dictionary(names.type) and pa.types.is_string(names.type.value_type)
        )):
            raise SeriesError(f"{path}, column point: {names.type} is no text", "give the points' names")
        if names.null_count:
            raise SeriesError(f"{path}, column point: a row has no point")
        coded = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        borders = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
        quality = _qualities(batch.column(QUALITY), path) if has_quality else None
        whole = _column(_times(batch.column(TIME), path), batch.column(VALUE), quality, f"{path}, column value", False)
        for code, name in enumerate(coded.dictionary.to_pylist()):
            rows = order[borders[code] : borders[code + 1]]
            if len(rows):
                parts.setdefault(name, []).append(_picked(whole, rows))
    for name in sorted(parts):
        yield name, _in_order(_joined(parts.pop(name)))


def _picked(column, rows):
    quality = None if column.qualities is None else column.qualities[rows]
    found = Column(column.times[rows], column.mantissas[rows], column.exponents[rows], quality)
    if column.qualities is not None and (found.qualities == _NOTHING).any():
        keep = found.qualities != _NOTHING
        found = Column(*(part[keep] for part in (found.times, found.mantissas, found.exponents, found.qualities)))
    return found


def _joined(parts):
    quality = None
    if any(part.qualities is not None for part in parts):
        quality = np.concatenate([_full(part.qualities, part) for part in parts])
    names = ("times", "mantissas", "exponents")
    return Column(*(np.concatenate([getattr(part, name) for part in parts]) for name in names), quality)


def _full(qualities, part):
    return np.zeros(len(part), np.int8) if qualities is None else qualities


_NOTHING = -1  # quality of a row without a value


def _column(times, values, qualities, where, whole=True):
    """The Column of an Arrow array of values; rows without one are left out (whole), or have quality _NOTHING."""
    mantissas, exponents = _integers(values, where)
    if values.null_count:
        there = _numpy(pc.is_valid(values))
        if whole:
            keep = np.flatnonzero(there)
            qualities = None if qualities is None else qualities[keep]
            return _in_order(Column(times[keep], mantissas[keep], exponents[keep], qualities))
        qualities = np.where(there, 0 if qualities is None else qualities, _NOTHING).astype(np.int8)
    found = Column(times, mantissas, exponents, qualities)
    return _in_order(found) if whole else found


def _in_order(column):
    """The same by time; readings of one moment stay in their order."""
    if (np.diff(column.times) < 0).any():
        order = np.argsort(column.times, kind="stable")
        quality = None if column.qualities is None else column.qualities[order]
        column = Column(column.times[order], column.mantissas[order], column.exponents[order], quality)
    return column


def _times(values, path):
    kind = values.type
    if values.null_count:
        raise SeriesError(f"{path}, column time: a row has no time")
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise SeriesError(
                f"{path}, column time: timestamps without a zone are somebody's guess",
                "write them as timestamp[ms, tz=UTC], or as integers: milliseconds since 1970",
            )
        try:
            values = pc.cast(values, pa.timestamp("ms", kind.tz))
        except pa.ArrowInvalid:
            raise SeriesError(f"{path}, column time: times finer than a millisecond") from None
    elif not pa.types.is_integer(kind):
        raise SeriesError(f"{path}, column time: {kind} is no time", "give timestamps with a zone, or milliseconds")
    return _numpy(pc.cast(values, pa.int64()))


def _qualities(values, path):
    if not pa.types.is_integer(values.type) or values.null_count:
        raise SeriesError(f"{path}, column quality: it is not an integer from 0 to 5", "0 good … 5 refused")
    found = _numpy(pc.cast(values, pa.int64()))
    if len(found) and (found.min() < 0 or found.max() > 5):
        raise SeriesError(f"{path}, column quality: it is not from 0 to 5", "0 good … 5 refused")
    return found.astype(np.int8)


def _integers(values, where):
    """(mantissas, exponents) of an Arrow array; what stands where it has none is 0."""
    kind = values.type
    if pa.types.is_integer(kind):
        exponent = 0
        try:
            found = _numpy(pc.fill_null(pc.cast(values, pa.int64()), 0))
        except pa.ArrowInvalid:
            raise SeriesError(f"{where}: an integer is longer than 63 bits") from None
    elif pa.types.is_decimal128(kind):
        exponent = -kind.scale
        found = _decimals(values, where)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(values, where)
    else:
        raise SeriesError(
            f"{where}: {kind} holds no exact decimals",
            "write decimal128 (a cast to decimal128(18, n) in DuckDB, pyarrow or Spark), integers or texts",
        )
    return found, np.full(len(found), exponent, np.int16)


def _decimals(values, where):
    parts = []
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        words = np.frombuffer(chunk.buffers()[1], np.int64)[2 * chunk.offset : 2 * (chunk.offset + len(chunk))]
        low, high = words[::2], words[1::2]
        wrong = high != low >> 63
        if chunk.null_count:
            there = _numpy(pc.is_valid(chunk))
            low, wrong = np.where(there, low, 0), wrong & there
        if wrong.any():
            raise SeriesError(f"{where}: a value has more than 18 digits", "no meter shows so many")
        parts.append(low)
    return np.concatenate(parts) if len(parts) != 1 else parts[0].copy()


def _texts(values, where):
    mantissas, exponents = np.zeros(len(values), np.int64), np.zeros(len(values), np.int16)
    for i, text in enumerate(values.to_pylist()):
        if text is None:
            continue
        try:
            number = Number(text)
            mantissas[i], exponents[i] = number.mantissa, number.exponent
        except CarbonError as error:
            raise SeriesError(f"{where}, row {i + 1}: {error.what}", error.hint) from None
        except OverflowError:
            raise SeriesError(f"{where}, row {i + 1}: {quoted(text)} has more than 18 digits") from None
    return mantissas, exponents


def _numpy(values):
    return values.to_numpy(zero_copy_only=False) if not isinstance(values, pa.ChunkedArray) else values.to_numpy()
