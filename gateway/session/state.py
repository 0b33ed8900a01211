"""The tracker's state: every session that may still change, what has been published of each, and what input changes.

Theory of operation. This is event sourcing: the state is a value that is made from facts alone. `advance` takes it,
what was learned and what is observed, and gives the state after it with the step that led there: facts to record,
changes to announce. The shell records the step, then swaps the state, so that memory never runs ahead of the ledger. A
state made again from the recorded facts and announcements goes on as if nothing had happened.

A new fact is assessed together with all facts that it may affect: those that share a unit, a patient or a session
with it, directly or through others. All other sessions are unchanged. A session opened longer ago than
`settled_us` is history: its increments are never touched again, and its facts are dropped a day later. One that is
held, or charged in question, waits two weeks longer for a person.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.session.assessment import assess_observed
from gateway.session.attribution import Session, sessions, voided
from gateway.session.charges import Charge
from gateway.session.facts import (
    AnyFact,
    BindingVoided,
    CapRef,
    Key,
    ObservedUntil,
    PatientBound,
    PatientReleased,
    SessionOpened,
)
from gateway.session.increments import Change, fold
from gateway.session.infusion import INFUSION_FACTS
from gateway.session.occupancy import BINDING_HOLDS_US
from gateway.session.outcome import Outcome, Published, SessionRecord, outcome
from gateway.session.policy import Policy, parse_policy
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S
from gateway.session.worklist import WorkItem, open_work

_HOUR_US = 60 * US_PER_MINUTE
_CORRECTIONS_US = 48 * _HOUR_US  # how long after the finalisation window a correction is still assessed
_PATIENCE_US = 14 * 24 * _HOUR_US  # how much longer a session waits for a person's decision
_CONTEXT_US = 24 * _HOUR_US  # how long facts outlive the sessions they may belong to


class Step(msgspec.Struct, frozen=True):
    """What to record before the state is replaced: new facts, then the outcomes that they caused."""

    facts: tuple[AnyFact, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


class TrackerState(msgspec.Struct, frozen=True):
    """The tracker's state: facts by what they concern, and the sessions. `policy_text` is pinned in new sessions."""

    policy_text: str
    facts_by_key: Mapping[Key, tuple[AnyFact, ...]] = {}
    global_facts: tuple[AnyFact, ...] = ()  # facts that concern every session: clock steps
    records: Mapping[str, SessionRecord] = {}
    bound: Mapping[CapRef, PatientBound] = {}  # the last binding of each cap that was not released

    @property
    def policy(self) -> Policy:
        """The policy of sessions to come."""
        return parse_policy(self.policy_text)

    @property
    def settled_us(self) -> int:
        """How long after its opening a session may still change."""
        return self.policy.finalise_after_h * _HOUR_US + _CORRECTIONS_US

    @property
    def memory_us(self) -> int:
        """How long facts are kept, unless a session of theirs waits for a person."""
        return self.settled_us + _CONTEXT_US

    @property
    def recall_us(self) -> int:
        """How long facts may be kept: what a restart must read again."""
        return self.memory_us + _PATIENCE_US

    def keeps(self, record: SessionRecord, now_us: int) -> bool:
        """Whether the session may still change."""
        patience_us = _PATIENCE_US if record.waits else 0
        return record.opened_us >= now_us - self.settled_us - patience_us

    @property
    def watched(self) -> frozenset[str]:
        """The units that have a cap in a session."""
        return frozenset(unit for record in self.records.values() for unit in record.watched)

    @property
    def wake_us(self) -> int:
        """The next instant that changes something without any reading."""
        return min((record.wake_us for record in self.records.values()), default=FOREVER)

    def serving(self, now_us: int) -> dict[CapRef, str]:
        """The patient each cap serves: bound to it lately, or with an open session."""
        busy = {record.patient for record in self.records.values() if record.open}
        return {
            cap: binding.patient
            for cap, binding in self.bound.items()
            if binding.patient in busy or now_us - binding.at_us <= BINDING_HOLDS_US
        }

    def knows_message(self, message_id: str) -> bool:
        """Whether a fact that the message with this id reported is known."""
        return any(fact.message_id == message_id for facts in self.facts_by_key.values() for fact in facts)

    def knows_order(self, patient: str, order: str) -> bool:
        """Whether any infusion fact of the patient's order is known."""
        facts = self.facts_by_key.get(("patient", patient), ())
        return any(isinstance(fact, INFUSION_FACTS) and fact.order == order for fact in facts)

    @property
    def done(self) -> frozenset[str]:
        """The patients whose cooling is over, as far as sessions know."""
        patients = {record.patient for record in self.records.values()}
        return frozenset(patients - {record.patient for record in self.records.values() if record.open})

    @property
    def work(self) -> tuple[WorkItem, ...]:
        """The open items of the work list."""
        return open_work(fact for facts in self.facts_by_key.values() for fact in facts)

    def due_us(self) -> dict[str, int]:
        """By unit, the instant whose reading changes something; a unit in no session is missing."""
        due: dict[str, int] = {}
        for record in self.records.values():
            for unit in record.watched:
                due[unit] = min(record.due_us, due.get(unit, FOREVER))
        return due


