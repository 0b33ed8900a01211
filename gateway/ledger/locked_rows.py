"""Rows that name a patient, written and read with the codec of their file.

Numbers are stored so that they can be found; the other columns are bound to their row's key and to its numbers, so that
neither a value nor a number can be moved to another row unseen.
"""

import sqlite3
from collections.abc import Mapping

import msgspec

from gateway.ledger.codec import Codec, found_by, number_of

Row = dict[str, str | int]


class Shape(msgspec.Struct, frozen=True):
    """Which columns of a table are the key, which are numbers to be found, and which are bound to both."""

    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    bound: tuple[str, ...]


SHAPES: Mapping[str, Shape] = {
    "identity": Shape(
        ("subject", "version"),
        ("visit", "mrn", "account"),
        ("name", "birth_date", "sex", "visit_authority", "mrn_authority", "account_authority"),
    ),
    "renumbered": Shape(("id", "kind"), ("old", "new"), ("old_authority", "authority")),
    "detail": Shape(("id", "subject", "about", "name"), (), ("body",)),
    "receipt_text": Shape(("seq",), (), ("text",)),
}


def lock_row(codec: Codec, table: str, row: Mapping[str, str | int]) -> Row:
    """The row as it is stored."""
    if not codec.key_id:
        return dict(row)
    shape = SHAPES[table]
    numbers = {name: found_by(codec, _kind(name, row), str(row.get(name, ""))) for name in shape.numbers}
    to = _bound(shape, row, numbers)
    locked = {name: codec.lock_text(str(row.get(name, "")), f"{table}.{name}", *to) for name in shape.bound}
    return {**row, **numbers, **locked}


def open_row(codec: Codec, table: str, stored: Mapping[str, str | int]) -> Row:
    """The row as it was, from a stored one with all columns of its shape. Raises LedgerDamaged, LedgerLocked."""
    if not codec.key_id:
        return dict(stored)
    shape = SHAPES[table]
    to = _bound(shape, stored, stored)
    numbers = {name: number_of(codec, _kind(name, stored), str(stored[name])) for name in shape.numbers}
    opened = {name: codec.open_text(str(stored[name]), f"{table}.{name}", *to) for name in shape.bound}
    return {**stored, **numbers, **opened}


def insert_row(connection: sqlite3.Connection, table: str, row: Mapping[str, str | int]) -> None:
    """Insert a row that is stored so already; within the caller's transaction."""
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _kind(name: str, row: Mapping[str, str | int]) -> str:
    """Of which kind the number in a column is: the row's, or the column's."""
    return str(row.get("kind", name))


def _bound(shape: Shape, row: Mapping[str, str | int], numbers: Mapping[str, str | int]) -> tuple[str, ...]:
    return (*(str(row[name]) for name in shape.keys), *(str(numbers[name]) for name in shape.numbers))
