"""SM3, the national hash (GB/T 32905-2016), and HMAC with it (RFC 2104; GB/T 15852.2).

The portable path below is always right and slow on boards, where every 32-bit word is a heap object. Its twin
sm3_viper.py compiles to machine code on MicroPython; it is taken if it loads and passes the self-test at import.
`BACKEND` says which one runs: "viper" or "python".
"""

import struct
import sys
from array import array

_IV = (b"\x73\x80\x16\x6f\x49\x14\xb2\xb9\x17\x24\x42\xd7\xda\x8a\x06\x00"
       b"\xa9\x6f\x30\xbc\x16\x31\x38\xaa\xe3\x8d\xee\x4d\xb0\xfb\x0e\x4e")
_MASK = 0xFFFFFFFF
_INNER = int.from_bytes(b"\x36" * 64, "big")
_OUTER = int.from_bytes(b"\x5c" * 64, "big")
# GB/T 32905-2016 A.1 and A.2, padded: one block, and two in one go
_SELF_TEST = (
    (b"abc\x80" + bytes(59) + b"\x18",
     b"\x66\xc7\xf0\xf4\x62\xee\xed\xd9\xd1\xf2\xd4\x6b\xdc\x10\xe4\xe2"
     b"\x41\x67\xc4\x87\x5c\xf2\xf7\xa2\x29\x7d\xa0\x2b\x8f\x4b\xa8\xe0"),
    (b"abcd" * 16 + b"\x80" + bytes(61) + b"\x02\x00",
     b"\xde\xbe\x9f\xf9\x22\x75\xb8\xa1\x38\x60\x48\x89\xc1\x8e\x5a\x4d"
     b"\x6f\xdb\x70\xe5\x38\x7e\x57\x65\x29\x3d\xcb\xa3\x9c\x0c\x57\x32"),
)


def _rounds():
    """T_j <<< j of GB/T 32905-2016 4.2 and 5.3.3 for j = 0 … 63, as an array: on 32 bits each would be an object."""
    constants = array("I")
    for j in range(64):
        t = 0x79CC4519 if j < 16 else 0x7A879D8A
        j %= 32
        constants.append((t << j | t >> (32 - j)) & _MASK)
    return constants


CONSTANTS = _rounds()


def compress_python(state, data, start, end):
    """Compresses the whole blocks data[start:end] into `state` (bytearray of 32, big-endian words), 5.3."""
    words = struct.unpack(">8I", state)
    t = CONSTANTS
    mask = _MASK
    for at in range(start, end, 64):
        w = list(struct.unpack_from(">16I", data, at))
        for j in range(16, 68):
            x = w[j - 3]
            x = w[j - 16] ^ w[j - 9] ^ (x << 15 & mask | x >> 17)
            y = w[j - 13]
            x ^= (x << 15 | x >> 17) ^ (x << 23 | x >> 9) ^ (y << 7 | y >> 25)
            w.append((x ^ w[j - 6]) & mask)
        a, b, c, d, e, f, g, h = words
        for j in range(64):
            a12 = (a << 12 | a >> 20) & mask
            ss1 = (a12 + e + t[j]) & mask
            ss1 = (ss1 << 7 | ss1 >> 25) & mask
            if j < 16:
                tt1 = ((a ^ b ^ c) + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & mask
                tt2 = ((e ^ f ^ g) + h + ss1 + w[j]) & mask
            else:
                tt1 = ((a & b | a & c | b & c) + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & mask
                tt2 = ((e & f | (e ^ mask) & g) + h + ss1 + w[j]) & mask
            d = c
            c = (b << 9 | b >> 23) & mask
            b = a
            a = tt1
            h = g
            g = (f << 19 | f >> 13) & mask
            f = e
            e = tt2 ^ ((tt2 << 9 | tt2 >> 23) & mask) ^ ((tt2 << 17 | tt2 >> 15) & mask)
        new = (a, b, c, d, e, f, g, h)
        words = [x ^ y for x, y in zip(words, new)]
    state[:] = struct.pack(">8I", *words)


_compress = compress_python
BACKEND = "python"


class Hash:
    """SM3 of bytes that come in pieces: `.update(data)`, `.digest()` at any time (more may follow), `.copy()`."""

    __slots__ = ("_state", "_rest", "_size")

    def __init__(self, data=b""):
        self._state = bytearray(_IV)
        self._rest = b""
        self._size = 0
        if data:
            self.update(data)

    def update(self, data):
        self._size += len(data)
        rest = self._rest
        start = 0
        if rest:
            start = 64 - len(rest)
            if len(data) < start:
                self._rest = rest + data
                return
            _compress(self._state, rest + bytes(data[:start]), 0, 64)
        end = len(data) - (len(data) - start) % 64
        if end > start:
            _compress(self._state, data, start, end)
        self._rest = bytes(data[end:])

    def digest(self):
        """32 bytes."""
        rest = self._rest
        tail = rest + b"\x80" + bytes((55 - len(rest)) % 64) + struct.pack(">Q", self._size * 8)
        state = bytearray(self._state)
        _compress(state, tail, 0, len(tail))
        return bytes(state)

    def copy(self):
        other = Hash()
        other._state[:] = self._state
        other._rest = self._rest
        other._size = self._size
        return other


def digest(data):
    """SM3 of `data`, 32 bytes."""
    return Hash(data).digest()


def hmac(key, data):
    """HMAC-SM3, 32 bytes; keys of any length."""
    if len(key) > 64:
        key = digest(key)
    key = int.from_bytes(bytes(key) + bytes(64 - len(key)), "big")
    inner = Hash((key ^ _INNER).to_bytes(64, "big"))
    inner.update(data)
    outer = Hash((key ^ _OUTER).to_bytes(64, "big"))
    outer.update(inner.digest())
    return outer.digest()


def _passes_self_test(compress):
    for blocks, expected in _SELF_TEST:
        state = bytearray(_IV)
        compress(state, blocks, 0, len(blocks))
        if state != expected:
            return False
    return True


def _choose():
    """Takes the viper twin where it loads and is right; on CPython it is not even looked for."""
    global _compress, BACKEND
    if sys.implementation.name != "micropython":
        return
    try:
        from carbonterm.gm.sm3_viper import compress
    except Exception:  # no native code in this port, or code for another processor: the portable path is right anywhere
        return
    if _passes_self_test(compress):
        _compress = compress
        BACKEND = "viper"


_choose()
