"""The tracker: assesses one session, from its facts to its increments. A pure function of the set of facts.

Theory of operation. A fact received twice counts once, as first received (idempotent); the order plays no part. The
infusion facts give the end that starts the count (infusion.py), the cooling facts give runs and interruptions
(cooling.py); together they give the cooling that counts (counting.py) and the instants at which it reaches the
thresholds (increments.py). All of that is computed as if cooling that is under way went on for ever; only then is it
cut at `observed_until`. So a timer can never attain an increment, and the next attainment is known in advance.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum

import msgspec

from drivers.reading import Evidence
from gateway.session.cooling import CapTime, Cooling, cooling
from gateway.session.counting import NOTHING, Interval, count, net_spans
from gateway.session.facts import AnyFact, CapRef, CoolingStarted, InfusionEndCorrected, deduplicated
from gateway.session.flags import Flag, HeldReason
from gateway.session.increments import Increment, attained, ceil_to_minute, chart_minutes, net_us, up_to
from gateway.session.infusion import InfusionEnd, infusions
from gateway.session.local_time import local
from gateway.session.policy import Policy, TimestampResolution
from gateway.session.review import ReviewContext, finalised_us, flags_of, signed_us
from gateway.session.sharing import shared_spans
from gateway.session.spans import FOREVER, US_PER_MINUTE, clip, intersect, length, overlapping


class Phase(StrEnum):
    """The phase of a session."""

    WAITING = "waiting"  # no cooling yet
    PRE_COOLING = "pre-cooling"
    INFUSION = "infusion"  # also while more chemotherapy is ordered
    POST_INFUSION = "post-infusion"
    PAUSED = "paused"  # a pause or fault, whatever it interrupts
    OFFLINE = "offline"  # no cap of the session is readable
    ENDED = "ended"  # cooling has stopped
    FINALIZED = "finalized"


class Assessment(msgspec.Struct, frozen=True):
    """The result of assessing a session. Instants are UTC microseconds, times microseconds unless named otherwise."""

    phase: Phase
    increments: tuple[Increment, ...]
    intervals: tuple[Interval, ...]  # counted cooling so far
    net_us: int
    chart_minutes: int  # the same intervals by subtraction of HH:MM (P2)
    cooled_us: int  # net cooling so far, before the infusion's end too: the most that could ever count
    infusion_end: InfusionEnd | None
    orders_remain: bool  # P7: an end is charted, but more chemotherapy is ordered
    next_attainment_us: int | None  # when the next increment is due if cooling goes on
    service_date: date | None  # P27: where post-infusion cooling began
    flags: tuple[Flag, ...]
    held: tuple[HeldReason, ...]
    caps: tuple[CapRef, ...]
    serial_numbers: Mapping[str, str]  # device -> as read from it
    started_us: int | None  # the first start of cooling
    stopped_us: int | None  # the last end of cooling; None while any cap runs
    lost_us: int | None  # the last proven cooling if every cap that may still run is offline; otherwise None
    watched: frozenset[str]  # devices whose readings can change this assessment
    finalised_us: int | None  # P21: signed, or past the window


def assess(facts: Iterable[AnyFact], policy: Policy, observed_until_us: int) -> Assessment:
    """Assess `facts`, all about one session, as observed until `observed_until_us`."""
    return _assess(facts, policy, observed_until_us, None)


def assess_observed(
    facts: Iterable[AnyFact], policy: Policy, observed: Mapping[str, int], known_at_us: int
) -> Assessment:
    """As `assess`, with the observed-until instant of each device; a device that is missing was never observed.

    While a readable cap runs, the session is observed until the earliest of these; otherwise until `known_at_us`.
    """
    return _assess(facts, policy, known_at_us, observed)


def review_of(
    facts: Iterable[AnyFact], policy: Policy, known_at_us: int, observed: Mapping[str, int] | None
) -> ReviewContext:
    """What the assessment of `facts` rests on; `observed` as in `assess_observed`, None: all up to `known_at_us`."""
    known = deduplicated(facts)
    charted = policy.timestamp_resolution is TimestampResolution.CHART_MINUTES
    if charted:
        known = tuple(_to_chart_minutes(fact) for fact in known)
    infusion = infusions(known, policy)
    cool = cooling(known, policy)
    until_us = known_at_us
    if observed is not None and (watched := _watched(cool, observed)):
        until_us = min(
            known_at_us,
            *(_settled_us(cap, observed.get(device, 0)) for cap in cool.caps if (device := cap.cap.device) in watched),
        )
    if charted:
        until_us -= until_us % US_PER_MINUTE
    net = net_spans(cool, policy)
    counted = NOTHING if infusion.end is None else count(cool, net, infusion.end.at_us, policy)
    increments, next_us = attained(counted.intervals, policy, until_us)
    return ReviewContext(
        facts=known,
        policy=policy,
        infusion=infusion,
        cooling=cool,
        net=net,
        counted=counted,
        intervals=up_to(counted.intervals, until_us),
        increments=increments,
        next_attainment_us=ceil_to_minute(next_us) if charted and next_us is not None else next_us,
        until_us=until_us,
    )


def _assess(
    facts: Iterable[AnyFact], policy: Policy, known_at_us: int, observed: Mapping[str, int] | None
) -> Assessment:
    review = review_of(facts, policy, known_at_us, observed)
    cool, finalised = review.cooling, finalised_us(review)
    flags = flags_of(review, finalised)
    return Assessment(
        phase=_phase(review),
        increments=review.increments,
        intervals=review.intervals,
        net_us=net_us(review.intervals),
        chart_minutes=chart_minutes(review.intervals),
        cooled_us=length(clip(review.net, 0, review.until_us)),
        infusion_end=review.infusion.end,
        orders_remain=review.infusion.orders_remain,
        next_attainment_us=review.next_attainment_us,
        service_date=_service_date(review.intervals, policy),
        flags=flags,
        held=tuple(_held(review, flags)),
        caps=tuple(cap.cap for cap in cool.caps),
        serial_numbers=_serial_numbers(review.facts),
        started_us=cool.runs[0].start_us if cool.runs else None,
        stopped_us=review.stopped_us,
        lost_us=review.lost_us,
        watched=_watched(cool, observed),
        finalised_us=finalised,
    )


def _to_chart_minutes(fact: AnyFact) -> AnyFact:
    """P2: the fact as a chart has it, its instants truncated to the minute."""
    at_us = fact.at_us - fact.at_us % US_PER_MINUTE
    if isinstance(fact, InfusionEndCorrected):
        new_end_us = fact.new_end_us - fact.new_end_us % US_PER_MINUTE
        return msgspec.structs.replace(fact, at_us=at_us, new_end_us=new_end_us)
    return msgspec.structs.replace(fact, at_us=at_us)


def _watched(cool: Cooling, observed: Mapping[str, int] | None) -> frozenset[str]:
    """The readable units of which a run goes on, or ended with the next patient later than they were observed."""
    readable = [cap for cap in cool.caps if cap.lost_us == FOREVER]
    return frozenset(
        cap.cap.device
        for cap in readable
        for run in cap.runs
        if run.end_us == FOREVER
        or (run.implicit and observed is not None and run.end_us > observed.get(cap.cap.device, 0))
    )


def _settled_us(cap: CapTime, observed_us: int) -> int:
    """How far the cap's share is known: a unit that is back settles its silence, also where its state is not yet."""
    return next((end for start, end in cap.settled if start <= observed_us < end), observed_us)


