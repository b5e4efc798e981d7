"""SM3, SM2 and SM4 by gmssl 3.2.2, the pure Python package of PyPI, with what it does not check itself checked here.

It draws nonces and keys from a predictable generator: it never signs, never encrypts with SM2 and never makes a key.
Its constructor damages public keys that begin with 04, its SM2 decryption does not compare the hash C3, its CBC does
not look at the padding, and its verification checks no ranges (gm_backends.py does, before it is called). It has no
CTR and no HMAC: here they are made of its block and its digest; it has no GCM and no key exchange.
"""

from functools import lru_cache

from carbonterm.errors import GmError
from carbonterm.gm.sm4 import xor


@lru_cache(maxsize=1)
def load():
    """The package; GmError if it is not installed."""
    try:
        import gmssl.sm2
        import gmssl.sm3
        import gmssl.sm4
    except ImportError as reason:
        raise GmError(f"the backend gmssl is not installed: {reason}", "pip install gmssl==3.2.2") from None
    return gmssl


def digest(data):
    return bytes.fromhex(load().sm3.sm3_hash(list(data)))  # it pads the list in place, so it gets its own


def verify(public, message, signature):
    """True or False for a well-formed 64-byte public key and signature."""
    crypt = load().sm2.CryptSM2(private_key="", public_key="")
    crypt.public_key = bytes(public).hex()  # its constructor would strip all 0 and 4 from the left of 04…
    try:
        return crypt.verify_with_sm3(bytes(signature).hex(), bytes(message)) is True
    except Exception:  # it raises TypeError where a sum is the point at infinity
        return False


def hmac(key, data):
    """RFC 2104 over its digest."""
    key = bytes(key) if len(key) <= 64 else digest(key)
    key += bytes(64 - len(key))
    return digest(xor(key, b"\x5c" * 64) + digest(xor(key, b"\x36" * 64) + bytes(data)))


def kdf(data, size):
    return bytes.fromhex(load().sm3.sm3_kdf(bytes(data).hex().encode(), size))


def block(key, data, decrypt=False):
    cipher = _sm4(key, decrypt)
    return bytes(cipher.one_round(cipher.sk, list(data)))


def cbc(key, iv, data, decrypt=False):
    """CBC with PKCS #7 padding; GmError where the padding is wrong."""
    out = _sm4(key, decrypt).crypt_cbc(bytes(iv), bytes(data))
    if decrypt and cbc(key, iv, out) != bytes(data):  # it cuts off as many bytes as the last one says, unseen
        raise GmError("the ciphertext does not end in PKCS #7 padding", "was it made with this key? is it whole?")
    return out


def ctr(key, counter, data):
    """Its block cipher over counter blocks that are counted here."""
    cipher, first = _sm4(key, False), int.from_bytes(counter, "big")
    blocks = [((first + i) % (1 << 128)).to_bytes(16, "big") for i in range((len(data) + 15) // 16)]
    stream = b"".join(bytes(cipher.one_round(cipher.sk, list(one))) for one in blocks)
    return xor(bytes(data), stream[: len(data)])


def gcm(key, iv, data, aad=b"", decrypt=False):
    raise GmError("gmssl has no GCM", "use core or openssl")


def encrypt(public, plain):
    raise GmError("gmssl does not encrypt with SM2 here: its nonces are predictable", "use core or openssl")


def decrypt(private, ciphertext):
    """C1C3C2 whose C1 is a point of the curve; GmError where C3 is another."""
    gmssl = load()
    ciphertext = bytes(ciphertext)
    crypt = gmssl.sm2.CryptSM2(private_key=bytes(private).hex(), public_key="", mode=1)
    plain = crypt.decrypt(ciphertext)
    shared = bytes.fromhex(crypt._kg(int(crypt.private_key, 16), ciphertext[:64].hex()))
    if plain is None or digest(shared[:32] + plain + shared[32:]) != ciphertext[64:96]:
        raise GmError("the SM2 ciphertext is not for this key, or was changed", "it is C1C3C2, without 04 before")
    return plain


def _sm4(key, decrypt):
    cipher = load().sm4.CryptSM4()
    cipher.set_key(bytes(key), load().sm4.SM4_DECRYPT if decrypt else load().sm4.SM4_ENCRYPT)
    return cipher
