"""The sessions of some days, for their screen and as a table: what `capgate ledger reconcile` says of them."""

from collections.abc import Mapping, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from gateway.audit.listing import ListedSession, listed_days, write_list
from gateway.audit.reconcile import SessionPlace
from gateway.audit.shadow import Agreement, Charted, Compared, compare_in
from gateway.audit.stream import open_snapshot
from gateway.control.answers import Answer
from gateway.ledger.deliveries import Proof
from gateway.web.privacy import without_people

MAX_DAYS = 31


class Period(msgspec.Struct, frozen=True):
    """Some days, by the calendar of each session's policy."""

    first: date
    last: date


class DaysAnswer(Answer, frozen=True, kw_only=True):
    """The sessions that opened in a period, those first that are not charged; the sums are those of the rows."""

    first: date
    last: date
    seen: int
    places: Mapping[SessionPlace, int]
    attained: int
    charged: int
    counted_minutes: float
    chart_minutes: int
    engine: Mapping[Proof, int]  # charges and credits by delivery state
    sessions: tuple[ListedSession, ...]
    compared: tuple[Compared, ...]  # with the minutes charted by hand, where they were given
    differing: int  # of these


def period_of(query: QueryParams) -> Period | None:
    """The period that a request names by `from` and `to`; None if it names none, or more than MAX_DAYS."""
    try:
        first, last = (date.fromisoformat(query.get(name, "")) for name in ("from", "to"))
    except ValueError:
        return None
    return Period(first, last) if 0 <= (last - first).days < MAX_DAYS else None


def days_answer(period: Period, charted: Sequence[Charted], ledger: Path, *, identify: bool) -> DaysAnswer:
    """The sessions of the period beside what was `charted` of them by hand; people are named with `identify`.

    Raises LedgerError.
    """
    with open_snapshot(ledger) as connection:
        found = listed_days(connection, period.first, period.last, identify=identify)
        compared = compare_in(connection, found.recorded, charted)
    rows = found.rows if identify else tuple(map(without_people, found.rows))
    return DaysAnswer(
        first=period.first,
        last=period.last,
        seen=len(rows),
        places={place: found.reconciled.count(place) for place in SessionPlace},
        attained=sum(row.attained for row in rows),
        charged=sum(row.charged for row in rows),
        counted_minutes=round(sum(row.counted_minutes for row in rows), 2),
        chart_minutes=sum(row.chart_minutes for row in rows),
        engine=found.reconciled.proven,
        sessions=tuple(sorted(rows, key=lambda row: row.place is SessionPlace.CHARGED)),
        compared=tuple(compared),
        differing=sum(each.verdict is not Agreement.SAME for each in compared),
    )


def days_table(period: Period, rows: Sequence[ListedSession]) -> Response:
    """These sessions of the period as CSV, in the order in which they opened."""
    file = StringIO()
    write_list(file, sorted(rows, key=lambda row: (row.day, row.opened_at)))
    name = f"sessions-{period.first}-{period.last}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(file.getvalue(), media_type="text/csv", headers=headers)
