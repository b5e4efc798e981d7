"""SM4, the national block cipher (GB/T 32907-2016), with the modes CBC and CTR (GB/T 17964-2021); GCM is in sm4_gcm.py.

A key and a block have 16 bytes. CBC pads as PKCS #7 does, CTR counts the whole block up as one big-endian number.
Neither says whether a ciphertext was changed: use GCM, or a MAC over it. Table look-ups take time that depends on the
caches and so on the key: this hinders timing from afar, it does not resist someone on the same chip.

As with SM3 the portable path is right anywhere, and its twin in sm4_viper.py is taken on MicroPython where it passes
the self-test at import. `BACKEND` says which one runs: "viper" or "python".
"""

import struct
import sys
from array import array

from carbonterm.errors import GmError

ECB, CTR, ENCRYPT_CBC, DECRYPT_CBC = range(4)
SBOX = (
    b"\xd6\x90\xe9\xfe\xcc\xe1\x3d\xb7\x16\xb6\x14\xc2\x28\xfb\x2c\x05"
    b"\x2b\x67\x9a\x76\x2a\xbe\x04\xc3\xaa\x44\x13\x26\x49\x86\x06\x99"
    b"\x9c\x42\x50\xf4\x91\xef\x98\x7a\x33\x54\x0b\x43\xed\xcf\xac\x62"
    b"\xe4\xb3\x1c\xa9\xc9\x08\xe8\x95\x80\xdf\x94\xfa\x75\x8f\x3f\xa6"
    b"\x47\x07\xa7\xfc\xf3\x73\x17\xba\x83\x59\x3c\x19\xe6\x85\x4f\xa8"
    b"\x68\x6b\x81\xb2\x71\x64\xda\x8b\xf8\xeb\x0f\x4b\x70\x56\x9d\x35"
    b"\x1e\x24\x0e\x5e\x63\x58\xd1\xa2\x25\x22\x7c\x3b\x01\x21\x78\x87"
    b"\xd4\x00\x46\x57\x9f\xd3\x27\x52\x4c\x36\x02\xe7\xa0\xc4\xc8\x9e"
    b"\xea\xbf\x8a\xd2\x40\xc7\x38\xb5\xa3\xf7\xf2\xce\xf9\x61\x15\xa1"
    b"\xe0\xae\x5d\xa4\x9b\x34\x1a\x55\xad\x93\x32\x30\xf5\x8c\xb1\xe3"
    b"\x1d\xf6\xe2\x2e\x82\x66\xca\x60\xc0\x29\x23\xab\x0d\x53\x4e\x6f"
    b"\xd5\xdb\x37\x45\xde\xfd\x8e\x2f\x03\xff\x6a\x72\x6d\x6c\x5b\x51"
    b"\x8d\x1b\xaf\x92\xbb\xdd\xbc\x7f\x11\xd9\x5c\x41\x1f\x10\x5a\xd8"
    b"\x0a\xc1\x31\x88\xa5\xcd\x7b\xbd\x2d\x74\xd0\x12\xb8\xe5\xb4\xb0"
    b"\x89\x69\x97\x4a\x0c\x96\x77\x7e\x65\xb9\xf1\x09\xc5\x6e\xc6\x84"
    b"\x18\xf0\x7d\xec\x3a\xdc\x4d\x20\x79\xee\x5f\x3e\xd7\xcb\x39\x48"
)
_FK = (0xA3B1BAC6, 0x56AA3350, 0x677D9197, 0xB27022DC)
_MASK = 0xFFFFFFFF
# GB/T 32907-2016 A.1: this key as plaintext too
_KEY = b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10"
_ANSWER = b"\x68\x1e\xdf\x34\xd2\x06\x96\x5e\x86\xb3\xe9\x4f\x53\x6e\x42\x46"


def table():
    """256 words: T of GB/T 32907-2016 6.2 for a byte in the highest place; T of a word is the XOR of four, rotated."""
    words = array("I")
    for s in SBOX:
        words.append((s << 26 & _MASK | s >> 6) ^ s << 24 ^ s << 16 ^ s << 10 ^ s << 2)
    return words


