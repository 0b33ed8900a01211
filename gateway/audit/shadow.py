"""Compares a shadow run with charting by hand: computed against charted minutes and units, session by session."""

import csv
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from io import StringIO

import msgspec

from gateway.audit.sessions import RecordedSession, opened_on, salt_of
from gateway.ledger.entry import subject_of
from gateway.session.policy import Policy

_US_PER_MINUTE = 60_000_000
COLUMNS = ("session", "visit", "minutes")


class ChartUnreadable(ValueError):
    """The charted file cannot be used; `problems` names every invalid line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Charted(msgspec.Struct, frozen=True):
    """One line of the file: minutes of post-infusion cooling as a person charted them."""

    line: int
    session: str
    visit: str
    minutes: float


class Agreement(StrEnum):
    """The result of comparing one session."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_CHARTED = "not charted"
    NOT_COMPUTED = "not computed"  # no session matches the line, or several do


class Compared(msgspec.Struct, frozen=True):
    """The comparison of one session, or of one line that matches none; None where there is no value."""

    session: str
    line: int | None
    verdict: Agreement
    computed_units: int
    computed_minutes: float
    charted_units: int
    charted_minutes: float | None
    note: str = ""


def read_chart(text: str) -> list[Charted]:
    """Reads CSV with a header: `minutes`, and `session` or `visit` or both; other columns are ignored.

    Raises ChartUnreadable.
    """
    rows = csv.DictReader(StringIO(text))
    names = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    if "minutes" not in names or not {"session", "visit"} & names.keys():
        raise ChartUnreadable(["line 1: the columns must be minutes, and session or visit"])
    charted: list[Charted] = []
    problems: list[str] = []
    for row in rows:
        session, visit, minutes = ((row.get(names.get(name, "")) or "").strip() for name in COLUMNS)
        try:
            value = float(minutes)
            if not 0 <= value <= 1440 or not (session or visit):
                raise ValueError
        except ValueError:
            problems.append(f"line {rows.line_num}: accepted: a session or visit, and minutes from 0 to 1440")
            continue
        charted.append(Charted(rows.line_num, session.upper(), visit, value))
    if problems:
        raise ChartUnreadable(problems)
    return charted


def compare(
    sessions: Iterable[RecordedSession], charted: Iterable[Charted], subject_of: Callable[[str], str]
) -> list[Compared]:
    """Every line with its session, then the sessions of the same days that were not charted.

    A session without any unit need not be charted. `subject_of` gives the pseudonym of a visit in the ledger.
    """
    own = [each for each in sessions if not each.counted.replaced_by]
    compared: list[Compared] = []
    matched: dict[str, RecordedSession] = {}
    for line in charted:
        found = [each for each in own if _fits(each, line, subject_of)]
        if len(found) != 1 or found[0].token in matched:
            note = "no such session" if not found else "several sessions or lines for one: name each session once"
            compared.append(Compared(line.session, line.line, Agreement.NOT_COMPUTED, 0, 0.0, 0, line.minutes, note))
            continue
        matched[found[0].token] = found[0]
        compared.append(_beside(found[0], line))
    days = {opened_on(each.counted.opened) for each in matched.values()}
    for each in own:
        if each.token not in matched and each.increments and opened_on(each.counted.opened) in days:
            units, minutes = _computed(each)
            compared.append(Compared(each.token, None, Agreement.NOT_CHARTED, units, minutes, 0, None))
    return compared


def compare_in(
    connection: sqlite3.Connection, sessions: Iterable[RecordedSession], charted: Iterable[Charted]
) -> list[Compared]:
    """As `compare`, with the pseudonyms of this ledger."""
    return compare(sessions, charted, lambda visit: subject_of(salt_of(connection), visit))


def units_of(minutes: float, policy: Policy) -> int:
    """The units attained by uninterrupted `minutes` under the policy's thresholds."""
    beyond_s = minutes * 60 - policy.first_threshold_s
    return 0 if beyond_s < 0 else 1 + int(beyond_s // policy.increment_s)


def _fits(session: RecordedSession, line: Charted, subject_of: Callable[[str], str]) -> bool:
    if line.session:
        return session.token == line.session
    return session.counted.session.patient == subject_of(line.visit)


def _beside(session: RecordedSession, line: Charted) -> Compared:
    units, minutes = _computed(session)
    charted = units_of(line.minutes, session.policy)
    verdict = Agreement.SAME if units == charted else Agreement.DIFFERENT
    return Compared(session.token, line.line, verdict, units, minutes, charted, line.minutes)


def _computed(session: RecordedSession) -> tuple[int, float]:
    minutes = session.counted.outcome.assessment.net_us / _US_PER_MINUTE
    return len(session.increments), round(minutes, 2)
