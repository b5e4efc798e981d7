"""A password's verifier: PBKDF2 (RFC 8018 5.2) with HMAC-SM3, one block of 32 bytes.

It is meant to be slow, and a terminal must not stand still meanwhile: it goes on step by step.
"""

from carbonterm.gm import sm3

_BLOCK = 64


class Pbkdf2:
    """`Pbkdf2(password, salt)`, both bytes; `.on(count)` does `count` more iterations, `.value` is what they give."""

    __slots__ = ("_inner", "_last", "_outer", "value")

    def __init__(self, password, salt):
        key = sm3.digest(password) if len(password) > _BLOCK else password
        key = key + bytes(_BLOCK - len(key))
        self._inner = sm3.Hash(bytes([byte ^ 0x36 for byte in key]))
        self._outer = sm3.Hash(bytes([byte ^ 0x5C for byte in key]))
        self._last = salt + b"\x00\x00\x00\x01"
        self.value = bytes(32)

    def on(self, count):
        found, last = int.from_bytes(self.value, "big"), self._last
        for _ in range(count):
            inner, outer = self._inner.copy(), self._outer.copy()
            inner.update(last)
            outer.update(inner.digest())
            last = outer.digest()
            found ^= int.from_bytes(last, "big")
        self._last, self.value = last, found.to_bytes(32, "big")


def derive(password, salt, count):
    """32 bytes of a password, salt and number of iterations."""
    made = Pbkdf2(password, salt)
    made.on(count)
    return made.value
