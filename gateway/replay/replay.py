"""Replay: computes what a gateway would have published if it had received the facts at their `known_at_us`.

Between facts a unit counts as observed, except while a fact says that it is offline. At one instant facts come before
attainments: a fact that denies an increment received at the instant of its attainment prevents it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.session.assessment import Assessment, assess
from gateway.session.attribution import sessions
from gateway.session.facts import AnyFact, InfusionEndCorrected, deduplicated
from gateway.session.increments import Change, Emitted, fold, reconcile
from gateway.session.policy import Policy
from gateway.session.spans import FOREVER

_PatientFacts = dict[str, tuple[AnyFact, ...]]


class ReplayOutcome(msgspec.Struct, frozen=True):
    """A patient's session: its final assessment, and the log of published changes."""

    assessment: Assessment
    log: tuple[Change, ...]


class Recording(msgspec.Struct, frozen=True):
    """For each instant of receipt, all facts known by then, by patient."""

    stages: tuple[tuple[int, _PatientFacts], ...]
    until_us: int


def record(facts: Iterable[AnyFact]) -> Recording:
    """The facts by their first receipt; the recording ends with the last instant that any of them names."""
    received = deduplicated(facts)
    instants = sorted({fact.known_at_us for fact in received})
    stages = tuple((at_us, _by_patient([fact for fact in received if fact.known_at_us <= at_us])) for at_us in instants)
    return Recording(stages, max((_last_us(fact) for fact in received), default=0))


def replay(recording: Recording, patient: str, policy: Policy) -> ReplayOutcome:
    """Replays the facts of `patient` under `policy`."""
    log: list[Change] = []
    emitted: tuple[Emitted, ...] = ()
    facts: Sequence[AnyFact] = ()
    assessment = assess((), policy, 0)
    for learned_us, by_patient in (*recording.stages, (recording.until_us + 1, None)):
        while assessment.next_attainment_us is not None and assessment.next_attainment_us < learned_us:
            now_us = assessment.next_attainment_us
            assessment = assess(facts, policy, now_us)
            log += (changes := reconcile(emitted, assessment.increments, now_us))
            emitted = fold(emitted, changes)
        if by_patient is not None:
            facts = by_patient.get(patient, ())
            assessment = assess(facts, policy, learned_us)
            log += (changes := reconcile(emitted, assessment.increments, learned_us))
            emitted = fold(emitted, changes)
    return ReplayOutcome(assess(facts, policy, recording.until_us), tuple(log))


def _by_patient(facts: Sequence[AnyFact]) -> _PatientFacts:
    """The facts by patient; a recording has one session for each patient, whatever gaps it has."""
    by_patient: _PatientFacts = {}
    for session in sessions(facts, split_us=FOREVER):
        by_patient[session.patient] = (*by_patient.get(session.patient, ()), *session.facts)
    return by_patient


def _last_us(fact: AnyFact) -> int:
    new_end_us = fact.new_end_us if isinstance(fact, InfusionEndCorrected) else 0
    return max(fact.at_us, fact.known_at_us, new_end_us)
