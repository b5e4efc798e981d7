"""Three implementations of SM3 and SM2 that share no code, behind the same strict rules.

"core" is ours, "openssl" libcrypto 3 (gm_openssl.py: fast, and it lets other threads run), "gmssl" the pure Python
package from PyPI (gm_gmssl.py): a second opinion for those who want one, never used to sign or to make keys. Before a
foreign implementation sees a signature, lengths, ranges, r + s and the key's point are checked as GB/T 32918.2-2016 7.1
asks. SM4, HMAC, KDF and SM2 encryption by the same three are in gm_ciphers.py.
"""

from functools import lru_cache

from carbonterm.errors import GmError, quoted
from carbonterm.gm import sm2, sm3
from carbonterm.gm.curve import N, on_curve
from carbonterm_host import gm_gmssl, gm_openssl

BACKENDS = ("core", "openssl", "gmssl")


def digest(data, backend="core"):
    """SM3 of `data`, 32 bytes."""
    if backend == "openssl":
        return gm_openssl.digest(data)
    if backend == "gmssl":
        return gm_gmssl.digest(data)
    return _core(backend, sm3.digest)(data)


def verify(public, message, signature, backend="core"):
    """True if `backend` accepts the 64-byte signature by the 64-byte public key; False for all else.

    GmError only for a backend that is unknown or not there.
    """
    if backend == "openssl":
        gm_openssl.load()
        return _well_formed(public, signature) and gm_openssl.verify(public, message, signature)
    if backend == "gmssl":
        gm_gmssl.load()
        return _well_formed(public, signature) and gm_gmssl.verify(public, message, signature)
    return _core(backend, sm2.verify)(public, message, signature)


def sign(private, message, backend="core"):
    """64-byte signature: "core" with its derived nonce, "openssl" with a random one; gmssl is never asked."""
    if backend == "openssl":
        return gm_openssl.sign(private, message)
    if backend == "gmssl":
        raise GmError("gmssl does not sign here: its nonces are predictable", "sign with core or openssl")
    return _core(backend, sm2.sign)(private, message)


@lru_cache(maxsize=1)
def best():
    """The fastest backend here: "openssl" where it is installed and gets a known answer right, else "core"."""
    private = bytes(31) + b"\1"
    public, signature = sm2.public(private), sm2.sign(private, b"carbonterm")
    try:
        right = (
            gm_openssl.digest(b"abc") == sm3.digest(b"abc")
            and gm_openssl.verify(public, b"carbonterm", signature)
            and not gm_openssl.verify(public, b"Carbonterm", signature)
        )
    except GmError:
        right = False
    return "openssl" if right else "core"


def _core(backend, function):
    if backend != "core":
        raise GmError(f"there is no backend {quoted(str(backend))}", "use one of: " + ", ".join(BACKENDS))
    return function


def _well_formed(public, signature):
    if len(public) != 64 or len(signature) != 64:
        return False
    x, y, r, s = (int.from_bytes(part, "big") for part in (public[:32], public[32:], signature[:32], signature[32:]))
    return 0 < r < N and 0 < s < N and (r + s) % N != 0 and on_curve(x, y)
