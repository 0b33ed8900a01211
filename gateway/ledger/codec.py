"""How what a ledger has of patients stands in its file: in clear, or encrypted with a key of the site.

Theory of operation. A file is wholly in clear or wholly encrypted with one key, and a connection carries the codec of
its file: whoever writes or reads such a value asks it. The cipher is AES-256-SIV, which is authenticated and
deterministic: equal numbers of the same kind come out equal, so that they are found by the same indexes as in clear,
and a message that is recorded twice is recognised. Every other value is bound to its row and its column, so that one
that was altered or moved does not open. Keys are derived for each ledger's epoch: two ledgers of one key have nothing
in common.

Without the key nothing of it can be read, and everything else can: the hash chain is verified without it.
"""

import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.ledger.errors import LedgerDamaged, LedgerLocked
from gateway.ledger.key_ring import LedgerKey

_SIV_BYTES = 64  # AES-256-SIV takes two keys of 256 bits


class Codec:
    """In clear: every value is stored as it is. `bound` says what a value is, and of which row."""

    key_id = ""  # of the key; "" in clear
    reads = True

    def lock(self, plain: bytes, *bound: str) -> bytes:
        """The value as it is stored. Raises LedgerLocked without the key."""
        return plain

    def open(self, stored: bytes, *bound: str) -> bytes:
        """The value as it was. Raises LedgerDamaged if it was altered or moved, LedgerLocked without the key."""
        return stored

    def lock_text(self, plain: str, *bound: str) -> str:
        """As `lock`, of a text."""
        return plain

    def open_text(self, stored: str, *bound: str) -> str:
        """As `open`, of a text."""
        return stored


class Cipher(Codec):
    """With a key. `context` is what the values lie in: a ledger's epoch, or another name."""

    def __init__(self, key: LedgerKey, context: str) -> None:
        self.key_id = key.id
        derived = HKDF(SHA256(), _SIV_BYTES, salt=None, info=f"capgate ledger\n{context}".encode())
        self._siv = AESSIV(derived.derive(key.secret))

    def lock(self, plain: bytes, *bound: str) -> bytes:
        """The ciphertext, 16 bytes longer."""
        return self._siv.encrypt(plain, [_encoded(bound)])

    def open(self, stored: bytes, *bound: str) -> bytes:
        """The plaintext."""
        try:
            return self._siv.decrypt(stored, [_encoded(bound)])
        except (InvalidTag, ValueError) as error:  # ValueError: too short
            raise LedgerDamaged(f"the {bound[0]} does not open with the key: it was altered or moved") from error

    def lock_text(self, plain: str, *bound: str) -> str:
        """The ciphertext as URL-safe base64 without padding."""
        return urlsafe_b64encode(self.lock(plain.encode(), *bound)).decode().rstrip("=")

    def open_text(self, stored: str, *bound: str) -> str:
        """The plaintext."""
        try:
            ciphertext = urlsafe_b64decode(f"{stored}==".encode("ascii"))
        except ValueError:  # not ASCII, or no base64
            ciphertext = b""
        if urlsafe_b64encode(ciphertext).decode().rstrip("=") != stored:
            raise LedgerDamaged(f"the {bound[0]} is no ciphertext: it was altered")
        return self.open(ciphertext, *bound).decode()


class Locked(Codec):
    """For want of the key nothing is read or written; `why` says so to a person."""

    reads = False

    def __init__(self, key_id: str, why: str = "") -> None:
        self.key_id = key_id
        self.why = why or f"the ledger is encrypted with key {key_id}"

    def lock(self, plain: bytes, *bound: str) -> bytes:
        """Never."""
        raise LedgerLocked(self.why)

    def open(self, stored: bytes, *bound: str) -> bytes:
        """Never."""
        raise LedgerLocked(self.why)

    def lock_text(self, plain: str, *bound: str) -> str:
        """Never."""
        raise LedgerLocked(self.why)

    def open_text(self, stored: str, *bound: str) -> str:
        """Never."""
        raise LedgerLocked(self.why)


CLEAR = Codec()


def codec_with(key: LedgerKey | None, context: str) -> Codec:
    """The codec of what lies in `context`, which a key encrypts; without one it is in clear."""
    return CLEAR if key is None else Cipher(key, context)


class LedgerConnection(sqlite3.Connection):
    """A connection to a ledger, with the codec of its file."""

    codec: Codec = CLEAR


def open_file(path: Path) -> LedgerConnection:
    """A connection that reads alone, without a codec yet. Raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, factory=LedgerConnection)


def codec_of(connection: sqlite3.Connection) -> Codec:
    """The codec that a connection carries; in clear if it carries none."""
    return connection.codec if isinstance(connection, LedgerConnection) else CLEAR


def bind(connection: sqlite3.Connection, codec: Codec) -> None:
    """Have a connection read and write with `codec`."""
    if isinstance(connection, LedgerConnection):
        connection.codec = codec
    elif codec is not CLEAR:
        raise TypeError("an encrypted ledger needs a LedgerConnection")


def found_by(codec: Codec, kind: str, number: str) -> str:
    """How a number of that kind is stored, wherever it stands; "" is no number."""
    return codec.lock_text(number, "number", kind) if number else ""


def number_of(codec: Codec, kind: str, stored: str) -> str:
    """The number that is stored so. Raises LedgerDamaged, LedgerLocked."""
    return codec.open_text(stored, "number", kind) if stored else ""


def _encoded(bound: tuple[str, ...]) -> bytes:
    """As one value, for some versions of OpenSSL leave empty ones out of the authentication."""
    return b"".join([b"%d:%b," % (len(each), each) for each in (part.encode(errors="replace") for part in bound)])
