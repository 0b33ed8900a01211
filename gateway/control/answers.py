"""The answers of the control socket, one JSON object a line; server and client use the same types.

An `…Answer` is a whole line, a `…View` is a part of one. Names and order of the fields are those in JSON. Instants are
RFC 3339 text in UTC.
"""

from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gateway.commissioning.trial import TrialResult
from gateway.ledger.deliveries import Proof
from gateway.ledger.retention import KeptFor
from gateway.messages.outbound.device import Mode
from gateway.monitoring.feed import FeedResult
from gateway.monitoring.health import HealthReport
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.facts import EndSource, WorkKind
from gateway.session.flags import Flag, HeldReason
from gateway.session.increments import Op
from gateway.session.outcome import Missing, SessionChange, SessionState
from gateway.session.why import Cause, Ending, Obstacle

_Scalar = str | int | float | bool | None
FactFields = dict[str, _Scalar | list[_Scalar | dict[str, _Scalar]] | dict[str, _Scalar]]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The field of every answer: whether the request was carried out."""

    ok: bool = True


class LocalAnswer(Answer, frozen=True, kw_only=True):
    """An answer with instants, and the zone in whose local time people read them."""

    time_zone: str = "UTC"


class RefusalAnswer(Answer, frozen=True, kw_only=True):
    """The request was refused and changed nothing; `accepted` says what would be accepted."""

    ok: bool = False
    error: str
    accepted: str


# --- parts


class OutboxView(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the messages that the engine has not acknowledged, by delivery state."""

    delivery: str  # "by receipt", or "unproven" where the site's engine sends none
    pending: int
    unproven: int
    rejected: int


class IncrementView(msgspec.Struct, frozen=True, kw_only=True):
    """A published increment that was not retracted."""

    increment: str
    attained_at: str


class IncrementChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """An increment that was just emitted, amended or retracted."""

    op: Op
    increment: str
    attained_at: str | None  # None: retracted
    was: str | None  # the previous instant, of an increment that was amended or retracted