class Cipher:
    """One key: blocks, CBC and CTR. Data are bytes, bytearray or memoryview; GmError for wrong lengths."""

    __slots__ = ("_decrypt", "_encrypt")

    def __init__(self, key):
        words = _expanded(sized(key, 16, "an SM4 key"))
        self._encrypt = array("I", words + [0, 0])
        words.reverse()
        self._decrypt = array("I", words + [0, 0])

    def encrypt(self, block):
        """16 bytes of 16 bytes."""
        return self._run(self._encrypt, ECB, bytearray(16), sized(block, 16, "an SM4 block"))

    def decrypt(self, block):
        """16 bytes of 16 bytes."""
        return self._run(self._decrypt, ECB, bytearray(16), sized(block, 16, "an SM4 block"))

    def encrypt_cbc(self, iv, data):
        """CBC of padded `data` of any length. iv: 16 bytes that nobody can foresee, another for each message."""
        pad = 16 - len(data) % 16
        return self._run(self._encrypt, ENCRYPT_CBC, _chain(iv), bytes(data) + bytes((pad,)) * pad)

    def decrypt_cbc(self, iv, data):
        """What encrypt_cbc was given. GmError, with one text for whatever is wrong with it, for bad padding."""
        if not data or len(data) % 16:
            raise GmError("%d bytes are no SM4-CBC ciphertext: not whole blocks" % len(data), "send it as it was made")
        out = self._run(self._decrypt, DECRYPT_CBC, _chain(iv), data)
        pad = out[-1]
        wrong = pad - 1 >> 8 | 16 - pad >> 8  # not 0 unless 1 <= pad <= 16
        for i in range(16):
            wrong |= (out[-1 - i] ^ pad) & (i - pad >> 8)  # of the last `pad` bytes
        if wrong:
            raise GmError("the ciphertext does not end in PKCS #7 padding", "was it made with this key? is it whole?")
        return out[: len(out) - pad]

    def ctr(self, counter, data):
        """CTR of data that come at once, both ways. counter: 16 bytes; no key may see a counter block twice."""
        return self.stream(counter).process(data)

    def stream(self, counter):
        """A Stream that begins with the counter block `counter`, 16 bytes."""
        return Stream(self._encrypt, _chain(counter))

    def _run(self, keys, mode, chain, data):
        out = bytearray(len(data))
        _process(keys, mode, chain, data, out)
        return bytes(out)


class Stream:
    """CTR of data that come in pieces: `.process(data)` gives as many bytes, encrypted or decrypted."""

    __slots__ = ("_counter", "_keys", "_rest")

    def __init__(self, keys, counter):
        self._keys = keys
        self._counter = counter
        self._rest = b""  # key stream that the last piece left over

    def process(self, data):
        data = bytes(data)
        rest = self._rest
        head = b""
        if rest:
            size = min(len(rest), len(data))
            head = xor(data[:size], rest[:size])
            self._rest = rest[size:]
            data = data[size:]
        if not data:
            return head
        size = len(data)
        data += bytes(-size % 16)
        out = bytearray(len(data))
        _process(self._keys, CTR, self._counter, data, out)
        self._rest = bytes(out[size:])
        return head + bytes(out[:size])


def xor(a, b):
    """Bytes of a XOR b, of one length."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def sized(value, size, what):
    """`value` as bytes; GmError unless it is bytes of that size."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise GmError(what + " is bytes", "decode the text that you have first")
    if len(value) != size:
        raise GmError("%s has %d bytes, not %d" % (what, size, len(value)), "give it as it was made")
    return bytes(value)


