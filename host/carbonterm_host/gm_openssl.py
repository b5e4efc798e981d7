"""SM3 and SM2 signatures by OpenSSL 3's libcrypto through ctypes: fast, and without the interpreter lock meanwhile.

Only documented EVP calls (EVP_Digest(3), EVP_DigestVerify(3), EVP_PKEY_CTX_set1_id(3), d2i_PUBKEY(3)); SM4, HMAC, KDF
and SM2 encryption are in gm_openssl_ciphers.py. d2i functions
ignore bytes after the object, so every caller's lengths are checked before. The error queue is emptied after a failure:
Python's own ssl module reads the same queue of the same thread.
"""

import ctypes
import ctypes.util
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_uint, c_ulong, c_void_p, create_string_buffer
from functools import lru_cache

from carbonterm.errors import GmError
from carbonterm.gm import sm2
from carbonterm.gm.der import private_to_der, public_to_der, signature_from_der, signature_to_der

_LIBRARIES = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto-3-x64.dll")
_PROTOTYPES = {
    "OpenSSL_version_num": (c_ulong, []),
    "ERR_clear_error": (None, []),
    "EVP_sm3": (c_void_p, []),
    "EVP_Digest": (c_int, [c_char_p, c_size_t, c_char_p, POINTER(c_uint), c_void_p, c_void_p]),
    "d2i_PUBKEY": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "d2i_AutoPrivateKey": (c_void_p, [c_void_p, POINTER(c_char_p), c_long]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_new": (c_void_p, [c_void_p, c_void_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_set1_id": (c_int, [c_void_p, c_char_p, c_size_t]),
    "EVP_MD_CTX_new": (c_void_p, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [c_void_p, c_void_p]),
    "EVP_DigestVerifyInit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_DigestVerify": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "EVP_DigestSignInit": (c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "EVP_DigestSign": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
    "HMAC": (c_void_p, [c_void_p, c_char_p, c_int, c_char_p, c_size_t, c_char_p, POINTER(c_uint)]),
    "EVP_KDF_fetch": (c_void_p, [c_void_p, c_char_p, c_char_p]),
    "EVP_KDF_free": (None, [c_void_p]),
    "EVP_KDF_CTX_new": (c_void_p, [c_void_p]),
    "EVP_KDF_CTX_free": (None, [c_void_p]),
    "EVP_KDF_derive": (c_int, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "EVP_sm4_ecb": (c_void_p, []),
    "EVP_sm4_cbc": (c_void_p, []),
    "EVP_sm4_ctr": (c_void_p, []),
    "EVP_CIPHER_CTX_new": (c_void_p, []),
    "EVP_CIPHER_CTX_free": (None, [c_void_p]),
    "EVP_CIPHER_CTX_set_padding": (c_int, [c_void_p, c_int]),
    "EVP_CipherInit_ex": (c_int, [c_void_p, c_void_p, c_void_p, c_char_p, c_char_p, c_int]),
    "EVP_CipherUpdate": (c_int, [c_void_p, c_char_p, POINTER(c_int), c_char_p, c_int]),
    "EVP_CipherFinal_ex": (c_int, [c_void_p, c_void_p, POINTER(c_int)]),
    "EVP_PKEY_encrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_encrypt": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
    "EVP_PKEY_decrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_decrypt": (c_int, [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]),
}  # fmt: skip


@lru_cache(maxsize=1)
def load():
    """The library with its prototypes set; GmError if there is none of version 3 or later with SM3."""
    reasons = []
    for name in (*_LIBRARIES, None):
        name = name or ctypes.util.find_library("crypto")
        try:
            library = ctypes.CDLL(name) if name else None
            if library is None:
                continue
            for function, (result, arguments) in _PROTOTYPES.items():
                entry = getattr(library, function)
                entry.restype, entry.argtypes = result, arguments
        except (OSError, AttributeError) as reason:
            reasons.append(str(reason))
            continue
        if library.OpenSSL_version_num() >= 0x30000000:
            return library
        reasons.append(f"{name} is older than version 3")
    raise GmError(
        f"no OpenSSL 3 with SM2 and SM3: {'; '.join(reasons) or 'no libcrypto found'}",
        "install libssl3, or use the core's own backend",
    )


def digest(data):
    """SM3 of `data`, 32 bytes."""
    library = load()
    data = bytes(data)
    out = create_string_buffer(32)
    size = c_uint(0)
    if library.EVP_Digest(data, len(data), out, byref(size), library.EVP_sm3(), None) != 1 or size.value != 32:
        library.ERR_clear_error()
        raise GmError("OpenSSL's SM3 failed", "is SM3 switched off in openssl.cnf (FIPS)? use the core's own backend")
    return out.raw


def verify(public, message, signature):
    """True if OpenSSL accepts the 64-byte signature by the 64-byte public key; False for all else."""
    library = load()
    message = bytes(message)
    signature = signature_to_der(signature)
    key = public_key(bytes(public))
    if key is None:
        return False
    with _Context(library, key) as context:
        return (
            library.EVP_DigestVerifyInit(context.md, None, library.EVP_sm3(), None, key.pointer) == 1
            and library.EVP_DigestVerify(context.md, signature, len(signature), message, len(message)) == 1
        )


def sign(private, message):
    """64-byte signature with a nonce from OpenSSL's random generator; GmError for a private key that is none."""
    library = load()
    message = bytes(message)
    key = private_key(private)
    with _Context(library, key) as context:
        out = create_string_buffer(72)
        size = c_size_t(72)
        if (
            library.EVP_DigestSignInit(context.md, None, library.EVP_sm3(), None, key.pointer) != 1
            or library.EVP_DigestSign(context.md, out, byref(size), message, len(message)) != 1
        ):
            raise GmError("OpenSSL could not sign", "use the core's own backend")
        return signature_from_der(out.raw[: size.value])


class _Key:
    """A key inside the library, given back when nobody holds it any more."""

    def __init__(self, library, pointer):
        self.library = library
        self.pointer = pointer

    def __del__(self):
        self.library.EVP_PKEY_free(self.pointer)


@lru_cache(maxsize=256)
def public_key(public):
    """The _Key of 64 bytes, or None; a log is checked against one key many times, and reading it costs a third."""
    library = load()
    return _read_key(library, library.d2i_PUBKEY, public_to_der(public))


def private_key(private):
    """The _Key of 32 bytes; GmError for a private key that is none."""
    library = load()
    key = _read_key(library, library.d2i_AutoPrivateKey, private_to_der(bytes(private), sm2.public(private)))
    if key is None:
        raise GmError("OpenSSL does not take this private key", "use the core's own backend")
    return key


def _read_key(library, read, der):
    at = c_char_p(der)
    pointer = read(None, byref(at), len(der))
    if not pointer:
        library.ERR_clear_error()
        return None
    return _Key(library, pointer)


class _Context:
    """A message digest context bound to a _Key and our ID; gives both back at the end of the `with`."""

    def __init__(self, library, key):
        self.library = library
        self.of_key = library.EVP_PKEY_CTX_new(key.pointer, None)
        self.md = library.EVP_MD_CTX_new()

    def __enter__(self):
        if not self.of_key or not self.md or self.library.EVP_PKEY_CTX_set1_id(self.of_key, sm2.ID, len(sm2.ID)) != 1:
            self.__exit__()
            raise GmError("OpenSSL gives no context for SM2", "use the core's own backend")
        self.library.EVP_MD_CTX_set_pkey_ctx(self.md, self.of_key)
        return self

    def __exit__(self, *_):
        self.library.EVP_MD_CTX_free(self.md)
        self.library.EVP_PKEY_CTX_free(self.of_key)
        self.library.ERR_clear_error()
