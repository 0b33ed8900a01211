"""Who acts and who looks, as the gateway itself knows; and the traces of readings that commands leave for it.

A command that shows identifiers of a ledger may run beside a gateway or without one, and only the gateway writes to the
ledger. So it leaves a file in `LEFT` beside the ledger, and the gateway records what lies there.
"""

import os
import secrets
from collections.abc import Iterator
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
    SIGN_IN_REFUSED = "sign-in-refused"  # tried: the password, PIN or badge was wrong
    CAPTURE = "capture"  # had a line's traffic recorded
    DIAGNOSE = "diagnose"  # the archive for whoever looks for a fault


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody read identifiers of the patients of these sessions at `at_us`, UTC."""

    at_us: int
    login: str
    role: str
    looked: Looked
    sessions: tuple[str, ...]


class AccessNotRecorded(Exception):
    """The reading would leave no trace; the text says why."""


def leave(folder: Path, access: Access) -> None:
    """Leave a trace for the gateway of the ledger in `folder`. Raises AccessNotRecorded."""
    left = folder / LEFT
    try:
        left.mkdir(mode=0o700, exist_ok=True)
        written = left / f".{secrets.token_hex(8)}"
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(access))
            if os.geteuid() == 0:  # for the gateway's user
                owner = folder.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.chown(left, owner.st_uid, owner.st_gid)
            file.flush()
            os.fsync(file.fileno())
        written.rename(left / f"{written.name[1:]}.json")
    except OSError as error:
        raise AccessNotRecorded(f"{left}: {error.strerror}") from error


def left_in(folder: Path) -> Iterator[tuple[Path, Access | None]]:
    """The traces that commands left, MOST_AT_ONCE at most; None for what is none. Raises OSError."""
    left = folder / LEFT
    try:
        names = sorted(name for name in os.listdir(left) if name.endswith(".json") and not name.startswith("."))
    except FileNotFoundError:
        return
    for path in [left / name for name in names[:MOST_AT_ONCE]]:
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=Access)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield path, None
