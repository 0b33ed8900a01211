"""The tracker's state (the sessions that are not done, with what was published of each) and its transitions. Pure.

Theory of operation. This is event sourcing: the state is an immutable value, made from facts alone. `advance` takes the
state, new facts and how far units are observed, and returns the next state and the step that leads to it: facts to
record, changes to publish. The caller records the step in the ledger, then replaces the state, so that memory is never
ahead of the ledger.

The state is a cache of the ledger. It holds all facts of the last days and those of sessions in which cooling may go
on; of a session that waits for a person it holds only the record. Before `advance` is called with facts about anything
else, `lacking` names what must be read back, and `with_read_back` adds it: a session of two years ago is then
recomputed as on its first day. No age ends a session. It is done when it is released with nothing open, or explained.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.session.assessment import assess_observed
from gateway.session.attribution import Session, sessions
from gateway.session.charges import Charge
from gateway.session.cooling import CAP_STATES
from gateway.session.facts import (
    AnyFact,
    CapRef,
    ClockStepped,
    CoolingStarted,
    CoolingStopped,
    Key,
    PatientBound,
    SessionOpened,
    UnitShared,
    UnitSharingEnded,
    cap_key,
)
from gateway.session.history import BEFORE_US
from gateway.session.increments import Change, fold
from gateway.session.known_facts import KnownFacts
from gateway.session.outcome import Outcome, Published, SessionRecord, outcome
from gateway.session.policies import Policies
from gateway.session.policy import parse_policy
from gateway.session.related import REACH_US, Anchor, anchors_of, last_seen, related
from gateway.session.serving import Bindings, Serving
from gateway.session.session_index import SessionIndex
from gateway.session.shared_map import SharedMap
from gateway.session.spans import FOREVER, US_PER_MINUTE
from gateway.session.statements import InfusionFact
from gateway.session.worklist import WORK, WorkItem, WorkKey, open_work, said_of_waiting, said_of_work, work_key

_HOUR_US = 60 * US_PER_MINUTE
MEMORY_US = 96 * _HOUR_US  # facts of the last so many hours are in memory


class Defect(msgspec.Struct, frozen=True):
    """A session that could not be assessed, since the assessment raised `error`; "": which session is not known."""

    token: str
    error: Exception


class Step(msgspec.Struct, frozen=True):
    """A state transition, to be recorded before the next state is used: new facts, then what they changed."""

    facts: tuple[AnyFact, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    records: tuple[SessionRecord, ...] = ()  # every session that was assessed, as it is now
    defects: tuple[Defect, ...] = ()  # what one session lacks costs the others nothing

    def without(self, tokens: Collection[str]) -> "Step":
        """The step without these sessions."""
        return Step(
            self.facts,
            tuple(each for each in self.outcomes if each.record.token not in tokens),
            tuple(each for each in self.records if each.token not in tokens),
            self.defects,
        )


class ReadBack(msgspec.Struct, frozen=True):
    """What was read back from the ledger: facts, the sessions they belong to, and the keys now complete in memory."""

    facts: tuple[AnyFact, ...] = ()
    records: tuple[SessionRecord, ...] = ()
    whole: frozenset[Key] = frozenset()  # patients and sessions of which all facts are among `facts`


class TrackerState(msgspec.Struct, frozen=True):
    """The facts, sessions and bindings in memory. `policies` are those of sessions that will open."""

    policies: Policies
    facts: KnownFacts = KnownFacts()
    sessions: SessionIndex = SessionIndex()
    bindings: Bindings = Bindings()
    whole_from_us: int = 0  # all facts that happened from here on are in memory
    whole: SharedMap[Key, None] = SharedMap[Key, None]()  # patients and sessions of which all facts are in memory

    @property
    def records(self) -> Mapping[str, SessionRecord]:
        """The sessions, by token."""
        return self.sessions.by_token

    @property
    def watched(self) -> frozenset[str]:
        """The units that have a cap in a session."""
        return self.sessions.watched

    @property
    def work(self) -> tuple[WorkItem, ...]:
        """The open work items."""
        return open_work(self.facts.of(WORK))

    @property
    def work_keys(self) -> frozenset[WorkKey]:
        """The idempotency keys of the open work items."""
        return frozenset(work_key(item.raised) for item in self.work)

    def serving(self, now_us: int) -> Serving:
        """The patient that each cap serves at `now_us`."""
        return Serving(self.bindings, self.sessions, now_us)

    def knows_order(self, patient: str, order: str) -> bool:
        """Whether memory has an infusion fact about the patient's order."""
        known = self.facts.of(("patient", patient))
        return any(isinstance(fact, InfusionFact) and fact.order == order for fact in known)

    def with_deferred(
        self, tokens: Collection[str], before: Mapping[str, SessionRecord], now_us: int
    ) -> "TrackerState":
        """The state with these sessions as they were `before`, to be tried again; of a new one nothing is published."""
        known = (
            before.get(token) or msgspec.structs.replace(self.records[token], emitted=(), charged=(), published=None)
            for token in tokens
        )
        return _with_records(self, [_deferred(record, now_us) for record in known])

    def with_asleep(self, tokens: Collection[str], before: Mapping[str, SessionRecord]) -> "TrackerState":
        """The state with these sessions reset to `before`, and not due again until a new fact concerns them."""
        asleep = [
            msgspec.structs.replace(before[token], watched=frozenset(), due_us=FOREVER, wake_us=FOREVER)
            for token in tokens
        ]
        return _with_records(self, asleep)


