"""The page's accounts: a file beside the ledger, written by `capgate account`, read when somebody signs in.

Passwords and PINs are kept as Argon2id hashes. A badge is what its holder has, so it is looked up, not verified: of its
text a keyed digest is kept, with a key that the file alone holds.
"""

import hashlib
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.config.roles import Role

ACCOUNTS_FILE = "accounts.json"
MIN_PASSWORD, MIN_PIN, MAX_SECRET = 10, 6, 256
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class AccountsUnreadable(Exception):
    """The file is there and cannot be used; the text says why."""


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person. `name` is recorded with each act, for good; `provider_login` is whom others who vouch call so."""

    name: str
    role: Role
    password: str
    pin: str = ""
    badge: str = ""
    provider_login: str = ""


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All accounts, by name in lower case."""

    badge_key: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2}){16,64}$")]
    by_name: dict[str, Account] = {}

    def named(self, name: str) -> Account | None:
        """The account of that name, however it is capitalised."""
        return self.by_name.get(name.strip().lower())

    def of_badge(self, badge: str) -> Account | None:
        """Whose badge that is."""
        digest = self.badge_digest(badge)
        return next((each for each in self.by_name.values() if each.badge == digest), None)

    def of_provider_login(self, login: str) -> Account | None:
        """Whose login at the hospital's provider, or at its proxy, that is."""
        return next((each for each in self.by_name.values() if login and each.provider_login == login), None)

    def badge_digest(self, badge: str) -> str:
        """What is kept of a badge."""
        return hashlib.blake2b(badge.strip().encode(), key=bytes.fromhex(self.badge_key), digest_size=32).hexdigest()

    def with_account(self, account: Account) -> "Accounts":
        """With this account in place of one of the same name."""
        return msgspec.structs.replace(self, by_name=self.by_name | {account.name.lower(): account})

    def without(self, name: str) -> "Accounts":
        """Without the account of that name."""
        left = {key: account for key, account in self.by_name.items() if key != name.lower()}
        return msgspec.structs.replace(self, by_name=left)


def hash_secret(secret: str) -> str:
    """What is kept of a password or a PIN."""
    return _HASHER.hash(secret)


def is_right(account: Account | None, secret: str) -> tuple[bool, bool]:
    """Whether `secret` is the account's password, and whether its PIN. It takes as long where there is no account."""
    kept = (_nobody(), _nobody()) if account is None else (account.password, account.pin or _nobody())
    password, pin = (_matches(each, secret) for each in kept)
    return (password, pin) if account is not None else (False, False)


def no_accounts() -> Accounts:
    """What there is before the first account."""
    return Accounts(secrets.token_hex(32))


def accounts_state(folder: Path) -> object:
    """Something that differs after the file was replaced."""
    try:
        found = (folder / ACCOUNTS_FILE).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read_accounts(folder: Path) -> Accounts:
    """The accounts in the gateway's state directory; none if there is no file. Raises AccountsUnreadable."""
    path = folder / ACCOUNTS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Accounts)
    except FileNotFoundError:
        return no_accounts()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AccountsUnreadable(f"{path}: {error}") from error


def write_accounts(folder: Path, accounts: Accounts) -> None:
    """Replace the file at once, readable by the directory's owner alone. Raises OSError."""
    path = folder / ACCOUNTS_FILE
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(accounts)))
        owner = folder.stat()
        if os.geteuid() == 0:  # for the gateway's user
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


@cache
def _nobody() -> str:
    """A hash that no secret has."""
    return _HASHER.hash(secrets.token_hex())


def _matches(kept: str, secret: str) -> bool:
    try:
        return _HASHER.verify(kept, secret)
    except (VerificationError, InvalidHashError):
        return False
