"""The gateway's signing key: Ed25519, made at the first start, in a file beside the ledger for its owner only.

If it is lost, a new public key must be handed out; earlier signatures stay valid. A thief can sign another chain, but
not one that agrees with the checkpoints that were published before.
"""

import os
import re
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.ledger.errors import KeyUnusable
from gateway.runtime.replace import rename_file

KEY_FILE = "checkpoint.key"
_PEM = re.compile(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----", re.DOTALL)


class SigningKey:
    """A private key; it is never given out."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(message)


def load_or_make_key(path: Path) -> SigningKey:
    """The key in `path`, made if there is none. Raises KeyUnusable, also if anyone but the owner may read it."""
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    return load_key(path)


def load_key(path: Path) -> SigningKey:
    """The key in `path`. Raises KeyUnusable."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyUnusable(f"{path} is open to others than its owner; chmod 600 mends that")
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyUnusable(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(f"{path} holds no private key in PEM") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} holds no Ed25519 key")
    return SigningKey(private)


def public_pem(raw: bytes) -> str:
    """A raw public key as PEM."""
    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_public_keys(text: bytes) -> frozenset[bytes]:
    """The raw keys in a file of one or more PEM blocks. Raises KeyUnusable."""
    keys: set[bytes] = set()
    for block in _PEM.findall(text):
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            raise KeyUnusable("a block of it is no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnusable("a key in it is no Ed25519 key")
        keys.add(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    if not keys:
        raise KeyUnusable("it holds no public key in PEM")
    return frozenset(keys)


def signed(public_raw: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is that of `message` by this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_raw).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: not a key
        return False
    return True


def _make(path: Path) -> None:
    """Make the key file atomically: complete or absent, even if the power fails."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    rename_file(draft, path)