def begin(
    policies: Policies, facts: Iterable[AnyFact], records: Iterable[SessionRecord], whole_from_us: int
) -> TrackerState:
    """The state at a start, from the facts that happened since `whole_from_us` and the sessions that are not done."""
    state = TrackerState(policies, whole_from_us=whole_from_us)
    state = with_read_back(state, ReadBack(records=tuple(records)))
    return _with_facts(state, sorted(facts, key=lambda fact: (fact.at_us, fact.known_at_us)))


def record_of(
    opened: SessionOpened, changes: Iterable[Change], published: Published | None, charges: Iterable[Charge]
) -> SessionRecord:
    """A session's record made from its ledger entries; it is not due before it is assessed."""
    return SessionRecord(
        token=opened.token,
        cap=opened.cap,
        policy=parse_policy(opened.policy),
        opened_us=opened.at_us,
        emitted=fold((), changes),
        published=published,
        charged=tuple(charges),
    )


def lacking(
    state: TrackerState, learned: Iterable[AnyFact], observed: Mapping[str, int], now_us: int
) -> tuple[Anchor, ...]:
    """What must be read back from the ledger before `advance` may be called with these arguments."""
    missing = [anchor for fact in learned for anchor in _lacking_for(fact, state)]
    for record in state.sessions.due(observed, now_us):
        missing += lacking_session(state, record.token)
    return tuple(missing)


def lacking_session(state: TrackerState, token: str) -> tuple[Anchor, ...]:
    """What must be read back from the ledger before the session may be assessed."""
    key: Key = ("token", token)
    record = state.records.get(token)
    if key in state.whole or (record is not None and _is_recent(record, state)):
        return ()
    return (Anchor(key, 0 if record is None else record.opened_us),)


def _is_recent(record: SessionRecord, state: TrackerState) -> bool:
    """Whether by its time all that bears on the session is in memory."""
    named = state.facts.of(("patient", record.patient))
    caps = {record.cap, *(fact.cap for fact in named if isinstance(fact, PatientBound))}
    old = record.opened_us < state.whole_from_us + REACH_US
    return not old and not any(_ran_before(cap_key(cap), state) for cap in caps)


def _ran_before(cap: Key, state: TrackerState) -> bool:
    """Whether memory begins while coolant circulates in the cap; whoever has it since then takes that over."""
    shown = [fact for fact in state.facts.of(cap) if isinstance(fact, CAP_STATES)]
    first = bisect_left(shown, state.whole_from_us, key=lambda fact: fact.at_us)
    if first < len(shown):
        return not isinstance(shown[first], CoolingStarted)
    return bool(shown) and not isinstance(shown[-1], CoolingStopped)


def with_read_back(state: TrackerState, found: ReadBack) -> TrackerState:
    """The state with `found` added; facts and records that it already has are kept."""
    new = [fact for fact in found.facts if not state.facts.knows(fact)]
    missing = {each.token: each for each in found.records if each.token not in state.records}
    return msgspec.structs.replace(
        state,
        facts=state.facts.added(new),
        sessions=state.sessions.updated(missing.values()),
        whole=state.whole.updated((key, None) for key in found.whole),
    )