def rebuild(
    policy_text: str,
    facts: Iterable[AnyFact],
    changes: Iterable[tuple[str, Change]],
    published: Iterable[tuple[str, Published]],
    charges: Iterable[tuple[str, Charge]],
) -> TrackerState:
    """The state as the ledger has it: facts, then by session token what was announced, in that order.

    Nothing is due in it until it is `advance`d over everything once (`everything=True`).
    """
    state = _with_facts(TrackerState(policy_text), [fact for fact in facts if not isinstance(fact, ObservedUntil)])
    records = dict(state.records)
    for token, change in changes:
        if token in records:
            records[token] = msgspec.structs.replace(records[token], emitted=fold(records[token].emitted, [change]))
    for token, each in published:
        if token in records:
            records[token] = msgspec.structs.replace(records[token], published=each)
    for token, charge in charges:
        if token in records:
            charged = (*records[token].charged, charge)
            records[token] = msgspec.structs.replace(records[token], charged=charged)
    return msgspec.structs.replace(state, records=records)


def advance(
    state: TrackerState,
    learned: Sequence[AnyFact],
    observed: Mapping[str, int],
    now_us: int,
    draw: Callable[[], str],
    *,
    everything: bool = False,
) -> tuple[TrackerState, Step]:
    """The state after `learned`, with every unit observed as far as `observed` says. `draw` gives a fresh token."""
    new = tuple(_new_facts(state, learned))
    state = _with_facts(state, new)
    touched = set(state.facts_by_key) if everything else _touched_keys(state, new, observed, now_us)
    if not touched:
        return state, Step(new)
    facts = _related_facts(state, touched)
    found = _changeable_sessions(facts, state, now_us)
    opened = [_opening(session, state, now_us, draw) for session in found if session.cooled and not session.tokens]
    if opened:
        state = _with_facts(state, opened)
        found = _changeable_sessions([*facts, *opened], state, now_us)
    records = dict(state.records)
    outcomes: list[Outcome] = []
    for session in found:
        for each in _outcomes(session, records, observed, now_us):
            records[each.record.token] = each.record
            if each.news:
                outcomes.append(each)
    return msgspec.structs.replace(state, records=records), Step((*new, *opened), tuple(outcomes))


def inspect(
    state: TrackerState, token: str, observed: Mapping[str, int], now_us: int
) -> tuple[Session, Outcome] | None:
    """One session's current outcome, with its facts; None if no session that may still change has that token."""
    if token not in state.records:
        return None
    for session in _changeable_sessions(_related_facts(state, {("token", token)}), state, now_us):
        for each in _outcomes(session, state.records, observed, now_us):
            if each.record.token == token:
                return session, each
    return None


def prune(state: TrackerState, now_us: int) -> TrackerState:
    """The state without the history that no session can need any more."""
    records = {token: record for token, record in state.records.items() if state.keeps(record, now_us)}
    needed_us = [record.opened_us - _CONTEXT_US for record in records.values()]
    horizon_us = min([now_us - state.memory_us, *needed_us])
    facts_by_key = {
        key: kept
        for key, facts in state.facts_by_key.items()
        if (kept := tuple(fact for fact in facts if max(fact.at_us, fact.known_at_us) >= horizon_us))
    }
    global_facts = tuple(fact for fact in state.global_facts if fact.known_at_us >= horizon_us)
    return msgspec.structs.replace(state, facts_by_key=facts_by_key, global_facts=global_facts, records=records)


