"""The screen of who did what and who looked at whom: some days of it, as the ledger has them."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from starlette.datastructures import QueryParams

from gateway.audit.activity import PURGE, RESEND, ActivityAnswer, activity
from gateway.audit.stream import open_snapshot
from gateway.session.local_time import localized

MOST_DAYS = 31
MOST_ROWS = 500


class Asked(msgspec.Struct, frozen=True):
    """The days and the person that are asked for. No first day: that of the newest entry; "": everybody."""

    first: date | None
    last: date | None
    person: str


class Row(msgspec.Struct, frozen=True):
    """A row of the table, as text; `what` is a key of the catalogue."""

    at: str
    who: str
    account: str
    role: str
    what: str
    sessions: tuple[str, ...]
    about: str
    reason: str


def asked(query: QueryParams) -> Asked:
    """What the address asks for, MOST_DAYS at most."""
    first, last = _day(query.get("from", "")), _day(query.get("to", ""))
    if first is not None and last is not None:
        last = min(max(first, last), first + timedelta(days=MOST_DAYS - 1))
    return Asked(first, last if first else None, query.get("person", "")[:200])


def found_in(ledger: Path, wanted: Asked) -> ActivityAnswer:
    """What the ledger has of it, MOST_ROWS at most. Raises LedgerError."""
    with open_snapshot(ledger) as connection:
        return activity(connection, wanted.first, wanted.last, wanted.person, MOST_ROWS)


def rows(answer: ActivityAnswer) -> Iterator[Row]:
    """The answer as rows, with local times."""
    zone = ZoneInfo(answer.time_zone)
    for each in answer.activity:
        yield Row(
            at=localized(each.recorded_at, zone),
            who=each.person or each.login.split(":")[1],
            account=each.login,
            role=each.role,
            what=_word(each.what),
            sessions=each.sessions,
            about=" ".join(filter(None, (each.cap, each.key))),
            reason=each.reason,
        )


def _word(what: str) -> str:
    if what.startswith(("looked-", "took-")):
        return what.replace("-", ".", 1)
    return f"activity.{what}" if what in (PURGE, RESEND) else f"fact.{what.replace('_', '-')}"


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
