"""Verdicts signed by who ran the bench: an operator's or an institute's SM2 key (carbonterm key operator).

What is signed is the text "carbonterm/bench/1", a line feed and verdicts.json as it stands, which has the digests of
the log, of ground truth, of the site document and of the scenario. The signature is in verdicts.sig.json beside it.
"""

import json
from pathlib import Path

from carbonterm.errors import CarbonError
from carbonterm.gm import sm2, sm3
from carbonterm_host.commands import key as keys
from carbonterm_host.screen import USAGE, Failure

HEAD = b"carbonterm/bench/1\n"


def load(path):
    """(Signer, name) of a key file; Failure where it is none."""
    try:
        return keys.load(Path(path))
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None


def sign(folder, signer, name):
    """Writes verdicts.sig.json."""
    signature = signer.sign(HEAD + (folder / "verdicts.json").read_bytes())
    told = {"signed_by": name, "public_key": signer.public.hex(), "signature": signature.hex()}
    (folder / "verdicts.sig.json").write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


def verify(folder, trusted):
    """(the verdicts, None) or (what could be read, why they are not to be believed). trusted: NAME:PUBLICHEX."""
    name, _, public = trusted.rpartition(":")
    try:
        public = bytes.fromhex(public)
        data = (folder / "verdicts.json").read_bytes()
        result = json.loads(data)
        told = json.loads((folder / "verdicts.sig.json").read_text(encoding="utf-8"))
        signature, signed_by, files = bytes.fromhex(told["signature"]), told["signed_by"], result["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, f"nothing signed can be read in {folder}: {error}"
    if len(public) != 64 or not name:
        return result, f"'{trusted}' is not NAME:PUBLICHEX; carbonterm key show prints it"
    if signed_by != name or not sm2.verify(public, HEAD + data, signature):
        return result, f"this is not signed by {name} with that key"
    for file, digest in files:
        try:
            if sm3.digest((folder / file).read_bytes()).hex() != digest:
                return result, f"{file} is not the file that was judged"
        except OSError as error:
            return result, f"{file} cannot be read: {error.strerror}"
    return result, None
