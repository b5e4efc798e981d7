"""SM4, HMAC-SM3, KDF and SM2 encryption by three implementations that share no code, behind the same strict rules.

The backends are those of gm_backends.py. What one of them has not, it says: gmssl has no GCM and encrypts nothing with
SM2, as its numbers are predictable; neither OpenSSL nor gmssl has SM2's key exchange, which is the core's alone
(carbonterm.gm.sm2_exchange). Lengths, points and private keys are checked before any backend sees them; a wrong tag,
padding or hash is a GmError by all.
"""

import secrets

from carbonterm.errors import GmError, quoted
from carbonterm.gm import sm2, sm2_encrypt, sm2_exchange, sm3, sm4, sm4_gcm
from carbonterm_host import gm_gmssl, gm_openssl_ciphers
from carbonterm_host.gm_backends import BACKENDS

MAX_KDF = 1 << 20


class _Core:
    """Ours, in the shape of gm_gmssl and gm_openssl_ciphers."""

    hmac = staticmethod(sm3.hmac)
    kdf = staticmethod(sm2_exchange.kdf)
    decrypt = staticmethod(sm2_encrypt.decrypt)

    @staticmethod
    def block(key, data, decrypt):
        cipher = sm4.Cipher(key)
        return (cipher.decrypt if decrypt else cipher.encrypt)(data)

    @staticmethod
    def cbc(key, iv, data, decrypt):
        cipher = sm4.Cipher(key)
        return (cipher.decrypt_cbc if decrypt else cipher.encrypt_cbc)(iv, data)

    @staticmethod
    def ctr(key, counter, data):
        return sm4.Cipher(key).ctr(counter, data)

    @staticmethod
    def gcm(key, iv, data, aad, decrypt):
        cipher = sm4_gcm.Gcm(key)
        return (cipher.open if decrypt else cipher.seal)(iv, data, aad)

    @staticmethod
    def encrypt(public, plain):
        return sm2_encrypt.encrypt(public, plain, secrets.token_bytes(32))


_BY = {"core": _Core, "openssl": gm_openssl_ciphers, "gmssl": gm_gmssl}


def hmac(key, data, backend="core"):
    """HMAC-SM3, 32 bytes (RFC 2104, GM/T 0042-2015 B.3)."""
    return _by(backend).hmac(bytes(key), bytes(data))


def kdf(data, size, backend="core"):
    """`size` bytes of SM3(data || counter) (GB/T 32918.4-2016 5.4.3)."""
    if not data or not 1 <= size <= MAX_KDF:
        raise GmError(f"no key of {size} bytes is made of {len(data)} bytes", f"give data, and 1 to {MAX_KDF} bytes")
    return _by(backend).kdf(bytes(data), size)


def block(key, data, decrypt=False, backend="core"):
    """One SM4 block, 16 bytes."""
    return _by(backend).block(_key(key), sm4.sized(data, 16, "an SM4 block"), decrypt)


def cbc(key, iv, data, decrypt=False, backend="core"):
    """SM4-CBC with PKCS #7 padding, whole; GmError where a ciphertext's padding is wrong."""
    if decrypt and (not data or len(data) % 16):
        raise GmError(f"{len(data)} bytes are no SM4-CBC ciphertext: not whole blocks", "send it as it was made")
    return _by(backend).cbc(_key(key), sm4.sized(iv, 16, "an initial SM4 block"), bytes(data), decrypt)


def ctr(key, counter, data, backend="core"):
    """SM4-CTR, both ways; counter: 16 bytes, the whole block counts up."""
    return _by(backend).ctr(_key(key), sm4.sized(counter, 16, "an initial SM4 block"), bytes(data))


def gcm(key, iv, data, aad=b"", decrypt=False, backend="core"):
    """SM4-GCM with a 12-byte initial value; the 16-byte tag follows the ciphertext (RFC 8998)."""
    if decrypt and len(data) < sm4_gcm.TAG:
        raise GmError(f"{len(data)} bytes are no sealed message", "it is the ciphertext and a tag of 16 bytes")
    iv = sm4.sized(iv, 12, "GCM's initial value")
    return _by(backend).gcm(_key(key), iv, bytes(data), bytes(aad), decrypt)


def encrypt(public, plain, backend="core"):
    """SM2 ciphertext C1C3C2 without 04 (GB/T 32918.4-2016) of 1 to 65535 bytes for a 64-byte public key."""
    sm2_exchange.point(public)
    most = sm2_encrypt.MAX_PLAIN
    if not 1 <= len(plain) <= most:
        raise GmError(f"SM2 encrypts 1 to {most} bytes, not {len(plain)}", "encrypt an SM4 key instead")
    return _by(backend).encrypt(bytes(public), bytes(plain))


def decrypt(private, ciphertext, backend="core"):
    """What `encrypt` was given; GmError for all that was not encrypted for this 32-byte private key."""
    sm2.public(private)
    size = len(ciphertext) - sm2_encrypt.OVERHEAD
    if not 1 <= size <= sm2_encrypt.MAX_PLAIN:
        raise GmError(f"{len(ciphertext)} bytes are no SM2 ciphertext", "it is 96 bytes longer than its plaintext")
    sm2_exchange.point(bytes(ciphertext[:64]))
    return _by(backend).decrypt(bytes(private), bytes(ciphertext))


def _by(backend):
    if backend not in _BY:
        raise GmError(f"there is no backend {quoted(str(backend))}", "use one of: " + ", ".join(BACKENDS))
    return _BY[backend]


def _key(key):
    return sm4.sized(key, 16, "an SM4 key")
