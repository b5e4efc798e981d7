"""Libraries on their way: one file of methods and factor sets, with a version and the maker's SM2 signature.

    file = [FORM, content, public, signature]       canonical CBOR; signature over `content`, raw r||s, default ID
    content = cbor [name, version, made_ms, [[kind, text], …]]      kind "method" or "factors", text the JSON as it is

A package that came is kept as it is, so that old versions stay usable for old periods and anybody can check the
signature again.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from carbonterm import cbor
from carbonterm.accounting.load import load_factors, load_method
from carbonterm.errors import AccountingError, CarbonError, quoted
from carbonterm_host import gm_backends

FORM = "carbonterm-library-1"
KINDS = ("method", "factors")
MAX_BYTES = 8 << 20
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class Untrusted(AccountingError):
    """A package that its key did not sign, or that somebody else signed."""


@dataclass(frozen=True)
class Package:
    """name, version (1 …), made_ms, methods and factors (dicts), maker (public key, 64 bytes), data (the file)."""

    name: str
    version: int
    made_ms: int
    methods: tuple
    factors: tuple
    maker: bytes
    data: bytes


def pack(name, version, made_ms, texts, signer):
    """Bytes of a package. `texts`: [(kind, JSON text)]; each must load, else AccountingError."""
    if not NAME.fullmatch(name):
        raise AccountingError(f"{quoted(name)} cannot name a library", "small letters, digits and -, at most 41")
    if not 1 <= version < 1 << 31:
        raise AccountingError("a version is a number from 1", "count it up with every package")
    content = cbor.encode([name, version, made_ms, [[kind, text] for kind, text in texts]])
    data = cbor.encode([FORM, content, signer.public, signer.sign(content)])
    parse(data)
    return data


def parse(data):
    """Package of bytes; AccountingError where they are none, are damaged or are not signed by the key in them."""
    if len(data) > MAX_BYTES:
        raise _bad(f"it has more than {MAX_BYTES} bytes")
    try:
        form, content, public, signature = cbor.decode(data)
        if form != FORM or not all(isinstance(part, bytes) for part in (content, public, signature)):
            raise _bad(f"it is not [{FORM!r}, content, public key, signature]")
        if not gm_backends.verify(public, content, signature, gm_backends.best()):
            raise Untrusted("the library's signature is not that of its key", "fetch the file again")
        name, version, made_ms, rows = cbor.decode(content)
        if not (isinstance(name, str) and NAME.fullmatch(name)) or not type(version) is type(made_ms) is int:
            raise _bad("its name, version or time")
        found = {kind: [] for kind in KINDS}
        for kind, text in rows:
            found[kind].append(json.loads(text))
    except AccountingError:
        raise
    except (CarbonError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _bad(str(error)) from None
    for one in found["method"]:
        load_method(one)
    load_factors(*found["factors"])
    return Package(name, version, made_ms, tuple(found["method"]), tuple(found["factors"]), public, bytes(data))


def read(path):
    """Package of a file."""
    try:
        return parse(Path(path).read_bytes())
    except OSError as error:
        raise AccountingError(f"{path}: {error.strerror}") from None
    except CarbonError as error:
        raise AccountingError(f"{path}: {error.what}", error.hint) from None


def keep(folder, package, maker):
    """Puts a package of a trusted maker into a library folder; returns its Path.

    Another file of the same version is refused.
    """
    if package.maker != maker:
        raise Untrusted(
            f"library {package.name} is signed by {package.maker.hex()[:16]}…, not by the maker that was named",
            "ask the maker for the key by another way; --maker names the one you trust",
        )
    path = Path(folder) / "packages" / f"{package.name}-{package.version}.ctl"
    if path.exists():
        if path.read_bytes() != package.data:
            raise AccountingError(
                f"another {package.name} version {package.version} is in the library already",
                "a maker counts the version up with every change; ask which one is right",
            )
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_bytes(package.data)
    draft.replace(path)
    return path


def _bad(why):
    return AccountingError("not a library package: " + why, "make it with carbonterm factors pack")
