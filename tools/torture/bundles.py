"""Damaged and forged bundles: `carbonterm verify` never says ok of another history than the one that was written.

The bundle comes from a run of the firmware and a platform. The forger knows the format: "with an end that fits" means
that he frames what he changed and makes count and digest of the end again. A sweep resumes a verifier from the border
before the damaged frame and stops at the first offence (a verdict that is False stays so); what comes through to the
end is verified again, whole, by the plain Verifier, so a pass is never the shortcut's word.
"""

import copy
import io
import tempfile
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from carbonterm import cbor
from carbonterm.errors import LedgerError
from carbonterm.ledger import bundle
from carbonterm_host import gm_backends
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier
from tools.torture import _made, _resealed
from tools.torture.__main__ import ROOT, Unavailable

KEPT = ROOT / "build/torture"


class Offence(Exception):
    """The first one; nothing after it can make the bundle good."""


class Hasty(Verifier):
    def _offend(self, verdict, why):
        raise Offence


class Book:
    """One bundle, taken apart. `offsets`: of every frame and of the end; `contents`: the frames' canonical bytes."""

    def __init__(self, data, options):
        self.data, self.options = data, options
        self.offsets, self.contents, self._states = [], [], []
        verifier, hasher = Hasty(**options), options["hasher"]()
        hasher.update(bundle.MAGIC)
        at = len(bundle.MAGIC)
        while at < len(data):
            size = 4 + int.from_bytes(data[at : at + 4], "big")
            self._states.append((copy.deepcopy(verifier), hasher.copy()))
            self.offsets.append(at)
            self.contents.append(data[at + 4 : at + size])
            frame = cbor.decode(self.contents[-1])
            if frame[0] != "end":
                verifier.take(at, frame)
            hasher.update(data[at : at + size])
            at += size
        self.contents.pop()  # the end

    def frame_at(self, position):
        """Number of the frame that holds the byte, None for the first line."""
        found = [k for k, at in enumerate(self.offsets) if at <= position]
        return found[-1] if found else None

    def offends(self, k, tail, count=None):
        """True if the frames in `tail`, in place of frame k and all after it, offend before a fitting end could be
        read; count: of frames in a tail without an end."""
        verifier, hasher = copy.deepcopy(self._states[k][0]), self._states[k][1].copy()
        try:
            for offset, frame in bundle.resume(io.BytesIO(tail), hasher, self.offsets[k], k):
                verifier.take(offset, frame)
        except LedgerError:
            return count is None or verifier._frame < k + count
        except Offence:
            return True
        return False

    def raw(self, k, data):
        """Report of the plain Verifier of `data`, damaged from frame k on, or None where it offends early."""
        if k is not None and self.offends(k, data[self.offsets[k] :]):
            return None
        return self.report(data)

    def fitted(self, k, contents, **anchors):
        """The same of frames k … replaced by `contents`, framed, with an end that fits."""
        tail = b"".join([len(one).to_bytes(4, "big") + one for one in contents])
        if self.offends(k, tail, len(contents)):
            return None
        return self.report(ended(self.data[: self.offsets[k]] + tail, k + len(contents)), **anchors)

    def report(self, data, **anchors):
        verifier = Verifier(**self.options, **anchors)
        verifier.read(io.BytesIO(data))
        return verifier.report()


def ended(data, frames):
    """Bytes of a bundle with an end that fits `frames` frames."""
    raw = cbor.encode(["end", frames, gm_backends.digest(data, "openssl")])
    return data + len(raw).to_bytes(4, "big") + raw


class Row:
    """Counts cases; `ok(report)` says whether it is one that must not be."""

    def __init__(self, what, note="", allowed=lambda report: False):
        self.what, self.note, self.allowed = what, note, allowed
        self.cases = self.passed = 0
        self.failing = []

    def count(self, report, *case):
        self.cases += 1
        if report is not None and report["ok"]:
            if self.allowed(report):
                self.passed += 1
            else:
                self.failing.append(" ".join(map(str, case)))

    def row(self):
        note = self.note % self.passed if "%d" in self.note else self.note
        return {"what": self.what, "cases": self.cases, "violations": len(self.failing), "note": note,
                "failing": self.failing}  # fmt: skip


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def without(data, at):
    return data[:at] + data[at + 1 :]


def doubled(data, at):
    return data[: at + 1] + data[at:]


