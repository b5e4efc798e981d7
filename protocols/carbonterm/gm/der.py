"""SM2 keys and signatures in the shapes other tools read: DER (GM/T 0009-2012 7) and PEM (RFC 7468).

Inside this project a signature is 64 bytes r||s, a public key 64 bytes x||y and a private key 32 bytes; openssl wants
SEQUENCE{INTEGER r, INTEGER s}, a SubjectPublicKeyInfo (OIDs of GM/T 0006-2012), and PKCS #8 or SEC 1 for private keys.
Keys have one encoding each, as OpenSSL writes it: what differs from it in any byte is refused.
"""

import binascii

from carbonterm.errors import GmError
from carbonterm.gm import sm2
from carbonterm.gm.sm2_exchange import point

# SEQUENCE { SEQUENCE { ecPublicKey 1.2.840.10045.2.1, sm2 1.2.156.10197.1.301 }, BIT STRING 04||x||y }
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
# SEQUENCE { 0, the same algorithm, OCTET STRING { SEQUENCE { 1, OCTET STRING d, [1] BIT STRING 04||x||y } } }
_PKCS8 = bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420")
_TAIL = bytes.fromhex("a14403420004")
# SEQUENCE { 1, OCTET STRING d, [0] sm2, [1] BIT STRING 04||x||y } (RFC 5915)
_SEC1 = bytes.fromhex("30770201010420")
_SEC1_TAIL = bytes.fromhex("a00a06082a811ccf5501822d") + _TAIL
_HINT = "an SM2 signature is SEQUENCE{INTEGER r, INTEGER s} in DER, 8 to 72 bytes"
_KEY_HINT = "write the key with openssl as an SM2 key with its public half, unencrypted"


def signature_to_der(raw):
    """DER of a 64-byte r||s."""
    if len(raw) != 64:
        raise GmError("a raw signature has 64 bytes, not %d" % len(raw), "give r||s, 32 bytes each")
    body = _integer(raw[:32]) + _integer(raw[32:])
    return bytes((0x30, len(body))) + body


def signature_from_der(der):
    """64-byte r||s of a DER signature; anything DER forbids (long lengths, padding, signs, tails) is a GmError.

    It says nothing about the ranges of r and s: verification does.
    """
    der = bytes(der)
    if len(der) < 2 or der[0] != 0x30 or der[1] > 70 or der[1] != len(der) - 2:
        raise GmError("%d bytes are no DER signature: no sequence of that length" % len(der), _HINT)
    r, at = _read_integer(der, 2)
    s, at = _read_integer(der, at)
    if at != len(der):
        raise GmError("a DER signature has %d bytes after its second integer" % (len(der) - at), _HINT)
    return r + s


def ciphertext_to_der(raw):
    """DER of an SM2 ciphertext C1C3C2 without 04: SEQUENCE{INTEGER x, INTEGER y, OCTET STRING C3, OCTET STRING C2}."""
    if len(raw) <= 96:
        raise GmError("%d bytes are no SM2 ciphertext" % len(raw), "it is 96 bytes longer than its plaintext")
    raw = bytes(raw)
    body = _integer(raw[:32]) + _integer(raw[32:64]) + b"\x04\x20" + raw[64:96] + b"\x04" + _length(len(raw) - 96)
    return b"\x30" + _length(len(body) + len(raw) - 96) + body + raw[96:]


def ciphertext_from_der(der):
    """C1C3C2 of an SM2 ciphertext in DER (GM/T 0009-2012 7.2); anything DER forbids is a GmError."""
    der = bytes(der)
    if len(der) > 5 and der[0] == 0x30:
        at = 2 if der[1] < 0x80 else 2 + (der[1] & 0x7F)
        try:
            x, at = _read_integer(der, at)
            y, at = _read_integer(der, at)
        except GmError:
            at = len(der)
        if der[at : at + 2] == b"\x04\x20":
            digest = der[at + 2 : at + 34]
            at += 35
            if der[at : at + 1] and der[at] & 0x80:
                at += der[at] & 0x7F
            raw = x + y + digest + der[at + 1 :]
            if len(raw) > 96 and ciphertext_to_der(raw) == der:
                return raw
    raise GmError("%d bytes are no SM2 ciphertext in DER" % len(der), "it is SEQUENCE{x, y, C3, C2} of GM/T 0009")


def public_to_der(public):
    """SubjectPublicKeyInfo of a 64-byte public key, 91 bytes."""
    if len(public) != 64:
        raise GmError("a public key has 64 bytes, not %d" % len(public), "give x||y, 32 bytes each, no leading 04")
    return _SPKI + bytes(public)