def advance(
    state: TrackerState,
    learned: Sequence[AnyFact],
    observed: Mapping[str, int],
    now_us: int,
    draw: Callable[[], str],
) -> tuple[TrackerState, Step]:
    """The state after `learned`, with each unit observed until `observed`, and the step that leads there.

    `draw` returns a random session token.
    """
    new = tuple(_new_facts(state, learned))
    anchors = [anchor for fact in new for anchor in _opened_since(fact, state)]
    state = _with_facts(state, new)
    anchors += [anchor for fact in new for anchor in _touched_by(fact, state)]
    anchors += [Anchor(("token", record.token), record.opened_us) for record in state.sessions.due(observed, now_us)]
    if not anchors:
        return state, Step(new)
    found, defects = _followed(state, anchors)
    opened = [_opening(session, state, now_us, draw) for session in found if session.cooled and not session.tokens]
    if opened:
        state = _with_records(_with_facts(state, opened), [record_of(each, (), None, ()) for each in opened])
        found, defects = _followed(state, anchors)
    looked_at: list[Outcome] = []
    for session in found:
        try:
            looked_at += list(_outcomes(session, state.records, observed, now_us))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sessions are assessed
            defects += [Defect(token, error) for token in session.tokens]
    deferred = [_deferred(state.records[each.token], now_us) for each in defects if each.token in state.records]
    step = Step(
        (*new, *opened),
        tuple(each for each in looked_at if each.news),
        (*(each.record for each in looked_at), *deferred),
        tuple(defects),
    )
    return _with_records(state, step.records), step


def inspect(
    state: TrackerState, token: str, observed: Mapping[str, int], now_us: int
) -> tuple[Session, Outcome] | None:
    """One session's current facts and outcome; None if its record is not in memory. See `lacking_session`."""
    if token not in state.records:
        return None
    for session in _sessions_at(state, [Anchor(("token", token), state.records[token].opened_us)]):
        if token in session.tokens:
            known = _outcomes(session, state.records, observed, now_us)
            return session, next(each for each in known if each.record.token == token)
    return None


def prune(state: TrackerState, now_us: int) -> TrackerState:
    """The state without old facts and sessions that are done, which can be read back. At most once an hour."""
    whole_from_us = now_us - MEMORY_US
    if whole_from_us - state.whole_from_us < _HOUR_US:
        return state
    # Cooling on a unit that is out of sight may go on for ever; until the unit is back, a person is waited for.
    awake = (record for record in state.sessions.going_on.values() if record.awake)
    going_on = [Anchor(("token", record.token), record.opened_us) for record in awake]
    undone = (record for record in state.records.values() if not record.done)
    needed = {
        *related(state.facts, going_on, state.policies.longest_idle_us),
        *said_of_work(state.facts.of(WORK)),
        *(each for record in undone for each in said_of_waiting(state.facts.of(("token", record.token)))),
        *last_seen(state.facts, state.facts.by_key),
    }
    facts = state.facts.kept(lambda fact: fact in needed or max(fact.at_us, fact.known_at_us) >= whole_from_us)
    gone = [
        token
        for token, record in state.records.items()
        if record.done and not any(isinstance(fact, SessionOpened) for fact in facts.of(("token", token)))
    ]
    return msgspec.structs.replace(
        state,
        facts=facts,
        sessions=state.sessions.without(gone),
        whole_from_us=whole_from_us,
        whole=SharedMap((anchor.key, None) for anchor in going_on if anchor.key in state.whole),
    )


def _sessions_at(state: TrackerState, anchors: Iterable[Anchor]) -> tuple[Session, ...]:
    found = related(state.facts, anchors, state.policies.longest_idle_us)
    return sessions(found, state.policies.idle_us_at)


def _followed(state: TrackerState, anchors: Sequence[Anchor]) -> tuple[Sequence[Session], list[Defect]]:
    """The sessions at `anchors`; where one of them cannot be made, those that can, and the defects."""
    try:
        return _sessions_at(state, anchors), []
    except Exception:  # noqa: BLE001 - whatever it is, the other sessions are followed
        found: dict[tuple[CapRef | None, int], Session] = {}
        defects: list[Defect] = []
        for anchor in anchors:
            try:
                found.update({(each.cap, each.opened_us): each for each in _sessions_at(state, [anchor])})
            except Exception as error:  # noqa: BLE001 - likewise
                kind, name = anchor.key
                defects.append(Defect(name if kind == "token" else "", error))
        return list(found.values()), defects


def _deferred(record: SessionRecord, now_us: int) -> SessionRecord:
    """The record of a session that could not be assessed: tried again with the next fact about it, or in an hour."""
    return msgspec.structs.replace(record, due_us=FOREVER, wake_us=now_us + _HOUR_US)


