"""Turns chart entries about administrations into facts, for HL7 and FHIR alike. Pure.

An unclear end starts no count: an administration that is paused, or has no end with a time of day, is read as running.
A withdrawn administration is removed from its order and put on the work list.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import TypedDict

import msgspec

from gateway.messages.instants import Instant
from gateway.session import facts
from gateway.session.facts import AgentClass, AnyFact, EndSource, WorkKind


class Stage(StrEnum):
    """The state of an administration in the chart."""

    RUNNING = "running"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"  # deleted, refused, not given, entered in error


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """A chart entry about one administration, or about one step of the order."""

    stage: Stage
    order: str
    number: str  # the administration's number within the order
    subject: str
    agent: AgentClass
    presumed: bool  # `agent` is assumed, as the message names no class
    start: Instant | None = None
    end: Instant | None = None
    began_us: int | None = None  # distinguishes administrations with one number
    charted_us: int | None = None  # None: not stated
    replaces: bool = False  # an update: it replaces all earlier entries about the administration
    of_order: bool = False  # a step of the order: it runs from `start`, or all of it ended at `end`
    order_known: bool = True  # whether the order was reported before, so that there is something to withdraw


def administration_facts(administration: Administration, known_at_us: int, message_id: str) -> tuple[AnyFact, ...]:
    """The facts of a chart entry, the start first."""
    return tuple(_facts(administration, known_at_us, message_id))


def time_notes(start: Instant | None, end: Instant | None, known_at_us: int) -> list[str]:
    """Notes for the sender about the times of a message received at `known_at_us`."""
    times = [time for time in (start, end) if time is not None]
    return [
        *["a date alone, so nothing counts until a time of day comes" for time in times if time.no_time],
        *["a time without its offset may mean either of two instants; send it" for time in times if time.ambiguous],
        *["a time lies in the future" for time in times if time.at_us > known_at_us],
    ]


def _facts(administration: Administration, known_at_us: int, message_id: str) -> Iterator[AnyFact]:
    if administration.stage is Stage.WITHDRAWN:
        yield _void(administration, known_at_us, message_id)
        if administration.order_known:
            yield facts.WorkRaised(
                at_us=known_at_us,
                known_at_us=known_at_us,
                what=WorkKind.ADMINISTRATION_WITHDRAWN,
                patient=administration.subject,
                order=administration.order,
                msg=message_id,
            )
        return
    if administration.start is not None and not administration.start.no_time:
        begin = facts.FlushStarted if administration.agent is AgentClass.FLUSH else facts.InfusionStarted
        yield begin(
            at_us=administration.start.at_us,
            **_of_order(administration, known_at_us, message_id),
            ambiguous=administration.start.ambiguous,
            other_reading_us=administration.start.other_us,
        )
    if administration.stage is Stage.ENDED and administration.end is not None:
        yield _end(administration, administration.end, known_at_us, message_id)


class _OfOrder(TypedDict):
    """The fields of every fact about an administration."""

    known_at_us: int
    order: str
    patient: str
    admin: AgentClass
    presumed: bool
    msg: str
    administration: str
    charted_us: int | None
    began_us: int | None
    replaces: bool
    of_order: bool


def _of_order(administration: Administration, known_at_us: int, message_id: str) -> _OfOrder:
    return {
        "known_at_us": known_at_us,
        "order": administration.order,
        "patient": administration.subject,
        "admin": administration.agent,
        "presumed": administration.presumed,
        "msg": message_id,
        "administration": administration.number,
        "charted_us": administration.charted_us,
        "began_us": administration.began_us,
        "replaces": administration.replaces,
        "of_order": administration.of_order,
    }


def _end(administration: Administration, end: Instant, known_at_us: int, message_id: str) -> AnyFact:
    of_order = _of_order(administration, known_at_us, message_id)
    if administration.agent is AgentClass.FLUSH and not end.no_time:
        return facts.FlushEnded(at_us=end.at_us, **of_order, ambiguous=end.ambiguous, other_reading_us=end.other_us)
    if administration.replaces and not end.no_time:
        charted_us = known_at_us if administration.charted_us is None else administration.charted_us
        return facts.InfusionEndCorrected(
            at_us=charted_us,
            **of_order,
            version=charted_us,
            new_end_us=end.at_us,
            source=EndSource.MAR,
            ambiguous=end.ambiguous,
            other_reading_us=end.other_us,
        )
    return facts.InfusionEnded(
        at_us=end.at_us,
        **of_order,
        source=EndSource.MAR,
        no_time=end.no_time,
        ambiguous=end.ambiguous,
        other_reading_us=end.other_us,
    )


def _void(administration: Administration, known_at_us: int, message_id: str) -> AnyFact:
    """The void of everything charted about the administration so far."""
    return facts.InfusionEndVoided(
        at_us=known_at_us if administration.charted_us is None else administration.charted_us,
        known_at_us=known_at_us,
        order=administration.order,
        patient=administration.subject,
        msg=message_id,
        administration=administration.number,
        charted_us=administration.charted_us,
        began_us=administration.began_us,
        replaces=administration.replaces,
    )
