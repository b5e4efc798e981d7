"""The exception tree of the core. A message says what, where and why; the hint says what to do next."""


class CarbonError(ValueError):
    """Root of every error this project raises on bad input.

    `CarbonError(what, hint)`: `what` names the thing, the place and the reason, `hint` the way out.
    str() gives both: "what; hint".
    """

    def __init__(self, what, hint=""):
        super().__init__(what + "; " + hint if hint else what)
        self.what = what
        self.hint = hint


def quoted(text, limit=60):
    """`text` in quotes for a message, the same on every runtime: cut at `limit`, control characters as \\xNN."""
    shown = "".join(c if c >= " " and c != "\x7f" else "\\x%02x" % ord(c) for c in text[:limit])
    return "'" + shown + ("…'" if len(text) > limit else "'")


class NumberError(CarbonError):
    """A text, register or operation that gives no exact number."""


class CborError(CarbonError):
    """Bytes that are not canonical CBOR of our subset, or a value that has no such bytes."""


class ClockError(CarbonError):
    """A time that does not exist or cannot be read."""


class UnitError(CarbonError):
    """An unknown unit, or two units that do not measure the same thing."""


class FormulaError(CarbonError):
    """A formula that cannot be compiled or evaluated."""


class FrameError(CarbonError):
    """A request that has no frame, or bytes that are no valid frame."""


class SeriesError(CarbonError):
    """A series of readings that cannot be settled."""


class AccountingError(CarbonError):
    """A method, source, parameter or factor that is unknown, missing or not valid."""


class LedgerError(CarbonError):
    """An entry, segment, proof or checkpoint that breaks the log's rules."""


class UplinkError(CarbonError):
    """A message to or from a centre that breaks the protocol."""


class SiteError(CarbonError):
    """A site document that cannot be used."""


class GmError(CarbonError):
    """A key, signature or ciphertext that must not be used."""


class ModelError(CarbonError):
    """A meter model that is unknown or breaks the schema of docs/models.md."""


class AccessError(CarbonError):
    """A user, password, right or review step that is not to be had."""


class StoreError(CarbonError):
    """A backup, restore or search of a platform's store that is not possible."""
