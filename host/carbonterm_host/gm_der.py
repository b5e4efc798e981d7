"""SM2 keys and signatures in the shapes other tools read: DER signatures (GM/T 0009-2012 7.3) and PEM public keys.

Inside this project a signature is 64 bytes r||s and a public key 64 bytes x||y; openssl wants SEQUENCE{INTEGER r,
INTEGER s} and a SubjectPublicKeyInfo (GM/T 0009-2012 7.1, OIDs of GM/T 0006-2012).
"""

import base64

from carbonterm.errors import GmError

# SEQUENCE { SEQUENCE { ecPublicKey 1.2.840.10045.2.1, sm2 1.2.156.10197.1.301 }, BIT STRING 04||x||y }
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
# SEQUENCE { 0, the same algorithm, OCTET STRING { SEQUENCE { 1, OCTET STRING d, [1] BIT STRING 04||x||y } } }
_PKCS8 = bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420")
_PKCS8_PUBLIC = bytes.fromhex("a14403420004")
_HINT = "an SM2 signature is SEQUENCE{INTEGER r, INTEGER s} in DER, 8 to 72 bytes"


def signature_to_der(raw):
    """DER of a 64-byte r||s."""
    if len(raw) != 64:
        raise GmError(f"a raw signature has 64 bytes, not {len(raw)}", "give r||s, 32 bytes each")
    body = _integer(raw[:32]) + _integer(raw[32:])
    return bytes((0x30, len(body))) + body


def signature_from_der(der):
    """64-byte r||s of a DER signature; anything DER forbids (long lengths, padding, signs, tails) is a GmError.

    It says nothing about the ranges of r and s: verification does.
    """
    der = bytes(der)
    if len(der) < 2 or der[0] != 0x30 or der[1] > 70 or der[1] != len(der) - 2:
        raise GmError(f"{len(der)} bytes are no DER signature: no sequence of that length", _HINT)
    r, at = _read_integer(der, 2)
    s, at = _read_integer(der, at)
    if at != len(der):
        raise GmError(f"a DER signature has {len(der) - at} bytes after its second integer", _HINT)
    return r + s


def public_to_der(public):
    """SubjectPublicKeyInfo of a 64-byte public key, 91 bytes."""
    if len(public) != 64:
        raise GmError(f"a public key has 64 bytes, not {len(public)}", "give x||y, 32 bytes each, no leading 04")
    return _SPKI + bytes(public)


def private_to_der(private, public):
    """PKCS #8 (RFC 5958, RFC 5915) of a 32-byte private key and its 64-byte public key, 138 bytes. A secret."""
    if len(private) != 32 or len(public) != 64:
        raise GmError("a private key has 32 bytes and its public key 64", "give d and x||y, without a leading 04")
    return _PKCS8 + bytes(private) + _PKCS8_PUBLIC + bytes(public)


def public_to_pem(public):
    """PEM text ("-----BEGIN PUBLIC KEY-----" …) of a 64-byte public key."""
    text = base64.b64encode(public_to_der(public)).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _integer(value):
    value = bytes(value).lstrip(b"\0") or b"\0"
    if value[0] & 0x80:
        value = b"\0" + value
    return bytes((0x02, len(value))) + value


def _read_integer(der, at):
    if len(der) < at + 3 or der[at] != 0x02:
        raise GmError(f"a DER signature has no integer at byte {at}", _HINT)
    size = der[at + 1]
    value = der[at + 2 : at + 2 + size]
    if not 1 <= size <= 33 or len(value) != size:
        raise GmError(f"a DER signature's integer at byte {at} has {size} bytes", _HINT)
    if value[0] & 0x80:
        raise GmError(f"a DER signature's integer at byte {at} is negative", _HINT)
    if value[0] == 0 and size > 1 and not value[1] & 0x80:
        raise GmError(f"a DER signature's integer at byte {at} is not in its shortest form", _HINT)
    value = value.lstrip(b"\0")
    if len(value) > 32:
        raise GmError(f"a DER signature's integer at byte {at} has more than 256 bits", _HINT)
    return value.rjust(32, b"\0"), at + 2 + size
