"""SM2 encryption (GB/T 32918.4-2016): C1 || C3 || C2, where C1 is a point x||y, C3 a hash and C2 the masked plaintext.

As in keys, the point is 64 bytes without the leading 04; tools that want it get a byte 04 before the ciphertext. For a
few bytes, an SM4 key above all. `seed` is 32 fresh random bytes: the number k comes from them, the receiver's key and
the plaintext, so that two plaintexts never share a k.
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm3
from carbonterm.gm.curve import affine, multiply_base, multiply_both
from carbonterm.gm.sm2 import _bytes32, _scalar, nonces
from carbonterm.gm.sm2_exchange import kdf, point
from carbonterm.gm.sm4 import xor

OVERHEAD = 96  # bytes of a ciphertext beyond its plaintext
MAX_PLAIN = 65535


def encrypt(public, plain, seed):
    """Ciphertext, 96 bytes longer than `plain` (1 to 65535 bytes), for a 64-byte public key; seed: 32 random bytes."""
    x, y = point(public)
    if not 1 <= len(plain) <= MAX_PLAIN:
        raise GmError("SM2 encrypts 1 to %d bytes, not %d" % (MAX_PLAIN, len(plain)), "encrypt an SM4 key instead")
    if len(seed) != 32:
        raise GmError("encryption needs 32 random bytes, not %d" % len(seed), "take them from the device's generator")
    plain = bytes(plain)
    for k in nonces(int.from_bytes(bytes(seed), "big"), 0, sm3.digest(bytes(public) + plain)):
        x1, y1 = affine(*multiply_base(k))
        x2, y2 = [_bytes32(value) for value in affine(*multiply_both(0, k, x, y))]
        mask = kdf(x2 + y2, len(plain))
        if any(mask):
            return _bytes32(x1) + _bytes32(y1) + sm3.digest(x2 + plain + y2) + xor(plain, mask)


def decrypt(private, ciphertext):
    """The plaintext; GmError for anything that was not encrypted for this 32-byte private key and left as it was."""
    d = _scalar(private)
    size = len(ciphertext) - OVERHEAD
    if not 1 <= size <= MAX_PLAIN:
        raise GmError("%d bytes are no SM2 ciphertext" % len(ciphertext), "it is 96 bytes longer than its plaintext")
    ciphertext = bytes(ciphertext)
    x, y = point(ciphertext[:64])
    x2, y2 = [_bytes32(value) for value in affine(*multiply_both(0, d, x, y))]
    mask = kdf(x2 + y2, size)
    plain = xor(ciphertext[96:], mask)
    wrong = 0 if any(mask) else 1
    for right, given in zip(sm3.digest(x2 + plain + y2), ciphertext[64:96]):
        wrong |= right ^ given
    if wrong:
        raise GmError("the SM2 ciphertext is not for this key, or was changed", "it is C1C3C2, without 04 before")
    return plain
