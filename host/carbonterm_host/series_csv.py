"""Series in CSV files: columns by name, times with an offset, exact numbers; all mistakes at once, with their lines."""

import csv
import io
import sys
from itertools import pairwise
from pathlib import Path

from carbonterm import clock
from carbonterm.errors import CarbonError
from carbonterm.number import Number
from carbonterm_host.screen import USAGE, Failure, say

SHOWN_MISTAKES = 20


def refuse(mistakes):
    """Failure with the first of the mistakes, if there are any."""
    if mistakes:
        more = len(mistakes) - SHOWN_MISTAKES
        lines = mistakes[:SHOWN_MISTAKES] + ([say(f"and {more} more", f"还有 {more} 处")] if more > 0 else [])
        raise Failure(USAGE, "\n".join(lines), say("correct these lines and run it again", "改正后重新运行"))


def readings(file, mistakes):
    """(line, time_ms, Number or None) of each row in the order of the file; what is wrong goes to `mistakes`."""
    rows = []
    for line, cells in table(file, ("time", "value"), mistakes):
        with Line(file, line, mistakes):
            time_ms = clock.parse(cells["time"])
            rows.append((line, time_ms, Number(cells["value"]) if cells["value"] else None))
    if not mistakes and not any(row[2] is not None for row in rows):
        mistakes.append(say(f"{name_of(file)} has no readings", f"{name_of(file)} 中没有读数"))
    return rows


class Line:
    """Collects a CarbonError that arises in its block as FILE:LINE: what; hint."""

    def __init__(self, file, line, mistakes):
        self.where = f"{name_of(file)}:{line}"
        self.mistakes = mistakes

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, CarbonError):
            self.mistakes.append(f"{self.where}: {error}")
            return True
        return False


def table(file, columns, mistakes):
    """(line, {column: stripped cell}) of the rows of a CSV file, empty lines left out; Failure if it can't be read."""
    name = name_of(file)
    places, rows = None, []
    for line, cells in lines(file, mistakes):
        if places is None:
            header = [cell.lower() for cell in cells]
            missing = [column for column in columns if column not in header]
            if missing:
                what = say(f"column {', '.join(missing)} is missing", f"缺少列 {', '.join(missing)}")
                hint = say(f"the first line is {','.join(columns)}", f"首行应为 {','.join(columns)}")
                mistakes.append(f"{name}:{line}: {what}; {hint}")
                return []
            places = {column: header.index(column) for column in columns}
            continue
        rows.append((line, {c: cells[i] if i < len(cells) else "" for c, i in places.items()}))
    if places is None and not mistakes:
        hint = say(f"the first line is {','.join(columns)}", f"首行应为 {','.join(columns)}")
        mistakes.append(say(f"{name} is empty; {hint}", f"{name} 为空；{hint}"))
    return rows


def lines(file, mistakes):
    """(line, [stripped cell]) of a CSV file, empty lines left out; Failure if it can't be read."""
    name = name_of(file)
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        hint = say("give a CSV file, or - for stdin", "请给出 CSV 文件，或用 - 表示标准输入")
        raise Failure(USAGE, f"{name}: {error.strerror}", hint) from error
    except UnicodeDecodeError as error:
        what = say(f"{name} is not UTF-8 (byte {error.start})", f"{name} 不是 UTF-8（第 {error.start} 字节）")
        raise Failure(USAGE, what, say("save it as CSV UTF-8", "另存为 CSV UTF-8")) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    found = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                found.append((reader.line_num, cells))
    except csv.Error as error:
        mistakes.append(f"{name}:{reader.line_num}: {error}")
    return found


def name_of(file):
    return "stdin" if file == "-" else file


def ordered(file, rows):
    """(rows by time without copies, number of copies); Failure where two values have the same time."""
    kept, duplicates, conflicts = [], 0, []
    for row in sorted(rows, key=lambda row: row[1]):
        if not kept or kept[-1][1] != row[1]:
            kept.append(row)
        elif row[2] is None or kept[-1][2] is None or kept[-1][2] == row[2]:
            duplicates += 1
            if kept[-1][2] is None:
                kept[-1] = row
        else:
            conflicts.append(
                f"{name_of(file)}:{kept[-1][0]} and {name_of(file)}:{row[0]}: two values at {clock.text(row[1])}, "
                f"{kept[-1][2]} and {row[2]}"
            )
    if conflicts:
        raise Failure(USAGE, "\n".join(conflicts[:SHOWN_MISTAKES]), say("keep the true one", "保留正确的一行"))
    return kept, duplicates


def median(times):
    """The median spacing in ms, the lower one of two; None for fewer than two readings."""
    spacings = sorted(after - before for before, after in pairwise(times))
    return spacings[(len(spacings) - 1) // 2] if spacings else None
