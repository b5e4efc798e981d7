"""Minutes of many points for the pipeline, the same on every runtime: a site, its readings, what follows from them.

`derived(points, minutes, seed)` folds them as a terminal does and gives (how many derived entries, SM3 over them).
"""

from carbonterm import cbor, clock
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.pipeline import Pipeline
from carbonterm.site import Site
from seeded import Random
from sites import compiled, document, point

BEGIN = clock.parse("2026-02-27T21:59:00+08:00")
MODULUS = 1000000  # at two decimals


def site(points, closings=(2, 3, 4, 5)):
    """The canonical Site of `points` registers, each the only one of a source, and a source of them all."""
    constants = [["EF", "tCO2/MWh", -4, 5306]]
    rows = [point("P%d" % i, i % 3, modulus=[MODULUS, -2]) for i in range(points)]
    for i in range(points):
        rows[i][5] = 10 * i
    sources = []
    for i in range(points + 1):
        feeds = [[i, 1, 1000]] if i < points else [[k, 1, 1000] for k in range(points)]
        one = compiled("S%d" % i, 2, "AD*EF*0.97", [["AD", "MWh"]], constants)
        sources.append(["S%d" % i, one, [["AD", feeds]]])
    return Site(document(points=rows, sources=sources, closings=closings))


def readings(points, minutes, seed, trouble=0):
    """Iterates (time_ms, rows) of a minute each; one row in `trouble` is late, absent, wrong or silent."""
    dice = Random(seed)
    values = [dice.below(MODULUS) for _ in range(points)]
    for minute in range(minutes):
        time_ms = BEGIN + 60000 * minute + dice.below(900)
        rows = []
        for i in range(points):
            values[i] = (values[i] + dice.below(300)) % MODULUS
            row = [i, 0, 0, -2, values[i]]
            if trouble and dice.below(trouble) == 0:
                row = [[i, 0, 4, 0, None], [i, -3000, 1, -2, values[i]], [i, 0, 0, -2, dice.below(MODULUS)], None][
                    dice.below(4)
                ]
            if row is not None:
                rows.append(row)
        yield time_ms, rows


def folded(where, rows):
    """The derived (kind, body) of a Site's readings, one after the other."""
    pipeline, seq, document_bytes = Pipeline(), 1, where.canonical()
    one = [entries.CONFIG, [sm3.digest(document_bytes), document_bytes]]
    pipeline.fold(entries.Entry(where.terminal_id, 0, 0, BEGIN - 60000, 3, one[0], one[1], None))
    for time_ms, body in rows:
        entry = entries.Entry(where.terminal_id, 0, seq, time_ms, 3, entries.READINGS, [body, None], None)
        seq += 1
        for found in pipeline.fold(entry):
            yield found[2], found[3]


def digest(bodies):
    """(how many, SM3 over them in hex) of (kind, body)."""
    count, hasher = 0, sm3.Hash()
    for kind, body in bodies:
        hasher.update(cbor.encode([kind, body]))
        count += 1
    return count, "".join(["%02x" % byte for byte in hasher.digest()])
