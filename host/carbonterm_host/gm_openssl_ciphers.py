"""SM4, HMAC-SM3, KDF and SM2 encryption by OpenSSL, behind the rules of gm_ciphers.py.

All by libcrypto through ctypes (EVP_CipherInit_ex(3), HMAC(3), EVP_KDF-X963(7), EVP_PKEY_encrypt(3)), but for GCM:
libcrypto has SM4-GCM from version 3.1 on, so the one inside the package cryptography is asked. OpenSSL has no SM2 key
exchange.
"""

import ctypes
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_void_p, create_string_buffer

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from carbonterm.errors import GmError
from carbonterm.gm.der import ciphertext_from_der, ciphertext_to_der
from carbonterm_host.gm_openssl import load, private_key, public_key

_HINT = "use the core's own backend"
_UTF8_STRING, _OCTET_STRING = 4, 5  # OSSL_PARAM(3)


class _Param(ctypes.Structure):
    """OSSL_PARAM: one named argument; the last of an array has no name."""

    _fields_ = [("name", c_char_p), ("type", c_uint), ("data", c_void_p), ("size", c_size_t), ("returned", c_size_t)]


def hmac(key, data):
    library, out, size = load(), create_string_buffer(32), c_uint(0)
    key, data = bytes(key), bytes(data)
    done = library.HMAC(library.EVP_sm3(), key, len(key), data, len(data), out, byref(size))
    return _done(library, done and size.value == 32, out.raw, "HMAC")


def kdf(data, size):
    """X9.63 without shared information is the KDF of GB/T 32918.4-2016 5.4.3."""
    library = load()
    given, name = create_string_buffer(bytes(data), len(data)), create_string_buffer(b"SM3")
    params = (_Param * 3)()
    params[0] = _Param(b"digest", _UTF8_STRING, ctypes.addressof(name), 3, 0)
    params[1] = _Param(b"key", _OCTET_STRING, ctypes.addressof(given), len(data), 0)
    fetched = library.EVP_KDF_fetch(None, b"X963KDF", None)
    context = library.EVP_KDF_CTX_new(fetched)
    out = create_string_buffer(size)
    done = context and library.EVP_KDF_derive(context, out, size, ctypes.addressof(params)) == 1
    library.EVP_KDF_CTX_free(context)
    library.EVP_KDF_free(fetched)
    return _done(library, done, out.raw, "KDF")


def block(key, data, decrypt=False):
    return _sm4(load().EVP_sm4_ecb(), key, None, data, decrypt, padded=False)


def cbc(key, iv, data, decrypt=False):
    out = _sm4(load().EVP_sm4_cbc(), key, bytes(iv), data, decrypt, padded=True)
    if out is None:
        raise GmError("the ciphertext does not end in PKCS #7 padding", "was it made with this key? is it whole?")
    return out


def ctr(key, counter, data):
    return _sm4(load().EVP_sm4_ctr(), key, bytes(counter), data, False, padded=False)


def gcm(key, iv, data, aad=b"", decrypt=False):
    """`data` and its tag of 16 bytes, or what they were; GmError for a wrong tag."""
    data = bytes(data)
    if not decrypt:
        one = Cipher(algorithms.SM4(bytes(key)), modes.GCM(bytes(iv))).encryptor()
        one.authenticate_additional_data(bytes(aad))
        return one.update(data) + one.finalize() + one.tag
    one = Cipher(algorithms.SM4(bytes(key)), modes.GCM(bytes(iv), data[-16:])).decryptor()
    one.authenticate_additional_data(bytes(aad))
    try:
        return one.update(data[:-16]) + one.finalize()
    except InvalidTag:
        raise GmError("the tag is wrong", "another key, iv or aad was used, or the message was changed") from None


def encrypt(public, plain):
    """C1C3C2; the number k is OpenSSL's."""
    library, key = load(), public_key(bytes(public))
    out = key and _with_key(library, key, library.EVP_PKEY_encrypt_init, library.EVP_PKEY_encrypt, bytes(plain))
    return ciphertext_from_der(_done(library, out is not None, out, "SM2 encryption"))


def decrypt(private, ciphertext):
    library, key = load(), private_key(private)
    der = ciphertext_to_der(ciphertext)
    plain = _with_key(library, key, library.EVP_PKEY_decrypt_init, library.EVP_PKEY_decrypt, der)
    if plain is None or len(plain) != len(ciphertext) - 96:
        raise GmError("the SM2 ciphertext is not for this key, or was changed", "it is C1C3C2, without 04 before")
    return plain


def _with_key(library, key, begin, run, data):
    """What `run` makes of data, or None; the first call asks how much room it wants."""
    context = library.EVP_PKEY_CTX_new(key.pointer, None)
    size, out = c_size_t(0), None
    try:
        if context and begin(context) == 1 and run(context, None, byref(size), data, len(data)) == 1:
            room = create_string_buffer(size.value)
            if run(context, room, byref(size), data, len(data)) == 1:
                out = room.raw[: size.value]
    finally:
        library.EVP_PKEY_CTX_free(context)
        library.ERR_clear_error()
    return out


def _sm4(cipher, key, iv, data, decrypt, padded):
    """The whole message, or None where its padding is wrong."""
    library, data = load(), bytes(data)
    context = library.EVP_CIPHER_CTX_new()
    out, size, last = create_string_buffer(len(data) + 32), c_int(0), c_int(0)
    try:
        if library.EVP_CipherInit_ex(context, cipher, None, bytes(key), iv, 0 if decrypt else 1) != 1:
            return _done(library, False, None, "SM4")
        library.EVP_CIPHER_CTX_set_padding(context, 1 if padded else 0)
        if library.EVP_CipherUpdate(context, out, byref(size), data, len(data)) != 1:
            return _done(library, False, None, "SM4")
        rest = ctypes.addressof(out) + size.value
        if library.EVP_CipherFinal_ex(context, rest, byref(last)) != 1:
            return None
        return out.raw[: size.value + last.value]
    finally:
        library.EVP_CIPHER_CTX_free(context)
        library.ERR_clear_error()


def _done(library, well, value, what):
    if not well:
        library.ERR_clear_error()
        raise GmError(f"OpenSSL's {what} failed", "is it switched off in openssl.cnf (FIPS)? " + _HINT)
    return value
