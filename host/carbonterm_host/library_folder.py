"""A user's own library folder: packages, own factors with evidence, confirmations. Nothing in it is ever overwritten.

    packages/NAME-VERSION.ctl     signed packages as they came (carbonterm_host.library_package)
    factors/*.json                own factors, in the shape of the shipped ones
    evidence/DIGEST               files that prove own factors, named by their SM3
    confirmations.jsonl           one line for each confirmation against a printed text
"""

import json
from copy import copy

from carbonterm import cbor, clock
from carbonterm.accounting.load import ZONE, date, load_factors, load_method
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm.gm import sm3
from carbonterm.nearest import hint
from carbonterm.number import Number
from carbonterm_host import durable, gm_backends, library_package

CONFIRMATIONS = "confirmations.jsonl"
OWN = "own.json"
FORM = "carbonterm-confirmation-1"
# `was` and `was_from` (value and first day) name the version that was compared; `value` is what is printed, if other
_FIELDS = ("factor", "was", "was_from", "value", "document", "page", "by", "on", "valid_from", "valid_to")


def methods(folder):
    """Methods of the packages, in the order of their versions."""
    return [load_method(data) for package in _packages(folder) for data in package.methods]


def with_own(shipped, folder):
    """Factors: the shipped ones, those of packages in order, own ones, and what was confirmed."""
    found = shipped
    for package in _packages(folder):
        found = found.joined(load_factors(*package.factors))
    if folder is None:
        return found
    for path in sorted(folder.glob("factors/*.json")):
        found = found.joined(load_factors(_read(path)))
    records = confirmations(folder)
    if not records:
        return found
    found = found.joined(load_factors())
    for record in records:
        _confirmed(found, record)
    return found


def _packages(folder):
    if folder is None:
        return []
    found = [library_package.read(path) for path in folder.glob("packages/*.ctl")]
    return sorted(found, key=lambda package: (package.name, package.version))


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AccountingError(f"{path}: {error}", "correct the file, or take it out of the library") from None


# --- confirmations ---------------------------------------------------------------------------------------------------


def confirmations(folder):
    """Records of confirmations.jsonl, checked; AccountingError names the line that is wrong."""
    path = folder / CONFIRMATIONS
    found = []
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or sorted(record) != sorted((*_FIELDS, "public", "signature")):
                raise ValueError("its fields are " + ", ".join(_FIELDS))
            if not signed_rightly(record):
                raise ValueError("its signature is not that of its key")
        except (ValueError, TypeError) as error:
            raise AccountingError(f"{path}, line {number}: {error}", "take the line out, and confirm again") from None
        found.append(record)
    return found


def confirm(folder, known, record, signer=None):
    """Adds a confirmation: `record` has the fields of _FIELDS. Returns it as written, with public key and signature."""
    factor = _confirmable(known, record)
    for name in ("document", "page", "by"):
        if not record[name]:
            raise AccountingError(f"a confirmation names its {name}", f"give --{name}")
    date(record["on"], "--on")
    _corrected(factor, record)
    written = {name: record[name] for name in _FIELDS} | {"public": None, "signature": None}
    if signer is not None:
        written["public"] = signer.public.hex()
        written["signature"] = signer.sign(_signed(written)).hex()
    _append(folder / CONFIRMATIONS, json.dumps(written, ensure_ascii=False))
    return written


def signed_rightly(record):
    """True for a record whose signature is right, or that has none (it is dated only)."""
    if record["signature"] is None and record["public"] is None:
        return True
    public, signature = bytes.fromhex(record["public"]), bytes.fromhex(record["signature"])
    return gm_backends.verify(public, _signed(record), signature, gm_backends.best())


def _signed(record):
    return cbor.encode([FORM, record["public"], *[record[name] for name in _FIELDS]])


def _confirmable(known, record):
    versions = known.of_id(record["factor"])
    if versions is None:
        id = str(record["factor"])
        raise AccountingError("unknown factor " + quoted(id), hint(id, list(known.by_id), "known factors"))
    for factor in reversed(versions):
        if was(factor) == (record["was"], record["was_from"]):
            return factor
    raise AccountingError(
        f"no version of {record['factor']} is {record['was']} from {record['was_from'] or 'the beginning'}",
        "carbonterm factors show lists its versions",
    )


def was(factor):
    """(value, first day or None), by which a confirmation names a version."""
    return str(factor.value), None if factor.start is None else clock.text(factor.start, ZONE)[:10]


def _corrected(factor, record):
    """The Factor that a confirmation makes of the one it is about."""
    found = copy(factor)
    found.value = factor.value if record["value"] is None else Number(record["value"])
    found.basis, found.confidence, found.document = "confirmed", "high", record["document"]
    found.start = factor.start if record["valid_from"] is None else date(record["valid_from"], "valid_from")
    found.end = factor.end if record["valid_to"] is None else date(record["valid_to"], "valid_to") + 86400000
    if found.start is not None and found.end is not None and found.start >= found.end:
        raise AccountingError(f"{factor.id}: its validity ends before it begins", "correct --valid-from or --valid-to")
    how = "" if record["public"] is None else f", signed by {record['public'][:16]}…"
    found.confirmation = f"{record['by']}, {record['on']}: {record['document']}, {record['page']}{how}"
    return found


def _confirmed(factors, record):
    """Puts what a record confirms into Factors: in the place of a version that it bears out, or as a new version."""
    try:
        factor = _confirmable(factors, record)
        found = _corrected(factor, record)
    except CarbonError as error:
        raise AccountingError(f"{CONFIRMATIONS}: {error.what}", error.hint) from None
    if (found.value, found.start, found.end) != (factor.value, factor.start, factor.end):
        set_id = next(name for name in factors.sets if factor.id in factors.sets[name])
        factors.add(set_id, found)
        return
    versions = factors.of_id(factor.id)
    if len(versions) > 1:
        versions[versions.index(factor)] = found
    if factors.by_id[factor.id] is factor:
        factors.by_id[factor.id] = found


# --- own factors -----------------------------------------------------------------------------------------------------


def add(folder, known, row, evidence=None):
    """Adds a factor of one's own (a row as in a factor set) to factors/own.json; `evidence`: Path of a file that proves
    it, which is kept under its digest."""
    if row["id"] in known.by_id and not row.get("valid_from"):
        raise AccountingError(f"{row['id']} is there already", "a new version says from when it holds: --valid-from")
    if evidence is not None:
        data = evidence.read_bytes()
        row = row | {"evidence": sm3.digest(data).hex()}
        (folder / "evidence").mkdir(parents=True, exist_ok=True)
        (folder / "evidence" / row["evidence"]).write_bytes(data)
    path = folder / "factors" / (row["id"].replace("/", "_") + f"-{len(known.of_id(row['id']) or []) + 1}.json")
    data = {"id": "own", "name_zh": "自有因子", "name_en": "own factors", "factors": [row]}
    load_factors(data)  # refuses what is wrong with it before it is written
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=1)
    return row


def evidence(folder, factor):
    """None where a factor names no evidence, else whether the file is there and has its digest."""
    if factor.evidence is None:
        return None
    path = None if folder is None else folder / "evidence" / factor.evidence
    return path is not None and path.is_file() and sm3.digest(path.read_bytes()).hex() == factor.evidence


def _append(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        durable.write(file, line + "\n")
