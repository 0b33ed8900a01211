"""By what an entry is found."""

import json
import sqlite3

from sqlite_utils import Database

from gateway.ledger import index
from gateway.ledger.entry import EntryKind
from gateway.ledger.schema import MIGRATIONS

ANSWER = {"event": {"data": {"for": "urn:engine|1", "result": "accepted"}}}


def rows(seq: int, recorded_us: int, body: object) -> list[tuple[str, str, int, int]]:
    return index.rows_of(seq, recorded_us, EntryKind.STATUS, json.dumps(body))


def test_a_message_that_was_taken_is_found_by_its_seal_for_good_and_by_its_id_as_long_as_it_may_come_again() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    MIGRATIONS.apply(Database(connection, execute_plugins=False))
    found = [*rows(1, 100, ANSWER | {"taken": "5ea1"}), *rows(2, 200, ANSWER)]
    connection.executemany("INSERT INTO concern VALUES (?, ?, ?, ?)", found)
    assert index.knows_message(connection, "5ea1", "urn:engine|0", 10**9)
    assert index.knows_message(connection, "other", "urn:engine|1", 200), "taken by a version that kept no seal"
    assert not index.knows_message(connection, "other", "urn:engine|1", 201)
    assert not index.knows_message(connection, "other", "urn:engine|0", 0)


def test_what_is_no_answer_to_a_message_that_was_taken_is_found_by_nothing() -> None:
    refused = {"event": {"data": {"for": "urn:engine|1", "result": "rejected"}}}
    others: list[object] = [refused, {"lost": True}, {"event": {"data": {"state": "online"}}}, ["text"]]
    for body in others:
        assert rows(1, 100, body) == []
