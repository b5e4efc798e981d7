"""SM4-GCM (RFC 8998; NIST SP 800-38D): encrypts and authenticates, with initial values of 12 bytes and tags of 16.

One key and one initial value serve one message, ever: the second tells the sum of both plaintexts and the tag's key. A
counter that survives a restart is the right initial value where random numbers are poor.
"""

from array import array

from carbonterm.errors import GmError
from carbonterm.gm import sm4
from carbonterm.gm.sm4 import Cipher, sized

TAG = 16
_LIMIT = (1 << 36) - 32  # bytes under one initial value, SP 800-38D 5.2.1.1
_R = 0xE1 << 120  # x^128 + x^7 + x^2 + x + 1, the first bit is the coefficient of 1


class Gcm:
    """One key: `.seal(iv, data, aad=b"")`, `.open(iv, sealed, aad=b"")`. GmError for wrong lengths and wrong tags."""

    __slots__ = ("_cipher", "_table")

    def __init__(self, key):
        self._cipher = Cipher(key)
        self._table = multiples(self._cipher.encrypt(bytes(16)))

    def seal(self, iv, data, aad=b""):
        """`data` encrypted, and the tag over it and `aad` after it."""
        counter = _counter(iv)
        if len(data) > _LIMIT:
            raise GmError("%d bytes are too many for one GCM message" % len(data), "send them in parts")
        out = self._cipher.ctr(counter + b"\x00\x00\x00\x02", data)
        return out + self._tag(counter, out, aad)

    def open(self, iv, sealed, aad=b""):
        """What was sealed with the same iv and aad. Nothing is decrypted before the tag is found right."""
        counter = _counter(iv)
        if not TAG <= len(sealed) <= _LIMIT + TAG:
            raise GmError("%d bytes are no sealed message" % len(sealed), "it is the ciphertext and a tag of 16 bytes")
        sealed = bytes(sealed)
        data = sealed[:-TAG]
        wrong = 0
        for right, given in zip(self._tag(counter, data, aad), sealed[-TAG:]):
            wrong |= right ^ given
        if wrong:
            raise GmError("the tag is wrong", "another key, iv or aad was used, or the message was changed")
        return self._cipher.ctr(counter + b"\x00\x00\x00\x02", data)

    def _tag(self, counter, data, aad):
        state = bytearray(16)
        for part in (aad, data):
            if part:
                _ghash(self._table, state, bytes(part) + bytes(-len(part) % 16))
        _ghash(self._table, state, (len(aad) * 8).to_bytes(8, "big") + (len(data) * 8).to_bytes(8, "big"))
        return self._cipher.ctr(counter + b"\x00\x00\x00\x01", state)


def multiples(h):
    """The table of GHASH with H = h (16 bytes): words of the 16 products with four bits, then 16 of the reduction."""
    table = []
    for bits in range(16):
        product = _times(bits << 124, int.from_bytes(h, "big"))
        table.extend([product >> shift & 0xFFFFFFFF for shift in (96, 64, 32, 0)])
    for bits in range(16):
        table.append(_times(1 << 123, bits) >> 96)
    return array("I", table)


def _times(x, y):
    """The product in the field, bit by bit as SP 800-38D 6.3 says."""
    found = 0
    for i in range(127, -1, -1):
        if x >> i & 1:
            found ^= y
        y = y >> 1 ^ (_R if y & 1 else 0)
    return found


def ghash_python(table, state, data):
    """Takes whole blocks into `state`, a bytearray of 16: (state + block)·H for each."""
    products = [table[i] << 96 | table[i + 1] << 64 | table[i + 2] << 32 | table[i + 3] for i in range(0, 64, 4)]
    reduction = [word << 96 for word in table[64:]]
    y = int.from_bytes(bytes(state), "big")
    for at in range(0, len(data), 16):
        y ^= int.from_bytes(data[at : at + 16], "big")
        z = 0
        for shift in range(0, 128, 4):
            z = z >> 4 ^ reduction[z & 15] ^ products[y >> shift & 15]
        y = z
    state[:] = y.to_bytes(16, "big")


def passes_self_test(ghash):
    """True if `ghash` multiplies as the standard's own rule does."""
    h = bytes(range(97, 113))
    data = bytes(range(150, 182))
    y = 0
    for at in (0, 16):
        y = _times(y ^ int.from_bytes(data[at : at + 16], "big"), int.from_bytes(h, "big"))
    state = bytearray(16)
    ghash(multiples(h), state, data)
    return int.from_bytes(bytes(state), "big") == y


def _counter(iv):
    return sized(iv, 12, "a GCM initial value")


_ghash = ghash_python


def _choose():
    """The viper twin goes with that of SM4."""
    global _ghash
    if sm4.BACKEND == "viper":
        from carbonterm.gm.sm4_viper import ghash

        if passes_self_test(ghash):
            _ghash = ghash


_choose()
