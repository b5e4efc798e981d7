"""Results of certification (认证结果): the platform verifies a bundle and keeps the signed report.

    body = ["carbonterm-certification-1", centre name, its public key, time_ms, who, terminal_id, SM3 of the bundle, ok,
            [[verdict, true, false or null], …], [[epoch, entries, root, same as here], …], texts of reasons]

A result that is not good is kept as well. Who may certify and what a good one means is the people's affair.
"""

import time

from sqlalchemy import insert, select

from carbonterm import cbor
from carbonterm.errors import StoreError
from carbonterm.gm import sm2, sm3
from carbonterm_host.bundles import open_bundle
from carbonterm_host.platform import store as stored
from carbonterm_host.platform.data import backup
from carbonterm_host.platform.data.tables import certifications
from carbonterm_host.verifier import Verifier

FORM = "carbonterm-certification-1"
MAX_WHO = 100


def certify(store, path, who, name, signer, verify=sm2.verify, digest=sm3.digest):
    """Verifies the bundle in the file `path`, stores the result and returns it as `listed` does.

    who: the person or body that answers for it. StoreError where the bundle is of no terminal known here.
    """
    if not 0 < len(who) <= MAX_WHO or not who.isprintable():
        raise StoreError(f"who certifies is a name of 1 to {MAX_WHO} characters", "give it with --by")
    with store.read() as connection:
        logs = connection.execute(select(stored.logs)).all()
    verifier = Verifier([log.public for log in logs], verify, digest, backup.hasher, at_ms=_now())
    with open_bundle(path) as file:
        verifier.read(file)
    report = verifier.report()
    own = {log.epoch: log for log in logs if log.terminal_id == verifier.terminal_id}
    if not own:
        raise StoreError(f"{path} is of no terminal that is registered here", "carbonterm platform register")
    hashed = _digest(path)
    rows = []
    with store.read() as connection:
        for epoch, size in sorted(verifier.sizes.items()):
            log, root = own.get(epoch), verifier.roots.get(epoch)
            held = log is not None and size <= log.next_seq
            same = held and root == stored.root_at(connection, log, size, digest)
            rows.append([epoch, size, root, same])
    ok = bool(report["ok"]) and bool(rows) and all(row[3] for row in rows)
    reasons = [f"{verdict}: {text}"[:200] for verdict, text in sorted(report["reasons"].items())]
    reasons += [f"epoch {row[0]}: the platform does not hold these entries" for row in rows if not row[3]]
    verdicts = [[verdict, value] for verdict, value in sorted(report["verdicts"].items())]
    now = _now()
    body = cbor.encode(
        [FORM, name, signer.public, now, who, verifier.terminal_id, hashed, ok, verdicts, rows, reasons]
    )
    values = {
        "log": own[max(set(own) & set(verifier.sizes), default=max(own))].id, "time_ms": now, "who": who, "ok": int(ok),
        "digest": hashed, "body": body, "signature": signer.sign(body),
    }  # fmt: skip
    with store.write() as connection:
        made = connection.execute(insert(certifications).values(**values)).inserted_primary_key[0]
    return _plain(made, body, values["signature"])


def listed(store, terminal_id):
    """The results of a terminal as plain JSON values, the newest first."""
    with store.read() as connection:
        rows = connection.execute(
            select(certifications).join(stored.logs, stored.logs.c.id == certifications.c.log)
            .where(stored.logs.c.terminal_id == terminal_id).order_by(certifications.c.id.desc()).limit(1000)
        ).all()  # fmt: skip
    return [_plain(row.id, row.body, row.signature) for row in rows]


def _plain(number, body, signature):
    _, name, public, time_ms, who, terminal_id, hashed, ok, verdicts, rows, reasons = cbor.decode(body)
    return {
        "id": number, "centre": name, "public_key": public.hex(), "time_ms": time_ms, "who": who,
        "terminal": terminal_id, "bundle": hashed.hex(), "ok": ok, "verdicts": dict(verdicts), "reasons": reasons,
        "epochs": [
            {"epoch": epoch, "entries": size, "root": root.hex() if root else None, "held": same}
            for epoch, size, root, same in rows
        ],
        "body": body.hex(), "signature": signature.hex(),
    }  # fmt: skip


def _digest(path):
    found = backup.hasher()
    with open_bundle(path) as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.digest()


def _now():
    return time.time_ns() // 1_000_000
