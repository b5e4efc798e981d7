"""A year of a terminal's data as a folder of files for anybody: one CSV per layer, and what they are with digests.

    raw_entries.csv  preprocessed_settlements.csv  analysis_emissions.csv  certified_results.csv  manifest.json

Each has the columns of the layer's view (docs/platform_data.md); bytes are hex. The year is that of the site's zone.
"""

import csv
import json
import os
import shutil
from pathlib import Path

from sqlalchemy import text

from carbonterm import clock
from carbonterm.errors import StoreError
from carbonterm_host.platform.access import labels
from carbonterm_host.platform.data import backup, layers, search

_TIMES = {
    "raw_entries": "time_ms", "preprocessed_settlements": "start_ms", "analysis_emissions": "start_ms",
    "certified_results": "time_ms",
}  # fmt: skip


def year(store, terminal_id, number, folder):
    """Writes the year `number` into the new folder; the manifest. StoreError where there is a folder already, for an
    unknown terminal, and for a terminal that is labelled as sensitive."""
    folder = Path(folder)
    if not 1970 <= number <= 9998:
        raise StoreError(f"{number} is no year", "give one like 2026")
    if not search.logs_of(store, terminal_id):
        raise StoreError(f"{terminal_id} is not registered here", "see /v1/terminals")
    if terminal_id in labels.listed(store):
        raise StoreError(f"{terminal_id} is labelled as sensitive: it is not exported", "carbonterm platform label")
    if os.path.lexists(folder):
        raise StoreError(f"{folder} is there already", "choose another folder")
    draft = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    try:
        draft.mkdir(parents=True)
        with store.read() as connection:
            zone = search.zone_of(connection, terminal_id)
            span = {"terminal": terminal_id, "from": clock.stamp(number, 1, 1, zone=zone),
                    "to": clock.stamp(number + 1, 1, 1, zone=zone)}  # fmt: skip
            files = {f"{name}.csv": _table(connection, name, draft / f"{name}.csv", span) for name in layers.VIEWS}
        manifest = {"form": "carbonterm-export-1", "terminal": terminal_id, "year": number,
                    "zone": clock.zone_text(zone), "files": files}  # fmt: skip
        (draft / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
        os.rename(draft, folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}", "choose another place") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _table(connection, name, path, span):
    time = _TIMES[name]
    rows = connection.execution_options(yield_per=1000).execute(
        text(f"select * from {name} where terminal = :terminal and {time} >= :from and {time} < :to order by {time}, "
             + ("id" if name == "certified_results" else "epoch, seq")), span
    )  # fmt: skip
    count, hashed = 0, backup.hasher()
    with open(path, "w+", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows.keys())
        for row in rows:
            writer.writerow([value.hex() if isinstance(value, bytes) else value for value in row])
            count += 1
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return {"rows": count, "sm3": hashed.digest().hex()}
