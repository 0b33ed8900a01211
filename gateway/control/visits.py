"""The visits that were heard of today, to bind a cap from: those that no cap serves first. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo

import msgspec

from gateway.control.answers import Answer
from gateway.messages.identity import Identity
from gateway.messages.instants import rfc3339, to_us
from gateway.session.facts import CapRef
from gateway.session.local_time import local
from gateway.session.state import TrackerState

MOST = 40  # of a hospital's whole feed those that were heard of last


class VisitView(msgspec.Struct, frozen=True, kw_only=True):
    """A visit, when it was last heard of today, and the chair that serves it."""

    visit: str
    mrn: str | None
    heard_at: str
    chair: str | None  # its name, or its cap's
    treated: bool  # a session of it is known


class VisitsAnswer(Answer, frozen=True, kw_only=True):
    """To `visits`; `more`: further ones were heard of, and are left out."""

    visits: tuple[VisitView, ...]
    more: bool


class KnownVisit(msgspec.Struct, frozen=True):
    """A visit that was heard of today, by its subject, and the cap that serves it."""

    subject: str
    heard_us: int
    cap: CapRef | None
    treated: bool


def day_begins_us(now_us: int, zone: tzinfo) -> int:
    """The first instant of the day, UTC."""
    return to_us(datetime.combine(local(now_us, zone).date(), datetime.min.time(), zone))


def known_visits(state: TrackerState, waiting: Mapping[str, int], since_us: int, now_us: int) -> list[KnownVisit]:
    """The visits that facts or waiting messages are about since then: those without a cap first, then the newest.

    `waiting` has when the newest message arrived, by subject.
    """
    heard = dict(waiting)
    for subject, at_us in _in_facts(state, since_us):
        heard[subject] = max(at_us, heard.get(subject, 0))
    serving = state.serving(now_us)
    found = [
        KnownVisit(
            subject,
            heard_us,
            next(iter(serving.caps_of(subject)), None),
            subject in state.sessions.of_patients,
        )
        for subject, heard_us in heard.items()
    ]
    return sorted(found, key=lambda each: (each.cap is not None, each.treated, -each.heard_us))


def visits_answer(
    found: Iterable[tuple[KnownVisit, Identity | None]], chairs: Mapping[CapRef, str], *, more: bool
) -> VisitsAnswer:
    """The answer with these visits; those whose identifiers are not kept are left out."""
    views = [
        VisitView(
            visit=identity.visit,
            mrn=identity.mrn or None,
            heard_at=rfc3339(each.heard_us),
            chair=None if each.cap is None else chairs.get(each.cap, each.cap.name),
            treated=each.treated,
        )
        for each, identity in found
        if identity is not None and identity.visit
    ]
    return VisitsAnswer(visits=tuple(views), more=more)


def _in_facts(state: TrackerState, since_us: int) -> Iterator[tuple[str, int]]:
    for (kind, name), facts in state.facts.by_key.items():
        if kind == "patient" and name:
            at_us = max(fact.known_at_us for fact in facts)
            if at_us >= since_us:
                yield name, at_us