def _new_facts(state: TrackerState, learned: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """The facts that are new: receiving a fact again is idempotent."""
    received: set[AnyFact] = set()
    for fact in learned:
        similar = state.facts_by_key.get(fact.concerns[0], ()) if fact.concerns else state.global_facts
        for known in similar:
            received.add(_content(known))
        if (content := _content(fact)) not in received:
            received.add(content)
            yield fact


def _content(fact: AnyFact) -> AnyFact:
    return msgspec.structs.replace(fact, known_at_us=0)


def _with_facts(state: TrackerState, facts: Sequence[AnyFact]) -> TrackerState:
    if not facts:
        return state
    added: dict[Key, list[AnyFact]] = {}
    global_facts: list[AnyFact] = []
    bound = dict(state.bound)
    records = dict(state.records)
    for fact in facts:
        for key in fact.concerns:
            added.setdefault(key, []).append(fact)
        if not fact.concerns:
            global_facts.append(fact)
        match fact:
            case PatientBound():
                bound[fact.cap] = fact
            case PatientReleased():
                if fact.cap in bound and fact.patient in ("", bound[fact.cap].patient):
                    del bound[fact.cap]
            case BindingVoided():
                if fact.cap in bound and voided(bound[fact.cap], fact):
                    del bound[fact.cap]
            case SessionOpened():
                policy = parse_policy(fact.policy)
                records[fact.token] = SessionRecord(token=fact.token, cap=fact.cap, policy=policy, opened_us=fact.at_us)
            case _:
                pass
    facts_by_key = {
        **state.facts_by_key,
        **{key: (*state.facts_by_key.get(key, ()), *more) for key, more in added.items()},
    }
    return TrackerState(state.policy_text, facts_by_key, (*state.global_facts, *global_facts), records, bound)


def _touched_keys(state: TrackerState, new: Sequence[AnyFact], observed: Mapping[str, int], now_us: int) -> set[Key]:
    """The keys to assess again: what new facts concern, and sessions whose instant has come."""
    touched = {key for fact in new for key in fact.concerns}
    if any(not fact.concerns for fact in new):
        touched |= set(state.facts_by_key)
    for record in state.records.values():
        reached = any(observed.get(unit, 0) >= record.due_us for unit in record.watched)
        if reached or record.wake_us <= now_us:
            touched.add(("token", record.token))
    return touched


def _related_facts(state: TrackerState, touched: set[Key]) -> list[AnyFact]:
    """All facts that share a key with `touched`, directly or through other facts."""
    facts: dict[int, AnyFact] = {id(fact): fact for fact in state.global_facts}
    waiting, reached = list(touched), set(touched)
    while waiting:
        for fact in state.facts_by_key.get(waiting.pop(), ()):
            if id(fact) not in facts:
                facts[id(fact)] = fact
                further = {key for key in fact.concerns if key not in reached}
                waiting += further
                reached |= further
    return list(facts.values())


def _changeable_sessions(facts: Iterable[AnyFact], state: TrackerState, now_us: int) -> list[Session]:
    """The sessions that may still change."""
    found = sessions(facts, idle_us=state.policy.session_idle_s * US_PER_S)
    return [
        session
        for session in found
        if session.opened_us >= now_us - state.settled_us
        or any(state.keeps(state.records[token], now_us) for token in session.tokens if token in state.records)
    ]


def _opening(session: Session, state: TrackerState, now_us: int, draw: Callable[[], str]) -> SessionOpened:
    if session.cap is None:
        raise ValueError("a session without cooling is not opened")
    token = draw()
    while token in state.records:
        token = draw()
    return SessionOpened(
        at_us=session.opened_us,
        known_at_us=now_us,
        token=token,
        cap=session.cap,
        policy=state.policy_text,
        patient=session.patient if session.reassigned else "",
    )


def _outcomes(
    session: Session, records: Mapping[str, SessionRecord], observed: Mapping[str, int], now_us: int
) -> Iterator[Outcome]:
    """The session under its valid token; tokens that it has replaced lose their increments."""
    known = [records[token] for token in session.tokens if token in records]
    for index, record in enumerate(known):
        facts = session.facts if index == 0 else ()
        assessment = assess_observed(facts, record.policy, observed, now_us)
        yield outcome(session, record, assessment, observed, now_us)
