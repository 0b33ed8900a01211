"""The messages under `ehr/`: increments, sessions, charges, and the answer to every inbound message.

These messages name a visit and are classified as restricted, except the answers, which repeat no content. A field with
a default is left out when it has the default.
"""

from enum import StrEnum

import msgspec

from drivers.reading import Evidence
from gateway.messages.cloudevents import Classification, Event, Origin, Trace, kind, make_event
from gateway.messages.details import Details
from gateway.messages.inbound.answers import Accepted, Answer, Ignored, InboundFormat, Rejected
from gateway.messages.instants import Rfc3339, rfc3339
from gateway.messages.notation import Mode
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.facts import EndSource
from gateway.session.increments import Op
from gateway.session.outcome import SessionChange, SessionState
from gateway.session.release import ReleaseState

INCREMENT = kind("increment", "increment", Classification.RESTRICTED)
CHARGE = kind("charge", "charge", Classification.RESTRICTED)
INBOUND_RESULT = kind("inbound.result", "inbound-result")


class Code(msgspec.Struct, frozen=True):
    """The billing code."""

    system: str = "CPT"
    value: str = "97009"


class PolicyData(msgspec.Struct, frozen=True):
    """The policy that was pinned for the session."""

    name: str
    revision: str


class InfusionEndData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The infusion end at which the count begins, and its source."""

    time: Rfc3339
    source: EndSource
    order: str | None = None
    version: int | None = None
    skew_s: float | None = None  # what was corrected in `time` for the sender's clock


class IntervalData(msgspec.Struct, frozen=True):
    """An interval of proven cooling after the infusion, on one cap."""

    start: Rfc3339
    end: Rfc3339
    unit: str
    cap: int


class Device(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cap that served the session."""

    unit: str
    cap: int
    serial_number: str | None = None


class ReleaseData(msgspec.Struct, frozen=True):
    """The release state, and the codes of the reasons that hold it."""

    state: ReleaseState
    reasons: tuple[str, ...] = ()


class PatientData(msgspec.Struct, frozen=True, omit_defaults=True):
    """A patient's identifiers: the visit always, the others as the site configures."""

    visit: str
    mrn: str | None = None
    account: str | None = None


class IncrementData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One 97009 increment: attained (`emit`), moved (`amend`) or withdrawn (`retract`), with its evidence.

    A retraction names the revision that it retracts and has the evidence of the count as it is now. `patient` is
    missing while the session is unbound.
    """

    session: str
    increment: str  # session token and two digits
    index: int  # 1 is the first
    revision: str  # A, then the next letter for each change
    op: Op
    attained_at: Rfc3339 | None = None  # none in a retraction
    known_at: Rfc3339
    was: Rfc3339 | None = None  # the instant published before; none in an emission
    policy: PolicyData
    threshold_s: int  # net cooling that attains this increment
    code: Code
    infusion_end: InfusionEndData | None  # null: it was voided
    net_s: float  # proven cooling after the end, as of the last reading that counts here
    chart_minutes: int  # the same from clock times HH:MM, for an auditor
    intervals: tuple[IntervalData, ...]
    devices: tuple[Device, ...]
    evidence: Evidence  # the weakest proof of circulation in the intervals
    mode: Mode
    flags: tuple[str, ...]
    release: ReleaseData
    patient: PatientData | None = None


def increment_event(origin: Origin, increment: IncrementData, trace: Trace) -> Event:
    """The increment under its key: token, number and revision, 12 characters; a retraction adds `.retract`."""
    key = increment.increment + increment.revision
    happened_at = increment.known_at if increment.attained_at is None else increment.attained_at
    return make_event(
        origin,
        INCREMENT,
        event_id=f"{key}.retract" if increment.op is Op.RETRACT else key,
        time=happened_at,
        subject=f"session/{increment.session}",
        data=increment,
        trace=msgspec.structs.replace(trace, session=increment.session),
    )


SESSION_KINDS = {
    change: kind(f"session.{change.value}", "session", Classification.RESTRICTED) for change in SessionChange
}


class Counts(msgspec.Struct, frozen=True):
    """Numbers of a session's increments: attained, held of these, retracted, and charged and not credited."""

    attained: int
    held: int
    retracted: int
    charged: int


