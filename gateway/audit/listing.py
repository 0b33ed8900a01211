"""Sessions as rows of a list: one row a session, with its units, its charge and, in words, why nothing was charged."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from typing import TextIO

import msgspec

from gateway.audit.reasons import AnyReason, words
from gateway.audit.reconcile import Placed, Reconciled, SessionPlace, place, reconcile
from gateway.audit.sessions import RecordedSession, opened_on, salt_of, session, sessions_of_days
from gateway.audit.tables import write_table
from gateway.ledger import read_back, reads
from gateway.ledger.deliveries import Proof, proofs_of
from gateway.ledger.entry import subject_of
from gateway.session.attribution import DEFAULT_IDLE_US
from gateway.session.facts import SessionOpened
from gateway.session.local_time import instant_text
from gateway.session.spans import US_PER_MINUTE


class ListedSession(msgspec.Struct, frozen=True, kw_only=True):
    """One session."""

    day: date  # on which it opened, by its policy's calendar
    opened_at: str  # local, with its offset
    session: str
    caps: str
    visit: str  # "" unless it was asked for and is known
    place: SessionPlace
    reasons: tuple[AnyReason, ...]  # of every place but a plain charge
    counted_minutes: float
    chart_minutes: int  # by subtraction of HH:MM
    attained: int
    charged: int
    engine: str  # delivery states of its charges and credits

    @property
    def why(self) -> str:
        """The reasons in English words."""
        return words(self.reasons)


COLUMNS = (
    *("day", "opened_at", "session", "caps", "visit", "place", "why"),
    *("counted_minutes", "chart_minutes", "attained", "charged", "engine"),
)


class ListedDays(msgspec.Struct, frozen=True):
    """The sessions that opened on some days, as recorded, reconciled and listed, each time in the same order."""

    recorded: tuple[RecordedSession, ...]
    reconciled: Reconciled
    rows: tuple[ListedSession, ...]


def listed_days(
    connection: sqlite3.Connection, first: date, last: date, unopened: Iterable[str] = (), *, identify: bool
) -> ListedDays:
    """The sessions that opened from `first` to `last`; `unopened` are tokens of entries without a session.

    With `identify` the rows have the visits' numbers. Raises LedgerDamaged.
    """
    recorded = tuple(sessions_of_days(connection, first, last))
    found = reconcile(recorded, unopened, partial(proofs_of, connection))
    rows = (listed(connection, *each, identify=identify) for each in zip(recorded, found.placed, strict=True))
    return ListedDays(recorded, found, tuple(rows))


def placed_in(connection: sqlite3.Connection, recorded: RecordedSession) -> Placed:
    """The session's place, with what the ledger knows of its messages."""
    return place(recorded, proofs_of(connection, recorded.token))


def listed(
    connection: sqlite3.Connection, recorded: RecordedSession, placed: Placed, *, identify: bool
) -> ListedSession:
    """The session's row; with `identify` it has the visit's number."""
    assessment, opened = recorded.counted.outcome.assessment, recorded.counted.opened
    patient = recorded.counted.session.patient
    identity = reads.identity(connection, patient) if identify and patient else None
    caps = assessment.caps or (opened.cap,)
    return ListedSession(
        day=opened_on(opened),
        opened_at=instant_text(opened.at_us, recorded.policy.zone),
        session=recorded.token,
        caps=" ".join(cap.name for cap in caps),
        visit="" if identity is None else identity.visit or "",
        place=placed.place,
        reasons=placed.reasons,
        counted_minutes=round(assessment.net_us / US_PER_MINUTE, 2),
        chart_minutes=assessment.chart_minutes,
        attained=placed.attained,
        charged=placed.charged,
        engine=" ".join(sorted(_counted(placed.proofs))),
    )


def sessions_of_visit(connection: sqlite3.Connection, visit: str) -> Iterator[RecordedSession]:
    """All sessions of a visit, in the order of opening. Raises LedgerDamaged."""
    subjects = {subject_of(salt_of(connection), visit), *reads.subjects(connection, [visit]).values()}
    found = read_back.read_back(connection, read_back.treatments(connection, subjects), (), DEFAULT_IDLE_US)
    opened = {fact.token: fact.at_us for fact in found.facts if isinstance(fact, SessionOpened)}
    for token in sorted(opened, key=lambda each: (opened[each], each)):
        recorded = session(connection, token)
        if recorded.counted.session.patient in subjects:
            yield recorded


def write_list(file: TextIO, rows: Iterable[ListedSession]) -> None:
    """The rows as CSV."""
    write_table(file, COLUMNS, ([getattr(row, column) for column in COLUMNS] for row in rows))


def _counted(proofs: Mapping[str, Proof]) -> Iterator[str]:
    for proof in Proof:
        if count := sum(each is proof for each in proofs.values()):
            yield f"{count} {proof}"
