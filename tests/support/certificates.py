"""Certificates that nobody vouches for but themselves, valid until a day of choice."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificate(until: datetime, key: EllipticCurvePrivateKey | None = None, name: str = "gw-01") -> bytes:
    """One for `name`, as PEM."""
    subject, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key or new_key()
    draft = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(until - timedelta(days=400)).not_valid_after(until)
    return draft.sign(key, SHA256()).public_bytes(Encoding.PEM)


def new_key() -> EllipticCurvePrivateKey:
    """A private key."""
    return generate_private_key(SECP256R1())


def pem(key: EllipticCurvePrivateKey) -> bytes:
    """The key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