def process_python(keys, mode, chain, data, out):
    """`data`, whole blocks, through the cipher into `out`, which may be `data`; `chain`, a bytearray of 16, goes on.

    keys: array of the 32 round keys in the order of use and two places for the twin. mode: ECB; CTR (chain: the
    counter); ENCRYPT_CBC, DECRYPT_CBC (chain: the block before).
    """
    t0, t1, t2, t3 = _tables()
    rounds = [keys[i : i + 4] for i in range(0, 32, 4)]
    c = struct.unpack(">4I", chain)
    for at in range(0, len(data), 16):
        d = struct.unpack_from(">4I", data, at)
        x0, x1, x2, x3 = c if mode == CTR else d
        if mode == ENCRYPT_CBC:
            x0, x1, x2, x3 = x0 ^ c[0], x1 ^ c[1], x2 ^ c[2], x3 ^ c[3]
        for k0, k1, k2, k3 in rounds:
            b = x1 ^ x2 ^ x3 ^ k0
            x0 ^= t0[b >> 24] ^ t1[b >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[b & 255]
            b = x2 ^ x3 ^ x0 ^ k1
            x1 ^= t0[b >> 24] ^ t1[b >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[b & 255]
            b = x3 ^ x0 ^ x1 ^ k2
            x2 ^= t0[b >> 24] ^ t1[b >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[b & 255]
            b = x0 ^ x1 ^ x2 ^ k3
            x3 ^= t0[b >> 24] ^ t1[b >> 16 & 255] ^ t2[b >> 8 & 255] ^ t3[b & 255]
        y = (x3, x2, x1, x0)
        if mode == CTR:
            y = (x3 ^ d[0], x2 ^ d[1], x1 ^ d[2], x0 ^ d[3])
            c = _counted(c)
        elif mode == ENCRYPT_CBC:
            c = y
        elif mode == DECRYPT_CBC:
            y = (x3 ^ c[0], x2 ^ c[1], x1 ^ c[2], x0 ^ c[3])
            c = d
        struct.pack_into(">4I", out, at, *y)
    chain[:] = struct.pack(">4I", *c)


_process = process_python
BACKEND = "python"
_rotations = ()


def _tables():
    """`table` and what it is for the three lower bytes; made when first wanted, on a board with the twin never."""
    global _rotations
    if not _rotations:
        words = table()
        found = [words]
        for _ in range(3):
            words = array("I", [word >> 8 | word << 24 & _MASK for word in words])
            found.append(words)
        _rotations = tuple([tuple(words) for words in found])
    return _rotations


def _counted(words):
    a, b, c, d = words
    d = d + 1 & _MASK
    if not d:
        c = c + 1 & _MASK
        if not c:
            b = b + 1 & _MASK
            if not b:
                a = a + 1 & _MASK
    return a, b, c, d


def _chain(block):
    return bytearray(sized(block, 16, "an initial SM4 block"))


def _expanded(key):
    """The 32 round keys, GB/T 32907-2016 7.3."""
    words = [word ^ fk for word, fk in zip(struct.unpack(">4I", key), _FK)]
    for i in range(32):
        constant = 0
        for j in range(4):
            constant = constant << 8 | (4 * i + j) * 7 & 255
        b = words[i + 1] ^ words[i + 2] ^ words[i + 3] ^ constant
        b = SBOX[b >> 24] << 24 | SBOX[b >> 16 & 255] << 16 | SBOX[b >> 8 & 255] << 8 | SBOX[b & 255]
        words.append(words[i] ^ b ^ (b << 13 & _MASK | b >> 19) ^ (b << 23 & _MASK | b >> 9))
    return words[4:]


def passes_self_test(process):
    """True if `process` encrypts the published block in place, in every mode, chained, and counts with carries."""
    keys = _expanded(_KEY)
    keys.extend((0, 0))
    keys = array("I", keys)
    top = b"\xff" * 16
    for mode, chain, data, out, after in (
        (ECB, top, _KEY * 2, _ANSWER * 2, top),
        (CTR, _KEY, bytes(16), _ANSWER, _KEY[:15] + b"\x11"),
        (ENCRYPT_CBC, _KEY, bytes(16), _ANSWER, _ANSWER),
        (ENCRYPT_CBC, bytes(16), _KEY + xor(_KEY, _ANSWER), _ANSWER * 2, _ANSWER),
        (DECRYPT_CBC, top, _KEY * 2, xor(_ANSWER, top) + xor(_ANSWER, _KEY), _KEY),
    ):
        block, buffer = bytearray(chain), bytearray(data)
        process(keys, mode, block, buffer, buffer)
        if buffer != out or block != after:
            return False
    for ones in range(17):  # a carry into every byte
        block = bytearray(bytes(16 - ones) + b"\xff" * ones)
        process(keys, CTR, block, bytes(16), bytearray(16))
        if int.from_bytes(bytes(block), "big") != (1 << 8 * ones) % (1 << 128):
            return False
    return True


def _choose():
    """Takes the viper twin where it loads and is right; on CPython it is not even looked for."""
    global _process, BACKEND
    if sys.implementation.name != "micropython":
        return
    try:
        from carbonterm.gm.sm4_viper import process
    except Exception:  # no native code in this port, or code for another processor: the portable path is right anywhere
        return
    if passes_self_test(process):
        _process = process
        BACKEND = "viper"


_choose()
