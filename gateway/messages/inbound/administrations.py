"""One administration of one agent, as a chart states it, made into facts; the same for HL7 and FHIR. Pure.

An end that is not clear starts no count: what is paused, or has no end with a time of day, is read as running. What was
charted and then taken back leaves its order without an end, so that nothing counts until a person or the chart says
more, and stands on the work list.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import TypedDict

import msgspec

from gateway.messages.instants import Instant
from gateway.session import facts
from gateway.session.facts import AgentClass, AnyFact, EndSource, WorkKind


class Stage(StrEnum):
    """How far it is."""

    RUNNING = "running"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"  # deleted, refused, not given, entered in error


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """What the chart says of one administration."""

    stage: Stage
    order: str
    subject: str
    agent: AgentClass
    presumed: bool  # nobody named the class
    start: Instant | None = None
    end: Instant | None = None
    version: int | None = None  # given: this is how it stands now, whatever came before under a lower one
    changed_us: int | None = None  # when it was charted


def administration_facts(administration: Administration, known_at_us: int, message_id: str) -> tuple[AnyFact, ...]:
    """The facts that follow, the start first."""
    return tuple(_facts(administration, known_at_us, message_id))


def time_notes(start: Instant | None, end: Instant | None, known_at_us: int) -> list[str]:
    """What the sender should know of the times of a message that arrived at `known_at_us`."""
    times = [time for time in (start, end) if time is not None]
    return [
        *["a date alone, so nothing counts until a time of day comes" for time in times if time.no_time],
        *["a time without its offset may mean either of two instants; send it" for time in times if time.ambiguous],
        *["a time lies in the future" for time in times if time.at_us > known_at_us],
    ]


def _facts(administration: Administration, known_at_us: int, message_id: str) -> Iterator[AnyFact]:
    if administration.stage is Stage.WITHDRAWN:
        yield _void(administration, known_at_us, message_id)
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
    elif administration.version is not None:
        yield _void(administration, known_at_us, message_id)


class _OfOrder(TypedDict):
    """The fields of every fact about an order."""

    known_at_us: int
    order: str
    patient: str
    admin: AgentClass
    presumed: bool
    msg: str


def _of_order(administration: Administration, known_at_us: int, message_id: str) -> _OfOrder:
    return {
        "known_at_us": known_at_us,
        "order": administration.order,
        "patient": administration.subject,
        "admin": administration.agent,
        "presumed": administration.presumed,
        "msg": message_id,
    }


def _end(administration: Administration, end: Instant, known_at_us: int, message_id: str) -> AnyFact:
    if administration.agent is AgentClass.FLUSH and not end.no_time:
        return facts.FlushEnded(
            at_us=end.at_us,
            **_of_order(administration, known_at_us, message_id),
            ambiguous=end.ambiguous,
            other_reading_us=end.other_us,
        )
    if administration.version is not None and not end.no_time:
        return facts.InfusionEndCorrected(
            at_us=known_at_us if administration.changed_us is None else administration.changed_us,
            **_of_order(administration, known_at_us, message_id),
            version=administration.version,
            new_end_us=end.at_us,
            source=EndSource.MAR,
            ambiguous=end.ambiguous,
            other_reading_us=end.other_us,
        )
    return facts.InfusionEnded(
        at_us=end.at_us,
        **_of_order(administration, known_at_us, message_id),
        source=EndSource.MAR,
        no_time=end.no_time,
        ambiguous=end.ambiguous,
        other_reading_us=end.other_us,
    )


def _void(administration: Administration, known_at_us: int, message_id: str) -> AnyFact:
    """The ends charted so far do not hold, up to the version if there is one."""
    return facts.InfusionEndVoided(
        at_us=known_at_us if administration.changed_us is None else administration.changed_us,
        known_at_us=known_at_us,
        order=administration.order,
        patient=administration.subject,
        msg=message_id,
        version=administration.version,
    )