def any_byte(book, step):
    """Bits and bytes of the file as it is."""
    size = len(book.data)
    rows = [Row("a bit flipped"), Row("a byte taken out"), Row("a byte doubled"), Row("cut off at a byte")]
    for at in range(0, 8 * size, step):
        rows[0].count(book.raw(book.frame_at(at // 8), flipped(book.data, at)), "bit", at)
    for at in range(0, size, step):
        k = book.frame_at(at)
        rows[1].count(book.raw(k, without(book.data, at)), "byte", at)
        rows[2].count(book.raw(k, doubled(book.data, at)), "byte", at)
        rows[3].count(book.raw(k, book.data[:at]), "byte", at)
    return rows


def any_byte_fitted(book, anchors, step):
    """The same within the frames, framed again, with an end that fits, and the operator's key given to verify."""
    whole = book.report(book.data)

    def allowed(report):
        """The maker's name is nobody's word; a line of a signer that nobody knows is no cosignature, as counted."""
        return report["cosignatures"] < whole["cosignatures"]

    note = "%d lost a cosignature, as their count says"
    rows = [Row(f"{what}, with an end that fits", note, allowed)
            for what in ("a bit flipped", "a byte taken out", "a byte doubled")]  # fmt: skip
    creator = len(cbor.encode(cbor.decode(book.contents[0])[2]))
    for k, content in enumerate(book.contents):
        rest = book.contents[k + 1 :]
        signed = len(content) - creator if k == 0 else len(content)
        for bit in range(0, 8 * signed, step):
            rows[0].count(book.fitted(k, [flipped(content, bit), *rest], **anchors), "frame", k, "bit", bit)
        for at in range(0, signed, step):
            rows[1].count(book.fitted(k, [without(content, at), *rest], **anchors), "frame", k, "byte", at)
            rows[2].count(book.fitted(k, [doubled(content, at), *rest], **anchors), "frame", k, "byte", at)
    return rows


def swapped(book, dice, others):
    entries = [k for k, one in enumerate(book.contents) if cbor.decode(one)[0] == "entry"]
    pairs = list(pairwise(entries))
    pairs += [sorted(dice.sample(entries, 2)) for _ in range(others)]
    row = Row("two entries swapped, with an end that fits", f"{len(entries) - 1} of them neighbours")
    for a, b in pairs:
        contents = list(book.contents)
        contents[a], contents[b] = contents[b], contents[a]
        row.count(book.fitted(a, contents[a:]), a, b)
    return row


def spliced(books, step):
    row = Row("one terminal's beginning, another's end", "every border with every border, both ways")
    number = 0
    for one, other in (books, books[::-1]):
        for a in range(1, len(one.contents) + 1):
            for b in range(1, len(other.contents)):
                number += 1
                if number % step == 0:
                    row.count(one.fitted(a, other.contents[b:]), a, b)
    return row


def shortened(book, made, anchors):
    """A bundle cut at a border whose end fits is a shorter true log; what came another way shows that it is shorter."""
    whole = book.report(book.data)
    rows = [
        Row("cut at a border, with an end that fits", "%d are a shorter log and count fewer",
            lambda report: _counts(report) < _counts(whole)),
        Row("the same against the last checkpoint", "%d have all entries",
            lambda report: report["entries"] == whole["entries"]),
    ]  # fmt: skip
    for k in range(1, len(book.contents)):
        rows[0].count(book.fitted(k, []), "border", k)
        rows[1].count(book.fitted(k, [], heads=[made.late], **anchors), "border", k)
    return rows


def _counts(report):
    return report["entries"] + report["checkpoints"] + report["receipts"]


def options():
    """Back end's functions that do not compute the same thing twice in a row: most of a bundle stays as it was."""
    if gm_backends.best() != "openssl":
        raise Unavailable("OpenSSL with SM2 is not on this machine")
    fast = tools("openssl")
    return {"hasher": fast["hasher"], "verify": lru_cache(1 << 14)(fast["verify"]),
            "digest": lru_cache(1 << 14)(fast["digest"])}  # fmt: skip


def run(seed, step=1):
    """step: try every step-th case."""
    import random

    with tempfile.TemporaryDirectory() as folder:
        made = _made.bundles(Path(folder))
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "T1.bundle").write_bytes(made.bundle)
    (KEPT / "T2.bundle").write_bytes(made.other)
    return sweep(made, random.Random(seed), step)


def sweep(made, dice, step):
    books = [Book(data, options()) for data in (made.bundle, made.other)]
    book, anchors = books[0], {"operators": [made.operator]}
    if not all(one.report(one.data, **anchors)["ok"] for one in books):
        raise RuntimeError("the bundles do not verify before anything is done to them")
    rows = [*any_byte(book, step), *any_byte_fitted(book, anchors, step)]
    rows.append(swapped(book, dice, 2000 // step))
    rows.append(spliced(books, step))
    rows += shortened(book, made, anchors)
    found = [one.row() for one in rows] + _resealed.rows(book, made, 1 + step // 8)
    found[0]["note"] = f"{len(book.data)} bytes, {len(book.contents)} frames"
    return found
