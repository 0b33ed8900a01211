"""What is taken for trouble of the disk: want of room and of permission, in any wrapping; nothing beside a defect."""

import errno
import sqlite3
from pathlib import Path

import pytest

from gateway.ledger.disk_trouble import damages_nothing, trouble_of
from gateway.ledger.errors import LedgerBroken, LedgerLocked, LedgerUnavailable


def full(tmp_path: Path) -> sqlite3.Error:
    """What SQLite says of a file that may not grow."""
    connection = sqlite3.connect(tmp_path / "full.db")
    connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()
    return raised.value


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_full_disk_is_trouble_in_any_wrapping(tmp_path: Path) -> None:
    broken = caused(LedgerBroken("the ledger failed"), full(tmp_path))
    nested = ExceptionGroup("tree", [ExceptionGroup("answers", [broken]), OSError(errno.EROFS, "read-only")])
    for error in (broken, nested):
        trouble = trouble_of(error)
        assert trouble is not None
        assert (trouble.reason, trouble.is_full) == ("database or disk is full", True)
    assert damages_nothing(full(tmp_path))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.EMFILE])
def test_other_trouble_is_not_want_of_room(number: int) -> None:
    trouble = trouble_of(caused(LedgerUnavailable("no"), OSError(number, "")))
    assert trouble is not None
    assert not trouble.is_full


def test_a_ledger_that_a_person_must_see_to_is_waited_for() -> None:
    refused = LedgerUnavailable("a later version's")
    trouble = trouble_of(ExceptionGroup("tree", [refused]))
    assert trouble is not None
    assert (trouble.reason, trouble.is_full, trouble.is_refused) == ("a later version's", False, True)
    assert trouble_of(ExceptionGroup("tree", [refused, LookupError()])) is None


def test_a_missing_key_is_waited_for() -> None:
    trouble = trouble_of(ExceptionGroup("tree", [LedgerLocked("which key, and where")]))
    assert trouble is not None
    assert (trouble.reason, trouble.is_locked, trouble.is_refused) == ("which key, and where", True, False)


def test_a_defect_beside_it_is_not_hidden(tmp_path: Path) -> None:
    assert trouble_of(ExceptionGroup("tree", [full(tmp_path), LookupError("no such session")])) is None
    assert trouble_of(sqlite3.ProgrammingError("closed")) is None
    assert not damages_nothing(LookupError())
