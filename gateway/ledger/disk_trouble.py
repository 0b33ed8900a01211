"""Tells trouble of the disk, a refused ledger and a missing key, which pass once somebody mends that, from defects."""

import errno
import os
import sqlite3
from collections.abc import Iterator

import msgspec

from gateway.ledger.errors import LedgerLocked, LedgerUnavailable

_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class DiskTrouble(msgspec.Struct, frozen=True):
    """Why nothing can be recorded.

    `is_full`: room alone is missing; `is_refused`: the ledger is not one to be used; `is_locked`: its key is missing.
    """

    reason: str
    is_full: bool
    is_refused: bool = False
    is_locked: bool = False


def trouble_of(error: BaseException) -> DiskTrouble | None:
    """What the disk, or the ledger there, has to do with a failure; None if anything else is among the failures."""
    found = [_own_trouble(each) for each in _leaves(error)]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    return next((each for each in known if each.is_full), known[0])


def damages_nothing(error: BaseException) -> bool:
    """Whether SQLite failed only for want of room, or of permission to write: its file is as it was."""
    return isinstance(error, sqlite3.Error) and _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def _own_trouble(error: BaseException) -> DiskTrouble | None:
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case sqlite3.Error() if _code(cause) in _SQLITE:
                return DiskTrouble(str(cause), _code(cause) == sqlite3.SQLITE_FULL)
            case LedgerLocked():
                return DiskTrouble(str(cause), is_full=False, is_locked=True)
            case OSError() if cause.errno in _ERRNO:
                return DiskTrouble(os.strerror(cause.errno), cause.errno in _NO_ROOM)
            case _:
                cause = cause.__cause__
    return DiskTrouble(str(error), is_full=False, is_refused=True) if isinstance(error, LedgerUnavailable) else None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    match error:
        case BaseExceptionGroup():
            group: BaseExceptionGroup[BaseException] = error
            for each in group.exceptions:
                yield from _leaves(each)
        case _:
            yield error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