class CorrectionData(msgspec.Struct, frozen=True):
    """A charge that no longer agrees with the count, or one that is missing, for a person to decide (P22)."""

    charge: str
    charged: int  # quantity; 0: nothing yet
    counted: int  # quantity that would be charged in its place
    reason: CorrectionReason


class SessionData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session's state after `what` happened."""

    what: SessionChange
    session: str
    unit: str
    cap: int
    state: SessionState | None = None  # none: published by an earlier version
    phase: Phase
    started_at: Rfc3339
    cooling_stopped_at: Rfc3339 | None  # null: cooling goes on
    policy: PolicyData
    counts: Counts
    flags: tuple[str, ...]
    release: ReleaseData
    corrections: tuple[CorrectionData, ...] = ()  # those that are open
    missing: tuple[str, ...]  # codes of missing documentation
    mode: Mode
    person: str | None = None  # who finalised; none: the window passed
    patient: PatientData | None = None  # none: unbound


def session_event(origin: Origin, session: SessionData, *, event_id: str, at_us: int, trace: Trace) -> Event:
    """A change of a session, under the type of what happened."""
    return make_event(
        origin,
        SESSION_KINDS[session.what],
        event_id=event_id,
        time=rfc3339(at_us),
        subject=f"session/{session.session}",
        data=session,
        trace=msgspec.structs.replace(trace, session=session.session),
    )


class ChargeAction(StrEnum):
    """A charge, or the credit of one."""

    CHARGE = "charge"
    CREDIT = "credit"


class ChargeData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A released billing line, or the credit that reverses one."""

    charge: str  # 12 characters, the transaction's key in every notation
    action: ChargeAction
    reverses: str | None = None  # the key of the charge that a credit reverses
    reason: str | None = None  # code, given with a credit
    session: str
    code: Code
    quantity: int
    increments: tuple[str, ...]  # keys with revision
    service_date: str  # YYYY-MM-DD, where cooling after the infusion began
    start: Rfc3339  # cooling after the infusion, first to last
    end: Rfc3339
    net_s: float
    policy: PolicyData
    devices: tuple[Device, ...]
    mode: Mode
    modifiers: tuple[str, ...] = ()  # of the code
    details: Details | None = None  # what the EHR stated, as far as the site wants it; None: nothing is known
    patient: PatientData


def charge_event(origin: Origin, charge: ChargeData, *, at_us: int, trace: Trace) -> Event:
    """The charge under its own key; `at_us` is the instant of its release."""
    return make_event(
        origin,
        CHARGE,
        event_id=charge.charge,
        time=rfc3339(at_us),
        subject=f"session/{charge.session}",
        data=charge,
        trace=msgspec.structs.replace(trace, session=charge.session),
    )


class InboundResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to an inbound message: its result, and what to correct. It repeats no content."""

    for_: str | None = msgspec.field(name="for")  # the message's id; null: it had none that could be read
    result: str  # accepted, ignored, rejected
    format: InboundFormat
    code: str | None = None
    text: str | None = None


def inbound_result_event(
    origin: Origin, answered: Answer, message_format: InboundFormat, *, event_id: str, at_us: int
) -> Event:
    """The answer `answered` as an event, given at `at_us`."""
    message_id = answered.message_id or None
    match answered:
        case Accepted(note=note):
            result = InboundResult(message_id, "accepted", message_format, text=note or None)
        case Ignored(code=code, text=text):
            result = InboundResult(message_id, "ignored", message_format, code, text)
        case Rejected(code=code, text=text):
            result = InboundResult(message_id, "rejected", message_format, code, text)
    return make_event(
        origin,
        INBOUND_RESULT,
        event_id=event_id,
        time=rfc3339(at_us),
        subject="message",
        data=result,
        trace=Trace(cause=message_id),
    )
