"""Keys of a platform: its SM2 key for receipts, and certificates for HTTPS.

The SM2 key is made once with os.urandom and kept in a file of mode 0600. `make_certificates` is for a plant's own
network: a CA of its own (DER for terminals, who read no PEM) and a server certificate for given names.
"""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from carbonterm.errors import GmError
from carbonterm.gm import sm2
from carbonterm_host import durable

_CA_DAYS, _SERVER_DAYS = 3650, 825


def load_or_make(path):
    """The Signer of the key in the file `path` (32 bytes), which is made if there is none; GmError for a bad file."""
    path = Path(path)
    try:
        private = path.read_bytes()
    except FileNotFoundError:
        private = _new_private()
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        durable.replace(draft, private, 0o600)
        try:
            os.link(draft, path)  # the first of two that start at once wins
        except FileExistsError:
            private = path.read_bytes()
        finally:
            draft.unlink()
        durable.flush(path.parent)
    try:
        return sm2.Signer(private)
    except GmError as error:
        raise GmError(f"{path} holds no SM2 key: {error.what}", "restore it from the backup") from None


def make_certificates(folder, names=("127.0.0.1", "localhost"), now=None):
    """Writes ca.der, ca.pem, ca.key, server.pem, server.key to `folder` (made if need be) and returns their paths.

    Keys are ECDSA P-256, mode 0600. An existing CA is used again, so that terminals need no new one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    now = now or datetime.now(UTC)
    paths = {name: folder / name for name in ("ca.der", "ca.pem", "ca.key", "server.pem", "server.key")}
    if paths["ca.key"].exists():
        ca_key = serialization.load_pem_private_key(paths["ca.key"].read_bytes(), None)
        ca = x509.load_pem_x509_certificate(paths["ca.pem"].read_bytes())
    else:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _ca(ca_key, now)
        durable.replace(paths["ca.key"], _private_pem(ca_key), 0o600)
        durable.replace(paths["ca.pem"], ca.public_bytes(serialization.Encoding.PEM), 0o644)
    durable.replace(paths["ca.der"], ca.public_bytes(serialization.Encoding.DER), 0o644)
    key = ec.generate_private_key(ec.SECP256R1())
    server = _server(key.public_key(), ca, ca_key, names, now)
    durable.replace(paths["server.key"], _private_pem(key), 0o600)
    durable.replace(paths["server.pem"], server.public_bytes(serialization.Encoding.PEM), 0o644)
    return paths


def _new_private():
    while True:
        private = os.urandom(32)
        try:
            sm2.Signer(private)
        except GmError:  # 0 or above n - 2: once in 2^32
            continue
        return private


def _ca(key, now):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carbonterm platform CA")])
    return (
        _builder(name, name, key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(public, ca, ca_key, names, now):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    return (
        _builder(subject, ca.subject, public, now, _SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject, issuer, public, now, days):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a terminal's clock may be behind
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(signs_certificates):
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _alternative(name):
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
