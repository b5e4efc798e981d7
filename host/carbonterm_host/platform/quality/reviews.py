"""Reviews of key figures by several persons (多层次审核): raw, checked, reviewed, approved.

What is reviewed are a terminal's emissions of one period. Each step is a row that is never changed, over the SM3 of the
figures as they stood, signed by the centre: canonical ["carbonterm-review-1", number, terminal_id, period, start_ms,
state, who, role, time_ms, note, digest of the figures]. Where the figures are others now, the review begins anew.
"""

import json

from sqlalchemy import DDL, BigInteger, Column, Index, Integer, LargeBinary, Table, Text, event, select

from carbonterm import cbor, clock
from carbonterm.errors import AccessError, quoted
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as formats
from carbonterm_host.platform.access import audit
from carbonterm_host.platform.access.users import now_ms
from carbonterm_host.platform.store import entries, figures, logs, metadata

RAW, REJECTED = "raw", "rejected"
# state: (the next one, the right it needs)
STEPS = {RAW: ("checked", "check"), "checked": ("reviewed", "review"), "reviewed": ("approved", "approve")}
CHINESE = {RAW: "原始", "checked": "已校核", "reviewed": "已复核", "approved": "已审定", REJECTED: "退回"}
MAX_NOTE = 200

reviews = Table(
    "reviews", metadata,
    Column("id", Integer, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("period", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # that the step led to, or rejected
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the figures
    Column("signature", LargeBinary, nullable=False),
    Index("reviews_by_period", "terminal_id", "period", "start_ms", "id"),
)  # fmt: skip

for _act in ("UPDATE", "DELETE"):
    event.listen(reviews, "after_create", DDL(
        f"CREATE TRIGGER reviews_no_{_act.lower()} BEFORE {_act} ON reviews "
        f"BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END"
    ))  # fmt: skip


def step(store, signer, person, terminal_id, period, start_ms, action, note=""):
    """One step by a Person: action "advance" or "reject". The review's state (as `review` gives it); AccessError where
    there is nothing to review, the right is missing, or this person has made an earlier step of it."""
    if action not in ("advance", "reject"):
        raise AccessError(f"{quoted(str(action))} is no step", "advance or reject")
    if len(note) > MAX_NOTE or (action == "reject" and not note):
        raise AccessError(f"a note has at most {MAX_NOTE} characters, and a rejection needs one", "say why")
    with store.write() as connection:
        digest = _digest(connection, terminal_id, period, start_ms)
        if digest is None:
            raise AccessError("there is no emission of this terminal and period", "GET /v1/terminals/<id> lists them")
        state, steps = _state(connection, terminal_id, period, start_ms, digest)
        if state not in STEPS:
            raise AccessError("this is approved already", "figures that change begin a new review")
        after, right = STEPS[state]
        if not person.may(right):
            raise AccessError(f"what is {state} needs somebody who may {right}", "carbonterm platform roles")
        if person.name in [row.who for row in steps]:
            raise AccessError(f"{person.name} has made an earlier step of this review", "another person must go on")
        _add(connection, signer, person, (terminal_id, period, start_ms), after if action == "advance" else REJECTED,
             note, digest)  # fmt: skip
        what = f"review {terminal_id} {clock.PERIODS[period]} {clock.text(start_ms, 0)} {action} from {state}"
        audit.append_in(connection, audit.ADMIN, person.name, person.role, "", what)
    return review(store, terminal_id, period, start_ms)


def review(store, terminal_id, period, start_ms):
    """{"state", "changed", "steps"} of a period's emissions; changed: earlier steps were over other figures."""
    with store.read() as connection:
        digest = _digest(connection, terminal_id, period, start_ms)
        state, _ = _state(connection, terminal_id, period, start_ms, digest)
        rows = _rows(connection, terminal_id, period, start_ms)
    return {
        "terminal": terminal_id, "period": clock.PERIODS[period], "start_ms": start_ms,
        "start": clock.text(start_ms, 0), "state": state, "state_zh": CHINESE[state],
        "changed": bool(rows) and rows[-1].digest != digest,
        "steps": [
            {"state": row.state, "who": row.who, "role": row.role, "time": clock.text(row.time_ms, 0),
             "note": row.note, "digest": row.digest.hex()}
            for row in rows
        ],
    }  # fmt: skip


def listed(store, terminal_id, limit=100):
    """`review` of all periods of a terminal that have steps, the one with the newest step first."""
    rows = reviews.c
    with store.read() as connection:
        found = connection.execute(
            select(rows.period, rows.start_ms).where(rows.terminal_id == terminal_id).order_by(rows.id.desc())
        ).all()  # fmt: skip
    return [review(store, terminal_id, *key) for key in list(dict.fromkeys(map(tuple, found)))[:limit]]


def check(store, public, verify=sm2.verify):
    """Numbers of the rows that the centre did not sign as they stand, or that are missing."""
    wrong, expected = [], 1
    with store.read() as connection:
        for row in connection.execute(select(reviews).order_by(reviews.c.id)):
            wrong.extend(range(expected, row.id))
            expected = row.id + 1
            if not verify(public, _body(row), row.signature):
                wrong.append(row.id)
    return wrong


def parse(data):
    """(period, start_ms, action, note) of a request's JSON: {"period": "month", "start": "2026-01-01T00:00:00+08:00",
    "action", "note"}; AccessError."""
    try:
        found = json.loads(data)
        period = clock.PERIODS.index(found["period"])
        start_ms = clock.parse(found["start"])
        action, note = found["action"], found.get("note", "")
        if set(found) - {"period", "start", "action", "note"} or not isinstance(note, str):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise AccessError("this is no step of a review", 'send {"period", "start", "action", "note"}') from None
    return period, start_ms, action, note


def _add(connection, signer, person, key, state, note, digest):
    last = connection.execute(select(reviews.c.id).order_by(reviews.c.id.desc()).limit(1)).scalar() or 0
    row = {
        "id": last + 1, "terminal_id": key[0], "period": key[1], "start_ms": key[2], "state": state,
        "who": person.name, "role": person.role, "time_ms": now_ms(), "note": note, "digest": digest,
    }  # fmt: skip
    signature = signer.sign(_encoded(row.values()))
    connection.execute(reviews.insert().values(**row, signature=signature))


def _body(row):
    return _encoded(list(row)[:-1])


def _encoded(values):
    return cbor.encode(["carbonterm-review-1", *values])


def _rows(connection, terminal_id, period, start_ms):
    key = {"terminal_id": terminal_id, "period": period, "start_ms": start_ms}
    return connection.execute(select(reviews).filter_by(**key).order_by(reviews.c.id)).all()


def _state(connection, terminal_id, period, start_ms, digest):
    """(state, steps that led to it) over the figures with this digest."""
    state, steps = RAW, []
    for row in _rows(connection, terminal_id, period, start_ms):
        if row.digest != digest or row.state == REJECTED:
            state, steps = RAW, []
        else:
            state, steps = row.state, [*steps, row]
    return state, steps


def _digest(connection, terminal_id, period, start_ms):
    """SM3 over the leaf hashes of all entries that say what this period emitted; None where there is none."""
    leaves = connection.execute(
        select(entries.c.leaf)
        .join(figures, (figures.c.log == entries.c.log) & (figures.c.seq == entries.c.seq))
        .join(logs, logs.c.id == entries.c.log)
        .where(logs.c.terminal_id == terminal_id, figures.c.kind == formats.EMISSION, figures.c.period == period,
               figures.c.start_ms == start_ms)
        .distinct().order_by(logs.c.epoch, entries.c.seq)
    ).scalars().all()  # fmt: skip
    return sm3.digest(b"".join(leaves)) if leaves else None
