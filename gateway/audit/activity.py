"""Who did what, and who looked at whom: people's acts and readings as a ledger has them, in the order of recording.

An act is a fact that a person told, an order to send a message again, or a purge. Of a patient nothing is named but
the token of the session.
"""

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gateway.ledger import policies, reads
from gateway.ledger.bodies import ResendBody, access_of, delivery_of, purge_of, took_of
from gateway.ledger.entry import EntryKind
from gateway.messages.instants import rfc3339, to_us
from gateway.session.facts import CapRef, SessionOpened
from gateway.session.keys import session_of
from gateway.session.local_time import local, localized
from gateway.session.policy import parse_policy

MOST_ROWS = 10_000
RESEND, PURGE = "resend", "purge"  # acts that are no facts


class ActivityView(msgspec.Struct, frozen=True, kw_only=True):
    """One act or reading. `login` and `role` are "" where an earlier version recorded it."""

    entry: int
    recorded_at: str  # RFC 3339, UTC
    what: str  # a fact's kind, `resend`, `purge`, `took-` with one of `Took`, `looked-` with one of `Looked`
    person: str = ""  # as stated; "" of a reading
    login: str
    role: str
    reason: str = ""
    sessions: tuple[str, ...] = ()  # tokens
    cap: str = ""  # the cap, the unit with its loaner, the line, whence, or the account, where the act names no session
    key: str = ""  # of the message that is sent again


class ActivityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The acts and readings of some days; `more`: there were further ones, which are left out."""

    first: date
    last: date
    time_zone: str
    activity: tuple[ActivityView, ...]
    more: bool


class _Told(msgspec.Struct, frozen=True):
    """What is read of a fact."""

    fact: str
    person: str = ""
    login: str = ""
    role: str = ""
    reason: str = ""
    token: str = ""
    cap: CapRef | None = None
    unit: str = ""  # of a swap
    loaner: str = ""


_told = msgspec.json.Decoder(_Told)


def activity(
    connection: sqlite3.Connection, first: date | None, last: date | None, person: str = "", most: int = MOST_ROWS
) -> ActivityAnswer:
    """The activity from `first` to `last`, by the calendar of the newest policy; with `person` that person's alone.

    Without a first day that of the newest entry is meant, without a last one the first day alone.

    A person is named by the stated name or by the account, however it is capitalised.
    """
    zone, wanted = _zone(connection), person.strip().lower()
    first = first or local(reads.last_recorded_us(connection), zone).date()
    last = last or first
    begin_us = to_us(datetime.combine(first, time(), zone))
    end_us = to_us(datetime.combine(last + timedelta(days=1), time(), zone))
    query = """
        SELECT seq, recorded_us, kind, body FROM entry WHERE recorded_us >= ? AND recorded_us < ?
           AND (kind = 'delivery' OR (kind = 'fact' AND instr(body, '"person":"'))
                OR (kind = 'status' AND (substr(body, 1, 9) = '{"access"' OR substr(body, 1, 8) = '{"purge"'
                                         OR substr(body, 1, 7) = '{"took"')))
         ORDER BY seq"""
    found: list[ActivityView] = []
    for row in connection.execute(query, (begin_us, end_us)):
        found += [view for view in _views(*row) if not wanted or wanted in _names(view)]
        if len(found) > most:
            break
    shown, more = tuple(found[:most]), len(found) > most
    return ActivityAnswer(first=first, last=last, time_zone=zone.key, activity=shown, more=more)


def activity_line(view: ActivityView, zone: ZoneInfo) -> str:
    """One row as text, with local time."""
    known = ", ".join(filter(None, (view.login if view.person else "", view.role)))
    who = f"{view.person or view.login}{f' ({known})' if known else ''}"
    about = " ".join(filter(None, (*view.sessions, view.cap, view.key)))
    reason = f": {view.reason}" if view.reason else ""
    return f"{localized(view.recorded_at, zone)}  {who}  {view.what}  {about}{reason}".rstrip()


def _names(view: ActivityView) -> tuple[str, ...]:
    """By what the person is asked for: the stated name, the account as recorded, and its name alone."""
    return view.person.lower(), view.login.lower(), *view.login.lower().split(":")[1:2]


def _views(seq: int, recorded_us: int, kind: str, body: str) -> Iterator[ActivityView]:
    """The entry as a row, if it is one of a person's."""
    at = rfc3339(recorded_us)
    if kind == EntryKind.FACT:
        try:
            told = _told.decode(body)
        except msgspec.DecodeError:
            return
        if told.person:
            yield ActivityView(
                entry=seq,
                recorded_at=at,
                what=told.fact,
                person=told.person,
                login=told.login,
                role=told.role,
                reason=told.reason,
                sessions=(told.token,) if told.token else (),
                cap="" if told.token else _about(told),
            )
    elif kind == EntryKind.DELIVERY:
        if isinstance(order := delivery_of(body), ResendBody):
            yield ActivityView(
                entry=seq,
                recorded_at=at,
                what=RESEND,
                person=order.resend.person,
                login=order.resend.login,
                role=order.resend.role,
                reason=order.resend.reason,
                sessions=(session_of(order.resend.key),),
                key=order.resend.key,
            )
    elif (purge := purge_of(body)) is not None:
        if purge.person:
            yield ActivityView(
                entry=seq,
                recorded_at=at,
                what=PURGE,
                person=purge.person,
                login=purge.login,
                role=purge.role,
                reason=purge.reason,
            )
    elif (took := took_of(body)) is not None:
        yield ActivityView(
            entry=seq,
            recorded_at=rfc3339(took.at_us or recorded_us),
            what=f"took-{took.what}",
            person=took.person,
            login=took.login,
            role=took.role,
            cap=took.line or took.address or took.account,
        )
    elif (access := access_of(body)) is not None:
        yield ActivityView(
            entry=seq,
            recorded_at=rfc3339(access.at_us),
            what=f"looked-{access.looked}",
            login=access.login,
            role=access.role,
            sessions=access.sessions,
        )


def _about(told: _Told) -> str:
    """The cap that an act is about, or the unit and what stands in for it."""
    return told.cap.name if told.cap else " ".join(dict.fromkeys(filter(None, (told.unit, told.loaner))))


def _zone(connection: sqlite3.Connection) -> ZoneInfo:
    """The zone of the policy under which the newest session opened; UTC before the first."""
    query = "SELECT body FROM entry WHERE session <> '' AND kind = 'fact' ORDER BY seq DESC LIMIT 1"
    for (body,) in connection.execute(query):
        fact = policies.read_fact(connection, body)
        if isinstance(fact, SessionOpened):
            return parse_policy(fact.policy).zone
    return ZoneInfo("UTC")
