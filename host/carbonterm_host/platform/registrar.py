"""Who may sign for which terminal, as the platform knows it: an append-only register of operators' words.

A registration by a known operator opens an epoch, a revocation ends one, the last entry of an epoch that names its
successor does both (docs/formats.md, "Keys"). Statements are kept byte for byte; none is ever changed or removed.
"""

from sqlalchemy import select

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import registry
from carbonterm.uplink.message import MAX_REASON, Refusal
from carbonterm_host.platform import store as tables
from carbonterm_host.platform.store import find_log, root_at

STATUS = {"malformed": 400, "operator": 403, "unknown-terminal": 404, "fork": 409, "revoked": 409}


class Refused(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.refusal = Refusal(code, reason[:MAX_REASON])


class Registrar:
    """operators: {name: public key}. `register` and `revoke` take the bytes of a request and give (status, answer):
    the same bytes with 200, else a Refusal."""

    def __init__(self, store, operators, verify=sm2.verify, digest=sm3.digest):
        self.store = store
        self.operators = dict(operators)
        self._verify = verify
        self._digest = digest

    def register(self, data):
        return self._answer(self._register, data)

    def revoke(self, data):
        return self._answer(self._revoke, data)

    def statements(self, terminal_id):
        """Canonical array of [kind, bytes] of all statements about a terminal, in the order they came."""
        rows = tables.statements.c
        with self.store.read() as connection:
            found = connection.execute(
                select(rows.kind, rows.data).where(rows.terminal_id == terminal_id).order_by(rows.id)
            ).all()  # fmt: skip
        return cbor.encode([[kind, data] for kind, data in found])

    def _answer(self, function, data):
        try:
            function(data)
        except LedgerError as error:
            return 400, Refusal("malformed", error.what[:MAX_REASON]).encode()
        except Refused as refused:
            return STATUS[refused.refusal.code], refused.refusal.encode()
        return 200, data

    def _register(self, data):
        found = registry.Registration.decode(data)
        if not found.possessed(self._verify):
            raise Refused("malformed", "the device did not sign: nothing shows that it has the key")
        public = self.operators.get(found.operator)
        if public is None or not found.signed_by(public, self._verify):
            raise Refused("operator", f"{found.operator} is no operator known here, or did not sign this")
        with self.store.write() as connection:
            known = find_log(connection, found.terminal_id, found.epoch)
            if known is not None and known.public != found.public:
                raise Refused("fork", f"epoch {found.epoch} is registered with another key; a new key needs the next")
            if known is None:
                if found.previous is not None:
                    self._follow(connection, found)
                tables.open_log(connection, found.terminal_id, found.epoch, found.public)
            tables.state(connection, found.terminal_id, found.epoch, "registration", data, self._digest)

    def _follow(self, connection, found):
        """A new device: it must go on from what was cosigned last, and the old epoch takes nothing more."""
        epoch, size, root = found.previous
        log = find_log(connection, found.terminal_id, epoch)
        if log is None:
            raise Refused("unknown-terminal", f"epoch {epoch}, which it follows, is not known here")
        newest = tables.newest_size(connection, log)
        if size != newest or root != root_at(connection, log, size, self._digest):
            raise Refused("fork", f"epoch {epoch} was cosigned last over {newest} entries, not over these {size}")
        tables.end_log(connection, log, f"epoch {found.epoch} follows by the word of {found.operator}")

    def _revoke(self, data):
        found = registry.Revocation.decode(data)
        if not any(found.signed_by(public, self._verify) for public in self.operators.values()):
            raise Refused("operator", "no operator known here signed this")
        with self.store.write() as connection:
            log = find_log(connection, found.terminal_id, found.epoch)
            if log is None:
                raise Refused("unknown-terminal", "no key is registered for this terminal and epoch")
            tables.end_log(connection, log, f"revoked from entry {found.seq} on: {found.reason}")
            tables.state(connection, found.terminal_id, found.epoch, "revocation", data, self._digest)

