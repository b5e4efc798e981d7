"""SM2 signatures with SM3 (GB/T 32918.2-2016 on the curve of GB/T 32918.5-2017), ID 1234567812345678 (GB/T 35276-2017).

Keys and signatures are bytes: private 32, public 64 (x||y), signature 64 (r||s). The nonce is that of RFC 6979 with
HMAC-SM3 over h1 = e = SM3(ZA || M): no signature depends on a random generator. `extra`, 32 fresh random bytes where
the device has them, is the additional data of RFC 6979 section 3.6: it blunts fault attacks and does no harm if poor.
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm3
from carbonterm.gm.curve import GX, GY, A, B, N, P, affine, invert, multiply_base, multiply_both, on_curve

ID = b"1234567812345678"
_HINT = "a private key is 32 bytes, big-endian, a number from 1 to n - 2"


def _bytes32(value):
    return value.to_bytes(32, "big")


# ENTL || ID || a || b || xG || yG, what ZA begins with (GB/T 32918.2-2016 5.5)
_ZA_START = b"\x00\x80" + ID + b"".join([_bytes32(value) for value in (A, B, GX, GY)])


def public(private):
    """64-byte public key of a 32-byte private key."""
    return _public(_scalar(private))


def sign(private, message, extra=b""):
    """64-byte signature; GmError for a private key that is none. One key signs often: use Signer."""
    return Signer(private).sign(message, extra)


def verify(public, message, signature):
    """True if `signature` over `message` is by `public`; False for all else, wrong lengths and ranges included."""
    if len(public) != 64 or len(signature) != 64:
        return False
    public = bytes(public)
    signature = bytes(signature)
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N and t and on_curve(x, y)):
        return False
    x1, _, z = multiply_both(s, t, x, y)
    if not z:
        return False
    # r = e + x1/z² modulo N without an inversion: x1/z² is one of the numbers below P that are r - e modulo N
    square = z * z % P
    wanted = (r - int.from_bytes(_digest(_za(public), message), "big")) % N
    while wanted < P:
        if wanted * square % P == x1:
            return True
        wanted += N
    return False


class Signer:
    """One private key and what all its signatures share: `.public`, `.sign(message, extra=b"")`."""

    __slots__ = ("_factor", "_private", "_za", "public")

    def __init__(self, private):
        self._private = _scalar(private)
        self._factor = invert(1 + self._private, N)
        self.public = _public(self._private)
        self._za = _za(self.public)

    def sign(self, message, extra=b""):
        """64-byte signature of `message`."""
        h1 = _digest(self._za, message)
        e = int.from_bytes(h1, "big")
        d = self._private
        for k in nonces(d, e % N, extra):
            x, _, z = multiply_base(k)
            inverse = invert(z, P)
            r = (e + x * (inverse * inverse % P) % P) % N
            if r and r + k != N:
                s = self._factor * (k - r * d) % N
                if s:
                    return _bytes32(r) + _bytes32(s)


def nonces(private, digest, extra=b""):
    """Numbers from 1 to N - 1 as RFC 6979 sections 3.2 and 3.6 give them for a key and a digest modulo N."""
    seed = _bytes32(private) + _bytes32(digest) + extra
    key, value = bytes(32), b"\x01" * 32
    for mark in (b"\x00", b"\x01"):
        key = sm3.hmac(key, value + mark + seed)
        value = sm3.hmac(key, value)
    while True:
        value = sm3.hmac(key, value)
        k = int.from_bytes(value, "big")
        if 0 < k < N:
            yield k
        key = sm3.hmac(key, value + b"\x00")
        value = sm3.hmac(key, value)


def _scalar(private):
    if not isinstance(private, (bytes, bytearray, memoryview)) or len(private) != 32:
        raise GmError("this is no SM2 private key: it is not 32 bytes", _HINT)
    d = int.from_bytes(bytes(private), "big")
    if not 0 < d < N - 1:  # 1 + n - 1 has no inverse
        raise GmError("this is no SM2 private key: it is 0 or greater than n - 2", _HINT)
    return d


def _public(d):
    x, y = affine(*multiply_base(d))
    return _bytes32(x) + _bytes32(y)


def _za(public):
    return sm3.digest(_ZA_START + public)


def _digest(za, message):
    state = sm3.Hash(za)
    state.update(message)
    return state.digest()