def public_from_der(der):
    """64-byte public key of a SubjectPublicKeyInfo; GmError for another shape and for points off the curve."""
    der = bytes(der)
    if len(der) != 91 or der[:27] != _SPKI:
        raise GmError("%d bytes are no SubjectPublicKeyInfo of an SM2 key" % len(der), _KEY_HINT)
    point(der[27:])
    return der[27:]


def private_to_der(private, public, sec1=False):
    """PKCS #8 (RFC 5958), 138 bytes, or SEC 1 (RFC 5915), 121 bytes, of a private key and its public key. A secret."""
    if len(private) != 32 or len(public) != 64:
        raise GmError("a private key has 32 bytes and its public key 64", "give d and x||y, without a leading 04")
    start, tail = (_SEC1, _SEC1_TAIL) if sec1 else (_PKCS8, _TAIL)
    return start + bytes(private) + tail + bytes(public)


def private_from_der(der):
    """32-byte private key of PKCS #8 or SEC 1 as private_to_der gives them; GmError unless the public half belongs."""
    der = bytes(der)
    for start, tail in ((_PKCS8, _TAIL), (_SEC1, _SEC1_TAIL)):
        at = len(start) + 32
        if der[: len(start)] == start and der[at : at + len(tail)] == tail and len(der) == at + len(tail) + 64:
            private = der[len(start) : at]
            if sm2.public(private) != der[-64:]:
                raise GmError("the public half does not belong to the private key", "make the file anew")
            return private
    raise GmError("%d bytes are no PKCS #8 or SEC 1 of an SM2 key" % len(der), _KEY_HINT)


def public_to_pem(public):
    """PEM text ("-----BEGIN PUBLIC KEY-----" …) of a 64-byte public key."""
    return _armour("PUBLIC KEY", public_to_der(public))


def public_from_pem(text):
    """64-byte public key of a PEM text."""
    return public_from_der(_bare(text, ("PUBLIC KEY",)))


def private_to_pem(private, public, sec1=False):
    """PEM text of private_to_der. A secret."""
    return _armour("SM2 PRIVATE KEY" if sec1 else "PRIVATE KEY", private_to_der(private, public, sec1))


def private_from_pem(text):
    """32-byte private key of a PEM text: PRIVATE KEY, SM2 PRIVATE KEY or EC PRIVATE KEY."""
    return private_from_der(_bare(text, ("PRIVATE KEY", "SM2 PRIVATE KEY", "EC PRIVATE KEY")))


def _armour(label, der):
    text = binascii.b2a_base64(der)[:-1].decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN %s-----" % label] + lines + ["-----END %s-----" % label, ""])


def _bare(text, labels):
    """DER of a PEM text with one of the labels and nothing around it; line ends may be CR LF."""
    if isinstance(text, str) and len(text) <= 1000:
        lines = text.replace("\r\n", "\n").split("\n")
        for label in labels:
            try:
                der = binascii.a2b_base64("".join(lines[1:-2]).encode())
            except ValueError:
                continue
            if "\n".join(lines) == _armour(label, der):
                return der
        if "ENCRYPTED" in text:
            raise GmError("the PEM's key is encrypted", "take the password off: openssl pkey -in FILE -out PLAIN.pem")
        if text[:30].find(" PARAMETERS-----") > 0:
            raise GmError("the PEM begins with parameters", "keep the key only: openssl pkey -in FILE -out KEY.pem")
    raise GmError("the text is no PEM of an SM2 key: " + " or ".join(labels), _KEY_HINT)


def _length(size):
    """A DER length below 2^24."""
    if size < 0x80:
        return bytes((size,))
    count = 1 if size < 0x100 else 2 if size < 0x10000 else 3
    return bytes((0x80 | count,)) + size.to_bytes(count, "big")


def _integer(value):
    value = bytes(value).lstrip(b"\0") or b"\0"
    if value[0] & 0x80:
        value = b"\0" + value
    return bytes((0x02, len(value))) + value


def _read_integer(der, at):
    if len(der) < at + 3 or der[at] != 0x02:
        raise GmError("a DER signature has no integer at byte %d" % at, _HINT)
    size = der[at + 1]
    value = der[at + 2 : at + 2 + size]
    if not 1 <= size <= 33 or len(value) != size:
        raise GmError("a DER signature's integer at byte %d has %d bytes" % (at, size), _HINT)
    if value[0] & 0x80:
        raise GmError("a DER signature's integer at byte %d is negative" % at, _HINT)
    if value[0] == 0 and size > 1 and not value[1] & 0x80:
        raise GmError("a DER signature's integer at byte %d is not in its shortest form" % at, _HINT)
    value = value.lstrip(b"\0")
    if len(value) > 32:
        raise GmError("a DER signature's integer at byte %d has more than 256 bits" % at, _HINT)
    return bytes(32 - len(value)) + value, at + 2 + size