def _opened_since(fact: AnyFact, state: TrackerState) -> Iterator[Anchor]:
    """The sessions on a cap since it stopped, where that is learned late: they rest on cooling that is none."""
    if isinstance(fact, CoolingStopped):
        for later in state.facts.between(cap_key(fact.cap), fact.at_us + 1, FOREVER):
            if isinstance(later, CoolingStarted):
                return
            if isinstance(later, SessionOpened):
                yield Anchor(("token", later.token), later.at_us)


def _lacking_for(fact: AnyFact, state: TrackerState) -> Iterator[Anchor]:
    for record in _going_on(fact, state):
        yield from lacking_session(state, record.token)
    for anchor in _opened_since(fact, state):
        yield from lacking_session(state, anchor.key[1])
    for anchor in anchors_of(fact, state.facts):
        old = anchor.at_us < state.whole_from_us + REACH_US
        match anchor.key:
            case "patient", _ if old or anchor.key not in state.whole:  # its anchor may be wrong without all of them
                yield anchor
            case "token", token:
                yield from lacking_session(state, token)
            case "cap", _ if old or _ran_before(anchor.key, state):
                yield anchor
            case _:
                pass


def _going_on(fact: AnyFact, state: TrackerState) -> Collection[SessionRecord]:
    """The open sessions that a fact may concern whatever its instant.

    A fact that a unit is shared also concerns sessions that ended since `at_us`, all of which are in memory.
    """
    if isinstance(fact, ClockStepped):
        return state.sessions.going_on.values()
    if isinstance(fact, UnitShared | UnitSharingEnded):
        first_us = fact.at_us - BEFORE_US
        on_unit = (each for each in state.records.values() if fact.device in each.units)
        return [record for record in on_unit if record.open or record.opened_us >= first_us]
    found: dict[str, SessionRecord] = {}
    for kind, name in fact.concerns:
        match kind:
            case "patient":
                found.update({record.token: record for record in state.sessions.open_of(name)})
            case "unit":
                found.update({record.token: record for record in state.sessions.open_on(name)})
            case _:
                pass
    return found.values()


def _with_records(state: TrackerState, changed: Iterable[SessionRecord]) -> TrackerState:
    return msgspec.structs.replace(state, sessions=state.sessions.updated(changed))


def _touched_by(fact: AnyFact, state: TrackerState) -> Iterator[Anchor]:
    """The anchors of what must be assessed again because of a new fact."""
    for record in _going_on(fact, state):
        yield Anchor(("token", record.token), record.opened_us)
    yield from (anchor for anchor in anchors_of(fact, state.facts) if anchor.key[0] in ("cap", "patient", "token"))


def _new_facts(state: TrackerState, learned: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """The facts that were not received before; the first receipt counts."""
    known: set[AnyFact] = set()
    for fact in learned:
        for key in fact.concerns[:1]:
            known.update(map(_content, state.facts.between(key, fact.at_us, fact.at_us)))
        if (content := _content(fact)) not in known:
            known.add(content)
            yield fact


def _content(fact: AnyFact) -> AnyFact:
    return msgspec.structs.replace(fact, known_at_us=0)


def _with_facts(state: TrackerState, facts: Sequence[AnyFact]) -> TrackerState:
    """The state with facts that are new to it, in the order in which they are reported."""
    return msgspec.structs.replace(state, facts=state.facts.added(facts), bindings=state.bindings.after(facts))


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
        policy=_policy_text(session.cap, session, state),
        patient=session.patient if session.reassigned else "",
    )


def _policy_text(cap: CapRef, session: Session, state: TrackerState) -> str:
    """The policy in force then; of cooling that was another's until it was reassigned, the one of its opening."""
    before = [
        fact
        for fact in state.facts.between(cap_key(cap), session.opened_us, session.opened_us)
        if isinstance(fact, SessionOpened)
    ]
    return before[0].policy if session.reassigned and before else state.policies.text_at(session.opened_us)


def _outcomes(
    session: Session, records: Mapping[str, SessionRecord], observed: Mapping[str, int], now_us: int
) -> Iterator[Outcome]:
    """The outcome for the session's valid token; then for its replaced tokens, whose increments are retracted."""
    known = [records[token] for token in session.tokens if token in records]
    for index, record in enumerate(known):
        facts = session.facts if index == 0 else ()
        assessment = assess_observed(facts, record.policy, observed, now_us)
        yield outcome(session, record, assessment, observed, now_us)
