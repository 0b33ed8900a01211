"""A session's content as CSV tables: all that its JSON has, instants in local time with their offset."""

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from pathlib import Path

import msgspec

from gateway.audit.tables import write_table
from gateway.session.local_time import localized

_Row = dict[str, object]
_HEADINGS = {  # the first columns; those of nested values follow
    "session": ("session", "gateway", "epoch", "opened_at"),
    "facts": ("seq", "fact", "at", "known_at", "detail"),
    "increments": ("seq", "recorded_at", "op", "key", "attained_at", "was"),
    "intervals": ("key", "op", "start", "end", "unit", "cap"),
    "charges": ("seq", "recorded_at", "key", "reverses", "quantity", "increments", "service_date", "net_s"),
    "deliveries": ("seq", "recorded_at", "key", "what", "code", "person", "reason"),
}
_LISTS = ("facts", "increments", "charges", "deliveries")
_INSTANTS = frozenset({"at", "was", "start", "end"})  # and what ends in _at or _time


class _Increment(msgspec.Struct):
    """An increment's row, as far as its parts go into tables of their own."""

    key: str
    op: str
    data: _Row = {}

    @property
    def intervals(self) -> list[_Row]:
        return msgspec.convert(self.data.get("intervals", []), list[_Row])


def write_tables(directory: Path, content: Mapping[str, object], zone: tzinfo) -> None:
    """Writes a table of each list in `content` (that of session.json), of the intervals, and one row of the rest.

    The names of nested values are joined by `_`; lists and the details of facts become JSON. Raises OSError.
    """
    tables = {name: msgspec.convert(content[name], list[_Row]) for name in _LISTS}
    tables["session"] = [{name: value for name, value in content.items() if name not in tables}]
    increments = [msgspec.convert(row, _Increment) for row in tables["increments"]]
    tables["intervals"] = [{"key": row.key, "op": row.op, **each} for row in increments for each in row.intervals]
    tables["increments"] = [
        {**row, "data": {name: value for name, value in each.data.items() if name != "intervals"}}
        for row, each in zip(tables["increments"], increments, strict=True)
    ]
    for name, first in _HEADINGS.items():
        rows = [dict(_flat(row)) for row in tables[name]]
        headings = [*dict.fromkeys((*first, *(column for row in rows for column in row)))]
        with (directory / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            shown = ([_shown(column, row.get(column), zone) for column in headings] for row in rows)
            write_table(file, headings, shown)


def _flat(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if isinstance(value, dict) and name != "detail":
            nested = msgspec.convert(value, _Row)
            yield from _flat(nested, prefix if name == "data" else f"{prefix}{name}_")
        else:
            yield prefix + name, value


def _shown(column: str, value: object, zone: tzinfo) -> object:
    match value:
        case str() if column in _INSTANTS or column.endswith(("_at", "_time")):
            return localized(value, zone, "milliseconds")
        case dict() | list() | tuple():
            return msgspec.json.encode(value).decode()
        case _:
            return value
