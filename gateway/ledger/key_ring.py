"""The site's keys that encrypt what a ledger has of patients: a file that the site holds, one key a line.

The first key is in use. Those below it open what was written with them: a ledger until its next start, and its copies.
A key is known by its id, eight digits of its digest, which is no secret and stands in the ledger. `#` begins a remark.
"""

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from drivers.toml.text import open_regular
from gateway.ledger.errors import LedgerLocked

SECRET_BYTES = 32
_LINE = re.compile(rf"[0-9a-fA-F]{{{2 * SECRET_BYTES}}}")
_ID_DIGITS = 8


@dataclass(frozen=True)
class LedgerKey:
    """A key; its secret is never shown."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """By what people and ledgers name it."""
        return hashlib.sha256(b"capgate ledger key\n" + self.secret).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True)
class KeyRing:
    """The keys of a file, the one in use first. `path` None: the site names no file."""

    keys: tuple[LedgerKey, ...] = ()
    path: Path | None = None

    @property
    def first(self) -> LedgerKey | None:
        """The key in use; None: nothing is encrypted."""
        return self.keys[0] if self.keys else None

    def find(self, key_id: str) -> LedgerKey | None:
        """The key of that id."""
        return next((key for key in self.keys if key.id == key_id), None)

    def lacking(self, key_id: str) -> str:
        """Where a key was looked for in vain, in words."""
        if self.path is None:
            return f"is encrypted with key {key_id}, and [ledger] key_file names no file that has it"
        return f"is encrypted with key {key_id}, and {self.path} has {', '.join(key.id for key in self.keys)}"


NO_KEYS = KeyRing()


def read_ring(path: Path | None) -> KeyRing:
    """The keys in `path`; none for None. Raises LedgerLocked, also if everybody may read the file."""
    if path is None:
        return NO_KEYS
    try:
        with open_regular(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LedgerLocked(f"the ledger's key: {path} cannot be read: {why}") from error
    if mode & stat.S_IRWXO:
        raise LedgerLocked(f"the ledger's key: {path} is open to everybody, accepted: mode 0600 (chmod 600 {path})")
    keys: list[LedgerKey] = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0].strip()
        if said and not _LINE.fullmatch(said):
            accepted = f"{2 * SECRET_BYTES} hexadecimal digits, as capgate ledger new-key prints them"
            raise LedgerLocked(f"the ledger's key: {path}:{number} is no key, accepted: {accepted}")
        if said:
            keys.append(LedgerKey(bytes.fromhex(said)))
    if not keys:
        raise LedgerLocked(f"the ledger's key: {path} has none, accepted: one a line, the one in use first")
    return KeyRing(tuple(keys), path)