def _phase(review: ReviewContext) -> Phase:
    cool, infusion, until_us = review.cooling, review.infusion, review.until_us
    running = [cap for cap in cool.caps if cap.runs and cap.runs[-1].end_us > until_us]
    if signed_us(review.facts) is not None:
        return Phase.FINALIZED
    if not cool.runs:
        return Phase.WAITING
    if not running:
        return Phase.ENDED
    if all(cap.lost_us <= until_us for cap in running):
        return Phase.OFFLINE
    if not any(start <= until_us < end for cap in running for start, end in cap.net_spans):
        return Phase.PAUSED
    if infusion.end is not None and infusion.end.at_us <= until_us:
        return Phase.POST_INFUSION
    return Phase.INFUSION if infusion.agents else Phase.PRE_COOLING


def _service_date(intervals: tuple[Interval, ...], policy: Policy) -> date | None:
    return _local_date(intervals[0].start_us, policy) if intervals else None


def _local_date(at_us: int, policy: Policy) -> date:
    return local(at_us, policy.zone).date()


_HOLDING_FLAGS = {
    Flag.BEYOND_AUTO_RELEASE_LIMIT: HeldReason.BEYOND_AUTO_RELEASE_LIMIT,
    Flag.BEYOND_ORDERED_DURATION: HeldReason.BEYOND_ORDERED_DURATION,
    Flag.NO_ORDER: HeldReason.NO_ORDER,
}


def _held(review: ReviewContext, flags: tuple[Flag, ...]) -> Iterator[HeldReason]:
    starts = [fact for fact in review.facts if isinstance(fact, CoolingStarted)]
    if any(_is_weak(fact.evidence, review.policy.min_evidence) for fact in starts):
        yield HeldReason.WEAK_EVIDENCE
    if not review.policy.approved_by:
        yield HeldReason.POLICY_UNAPPROVED
    if review.cooling.runs and _local_date(review.cooling.runs[0].start_us, review.policy) < review.policy.effective:
        yield HeldReason.POLICY_NOT_EFFECTIVE
    if review.infusion.class_unknown:
        yield HeldReason.AGENT_CLASS_UNKNOWN
    if review.infusion.orders_remain or review.infusion.orders_lifted:
        yield HeldReason.CHEMO_ORDERS_REMAIN
    if _is_shared(review):
        yield HeldReason.UNIT_SHARED
    if _ends_unseen(review.cooling):
        yield HeldReason.UNIT_LOST
    for flag, reason in _HOLDING_FLAGS.items():
        if flag in flags:
            yield reason


def _ends_unseen(cool: Cooling) -> bool:
    """Whether the next patient on the cap ended the last run while nobody saw what the cap did (P15, P24)."""
    last = max(((run, cap) for cap in cool.caps for run in cap.runs), key=lambda each: each[0].end_us, default=None)
    if last is None:
        return False
    run, cap = last
    return run.implicit and bool(overlapping(cap.unknown, run.end_us - 1, run.end_us))


def _is_shared(review: ReviewContext) -> bool:
    """Whether another gateway read a unit of the session while one of the session's caps cooled."""
    return any(intersect(shared_spans(review.facts, cap.cap.device), cap.running_spans) for cap in review.cooling.caps)


def _is_weak(evidence: str, least: Evidence) -> bool:
    """Whether a start's evidence is weaker than `least`. A fact written by hand names none and passes."""
    if not evidence:
        return False
    known = [each for each in Evidence if each == evidence]
    return not known or known[0].strength < least.strength


def _serial_numbers(facts: Iterable[AnyFact]) -> dict[str, str]:
    return {
        fact.cap.device: fact.serial_number for fact in facts if isinstance(fact, CoolingStarted) and fact.serial_number
    }
