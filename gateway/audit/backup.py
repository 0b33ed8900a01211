"""A backup copy of the ledger, consistent even while the gateway writes to it."""

import os
import sqlite3
from pathlib import Path

from gateway.audit.report import AuditReport
from gateway.audit.verify import verify
from gateway.ledger.copying import copy_ledger
from gateway.ledger.errors import LedgerUnavailable, TargetExists
from gateway.ledger.store import open_readonly


def backup(source: Path, target: Path, key_file: Path | None = None) -> AuditReport:
    """Copies the ledger to `target`, one file readable by its owner only, and verifies the copy, with its key if given.

    The copy of an encrypted ledger is encrypted with the same key. Raises TargetExists, LedgerUnavailable,
    LedgerLocked.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise TargetExists(f"{target} is there already") from None
    except OSError as error:
        raise LedgerUnavailable(f"{target}: {error.strerror}") from error
    try:
        _copy(source, target)
        return verify(target, key_file=key_file)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(source: Path, target: Path) -> None:
    with open_readonly(source) as connection:
        try:
            copy_ledger(connection, target)
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnavailable(f"{target}: {error}") from error
