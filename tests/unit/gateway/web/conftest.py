"""A ledger for the page."""

import sqlite3

import pytest

from tests.unit.gateway.audit.record_story import write_session


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a ledger with one session."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    write_session(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # the file alone has all of it
    connection.close()
    return path.read_bytes()
