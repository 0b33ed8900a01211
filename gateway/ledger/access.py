"""Who acts and who looks, as the gateway itself knows; and the traces that commands leave for it.

A command that shows identifiers of a ledger, or changes who may sign in, may run beside a gateway or without one, and
only the gateway writes to the ledger. So it leaves a file in `LEFT` beside the ledger, and the gateway records what
lies there.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

LEFT = "accesses"
MOST_AT_ONCE = 500


class Actor(msgspec.Struct, frozen=True):
    """By what somebody is known who acts or looks.

    An account of the page (`page:NAME`), a login at the hospital's provider (`sso:LOGIN`) or behind a reverse proxy
    (`proxy:LOGIN`), each with its role, or a user of the machine (`host:NAME:UID`).
    """

    login: str
    role: str = ""


class Looked(StrEnum):
    """In what somebody read identifiers of patients."""

    SESSION = "session"  # the session's screen, or `session show`
    LIST = "list"  # of several sessions
    VISITS = "visits"  # of today, to bind from; it names no session
    RECORD = "record"
    EXPORT = "export"  # an audit bundle, or what `ledger show` prints


class Took(StrEnum):
    """What somebody took of the page, the machines and the gateway, which names no patient and changes no session."""

    SIGN_IN = "sign-in"  # at the page
    SIGN_IN_REFUSED = "sign-in-refused"  # wrong password, PIN or badge, or whom the provider knows has no role here
    ACCOUNT_ADDED = "account-added"
    ACCOUNT_PASSWORD = "account-password"  # the account was given another one, as of the next two
    ACCOUNT_PIN = "account-pin"
    ACCOUNT_BADGE = "account-badge"
    ACCOUNT_LINK = "account-link"  # with a login at the hospital's provider, or with none
    ACCOUNT_REMOVED = "account-removed"
    CAPTURE = "capture"  # had a line's traffic recorded
    DIAGNOSE = "diagnose"  # the archive for whoever looks for a fault


class TookNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody took something; `login` and `role` as those of an `Actor`."""

    what: Took
    person: str = ""  # as stated; "" of a command, whose user is the login
    line: str = ""
    login: str = ""
    role: str = ""
    address: str = ""  # that somebody signed in from
    account: str = ""  # that was added, changed or removed, with what it is now
    at_us: int = 0  # when, UTC; 0: when it was recorded


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody read identifiers of the patients of these sessions at `at_us`, UTC."""

    at_us: int
    login: str
    role: str
    looked: Looked
    sessions: tuple[str, ...]


LeftTrace = Access | TookNote


class AccessNotRecorded(Exception):
    """What is about to be done would leave no trace; the text says why."""


def leave(folder: Path, trace: LeftTrace) -> Path:
    """Leave a trace for the gateway of the ledger in `folder`; the file. Raises AccessNotRecorded."""
    left = folder / LEFT
    try:
        left.mkdir(mode=0o700, exist_ok=True)
        written = left / f".{trace.at_us}-{secrets.token_hex(8)}"  # taken up in this order
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(trace))
            if os.geteuid() == 0:  # for the gateway's user
                owner = folder.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.chown(left, owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        return written.rename(left / f"{written.name[1:]}.json")
    except OSError as error:
        raise AccessNotRecorded(f"{left}: {error.strerror}") from error


def left_in(folder: Path) -> Iterator[tuple[Path, LeftTrace | None]]:
    """The traces that commands left, MOST_AT_ONCE at most; None for what is none. Raises OSError."""
    left = folder / LEFT
    try:
        names = sorted(name for name in os.listdir(left) if name.endswith(".json") and not name.startswith("."))
    except FileNotFoundError:
        return
    for path in [left / name for name in names[:MOST_AT_ONCE]]:
        yield path, _trace_of(path.read_bytes())


def _trace_of(written: bytes) -> LeftTrace | None:
    for kind in (Access, TookNote):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(written, type=kind)
    return None
