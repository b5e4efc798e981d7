"""A bundle against others: another bundle of the same terminal, and what the platform holds (T-7.4-2).

`clone` compares two bundles entry by entry; `ask` gets a platform's signed receipt over exactly as many entries as the
bundle has, so that one changed bit shows.
"""

import ssl
import urllib.error
import urllib.parse
import urllib.request

from carbonterm.errors import CarbonError, LedgerError
from carbonterm.ledger import bundle, entry
from carbonterm.ledger.tree import leaf
from carbonterm.uplink.message import MAX_ANSWER, Receipt, Refusal
from carbonterm_host.screen import UNREACHABLE, USAGE, Failure

TIMEOUT_S = 30


def clone(first, second, hasher, verify):
    """The first place where two bundles (binary files) of one terminal have other bytes under one key: {"epoch",
    "seq", "leaves": [{"leaf", "entry", "fingerprint", "signed"}, …]}, or None.

    Where both are signed, the key was used for two histories: by a clone, or by a terminal that was set back.
    """
    ours, theirs = _entries(first, hasher), _entries(second, hasher)
    one, other = next(ours, None), next(theirs, None)
    while one and other:
        if one[0] != other[0]:
            if one[0] < other[0]:
                one = next(ours, None)
            else:
                other = next(theirs, None)
            continue
        if one[1] != other[1]:
            (epoch, seq), leaves = one[0], []
            for _, raw, fingerprint, public in (one, other):
                signed = public is not None and verify(public, raw, fingerprint)
                leaves.append({
                    "leaf": leaf(raw).hex(), "entry": raw.hex(), "fingerprint": fingerprint.hex(),
                    "public": public and public.hex(), "signed": signed,
                })  # fmt: skip
            return {"epoch": epoch, "seq": seq, "leaves": leaves}
        one, other = next(ours, None), next(theirs, None)
    return None


def _entries(file, hasher):
    """Iterates ((epoch, seq), bytes, fingerprint, key); ends where the bundle breaks, which its own verdict says."""
    keys = {}
    try:
        for _, frame in bundle.read(file, hasher()):
            if frame[0] == "key":
                keys[frame[1]] = frame[2]
            elif frame[0] == "entry":
                found = entry.decode(frame[1])
                yield (found.epoch, found.seq), frame[1], frame[2], keys.get(found.epoch)
    except LedgerError:
        return


def ask(url, terminal_id, epoch, size, ca=None):
    """The platform's Receipt over the first `size` entries of an epoch, or over all it has where it has fewer or `size`
    is None; its signature is not checked. None where it knows no such terminal and epoch; Failure without an answer."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Failure(USAGE, f"--platform {url} is no address", "give https://HOST:PORT")
    context = None
    if parts.scheme == "https":
        try:
            context = ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise Failure(USAGE, f"--ca {ca} cannot be read: {error}", "give the CA in PEM, ca.pem") from None
    path = f"/v1/terminals/{urllib.parse.quote(terminal_id)}/entries?epoch={epoch}"
    if size is not None:
        path += f"&size={size}"
    try:
        with urllib.request.urlopen(url.rstrip("/") + path, context=context, timeout=TIMEOUT_S) as answer:
            return Receipt.decode(answer.read(MAX_ANSWER + 1))
    except urllib.error.HTTPError as error:
        try:
            refusal = Refusal.decode(error.read(MAX_ANSWER + 1))
        except CarbonError:
            refusal = None
        if refusal and refusal.code == "unknown-terminal":
            return None
        why = refusal.reason if refusal else f"status {error.code}"
        raise Failure(UNREACHABLE, f"{url} refused: {why}", "is it a carbonterm platform?") from None
    except (OSError, CarbonError) as error:
        raise Failure(UNREACHABLE, f"{url} gave no answer: {error}", "check the address and --ca") from None