class IntervalView(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """An interval of counted cooling on one cap."""

    from_: str
    to: str
    cap: str


class InfusionEndView(msgspec.Struct, frozen=True, kw_only=True):
    """The infusion end from which cooling counts."""

    at: str
    order: str
    source: EndSource


class PatientView(msgspec.Struct, frozen=True, kw_only=True):
    """A patient's identifiers."""

    visit: str
    mrn: str | None
    account: str | None


class ChargeView(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that no credit has reversed."""

    charge: str
    quantity: int
    delivery: Proof  # its delivery state


class NewChargeView(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that was just released, or a credit, which names the charge that it reverses."""

    charge: str
    quantity: int
    reverses: str | None


class CorrectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that no longer agrees with the count, and waits for a person's decision."""

    charge: str
    charged: int
    counted: int
    reason: CorrectionReason
    refused: bool


class SecondView(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that one person has lifted, and that waits for a second one."""

    hold: str
    person: str  # the first one
    at: str


class StretchView(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Time after the infusion's end that counts, or does not for one cause."""

    from_: str
    to: str
    cause: Cause
    reason: str


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a session has so many units: in sentences with local times, and as figures."""

    token: str
    state: SessionState
    units: int
    counted_s: float
    next_unit_s: float  # counted time that one unit more takes
    obstacle: Obstacle | None
    infusion_end: str | None
    ending: Ending
    ended_at: str | None
    stretches: tuple[StretchView, ...]
    held: tuple[HeldReason, ...]
    sentences: tuple[str, ...]


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one sender and type that were answered alike. Of no message is any content kept."""

    sender: str
    type: str
    result: FeedResult
    code: str
    today: int
    late_today: int  # of them, those with something that happened a quarter of an hour before or more
    since_start: int
    last_id: str
    last_at: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session. `infusion_end` to `facts` are set where one session was asked for, `patient` with `identify`."""

    token: str
    unit: str
    cap: int
    caps: tuple[str, ...]
    state: SessionState
    bound: bool
    finalised: bool
    phase: Phase
    started_at: str
    stopped_at: str | None
    net_s: float
    increments: tuple[IncrementView, ...]
    held: tuple[HeldReason, ...]
    awaiting_second: tuple[str, ...] = ()  # of these, lifted by one person; a second one is due
    flags: tuple[Flag, ...]
    missing: tuple[Missing, ...]
    charges: tuple[ChargeView, ...]
    corrections: tuple[CorrectionView, ...]
    infusion_end: InfusionEndView | UnsetType | None = UNSET
    intervals: tuple[IntervalView, ...] | UnsetType = UNSET
    person: str | UnsetType | None = UNSET  # who finalised it
    seconds: tuple[SecondView, ...] | UnsetType = UNSET  # who lifted what is in `awaiting_second`
    facts: tuple[FactFields, ...] | UnsetType = UNSET
    patient: PatientView | UnsetType | None = UNSET  # None: unknown or purged


class SessionChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """What an act changed about a session."""

    session: str
    happened: tuple[SessionChange, ...]
    state: SessionState
    phase: Phase
    increments: tuple[IncrementChangeView, ...]
    held: tuple[HeldReason, ...]
    charges: tuple[NewChargeView, ...]
    corrections: tuple[CorrectionView, ...]


class WorkView(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the work list, and the sessions that it concerns."""

    item: str
    what: WorkKind
    since: str
    cap: str | None
    order: str | None
    message: str
    sessions: tuple[str, ...]


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy of the configuration. Sessions that open from the day `effective` on pin it."""

    name: str
    revision: str
    effective: str
    approved_by: str  # "": nobody, and its increments are held


# --- answers


class StatusAnswer(Answer, frozen=True, kw_only=True):
    """To `status`."""

    gateway: str
    site: str
    mode: Mode
    software: str
    now: str
    time_zone: str | None
    units: tuple[str, ...]
    open: int  # sessions
    acts: tuple[str, ...]
    outbox: OutboxView
    policy: PolicyView  # in force
    next_policies: tuple[PolicyView, ...]  # those to come


class SessionsAnswer(Answer, frozen=True, kw_only=True):
    """To `sessions`."""

    sessions: tuple[SessionView, ...]


class SessionAnswer(LocalAnswer, frozen=True, kw_only=True):
    """To `session`."""

    session: SessionView


class WorklistAnswer(LocalAnswer, frozen=True, kw_only=True):
    """To `worklist`."""

    work: tuple[WorkView, ...]


class WhyAnswer(Answer, frozen=True, kw_only=True):
    """To `why`: the sessions that were asked for, the earliest first."""

    sessions: tuple[WhyView, ...]


class FeedAnswer(LocalAnswer, frozen=True, kw_only=True):
    """To `feed`: the messages that were answered alike, by sender and type."""

    since: str  # when the gateway started, and with it the counts
    feed: tuple[FeedView, ...]


class DoneAnswer(Answer, frozen=True, kw_only=True):
    """To `resend`, `swap`, `swap-back`, `reload` and `capture`: what was done, in words."""

    done: str


class KeptView(msgspec.Struct, frozen=True, kw_only=True):
    """A session for which a patient's identifiers are kept, though old enough."""

    session: str
    why: KeptFor


class PurgeAnswer(Answer, frozen=True, kw_only=True):
    """To `purge`: what was purged, or would be. `complete`: nothing is left for another time."""

    dry_run: bool
    identifiers: int  # patients
    messages: int
    texts: int  # of receipts
    copies: tuple[str, ...]  # files
    kept: tuple[KeptView, ...]
    complete: bool


class DiagnoseAnswer(Answer, frozen=True, kw_only=True):
    """To `diagnose`: the page of metrics, the health, and the last lines of the log."""

    metrics: str
    health: HealthReport
    log: tuple[str, ...]


class ArchiveAnswer(Answer, frozen=True, kw_only=True):
    """To `archive`: the diagnose archive."""

    archive: bytes  # in JSON as base64


class TrialAnswer(Answer, frozen=True, kw_only=True):
    """To `send-test`."""

    tried: TrialResult


class ActAnswer(LocalAnswer, frozen=True, kw_only=True):
    """To `tell`: the kinds of the facts that were recorded, and what they changed."""

    recorded: tuple[str, ...]
    changed: tuple[SessionChangeView, ...]
    awaiting_second: tuple[str, ...] = ()  # what was lifted and waits for a second person


AnyAnswer = (
    RefusalAnswer
    | StatusAnswer
    | SessionsAnswer
    | SessionAnswer
    | WorklistAnswer
    | WhyAnswer
    | FeedAnswer
    | DoneAnswer
    | PurgeAnswer
    | DiagnoseAnswer
    | ArchiveAnswer
    | TrialAnswer
    | ActAnswer
)
_Accepted = TypeVar("_Accepted", bound=Answer)


def read_answer(line: bytes, accepted: type[_Accepted]) -> _Accepted | RefusalAnswer:
    """The answer in a line: of type `accepted`, or a refusal. Raises msgspec.DecodeError on anything else."""
    if msgspec.json.decode(line, type=Answer).ok:
        return msgspec.json.decode(line, type=accepted)
    return msgspec.json.decode(line, type=RefusalAnswer)
