"""The tracker's state: the sessions that are not done, what has been published of each, and what input changes.

Theory of operation. This is event sourcing: the state is a value that is made from facts alone. `advance` takes it,
what was learned and what is observed, and gives the state after it with the step that led there: facts to record,
changes to announce. The shell records the step, then swaps the state, so that memory never runs ahead of the ledger.

The state is a cache of the ledger and no more. All facts of the last days are in it, and those of sessions in which
cooling may go on; of a session that waits for a person only its record is. Before `advance` is asked about anything
else, `lacking` says what must be read back, and `with_read_back` puts it in: a session of two years ago is then
recomputed as on its first day. No age ends a session. It is done when it is released with nothing open, or explained.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.session.assessment import assess_observed
from gateway.session.attribution import Session, sessions
from gateway.session.charges import Charge
from gateway.session.facts import (
    AnyFact,
    ClockStepped,
    Key,
    SessionOpened,
    UnitShared,
    UnitSharingEnded,
)
from gateway.session.increments import Change, fold
from gateway.session.known_facts import KnownFacts
from gateway.session.outcome import Outcome, Published, SessionRecord, outcome
from gateway.session.policy import Policy, parse_policy
from gateway.session.related import BEFORE_US, Anchor, anchors_of, related
from gateway.session.serving import Bindings, Serving
from gateway.session.session_index import SessionIndex
from gateway.session.shared_map import SharedMap
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S
from gateway.session.statements import InfusionFact
from gateway.session.worklist import WORK, WorkItem, WorkKey, open_work, work_key

_HOUR_US = 60 * US_PER_MINUTE
MEMORY_US = 96 * _HOUR_US  # facts that happened this lately are in memory
_REACH_US = 36 * _HOUR_US  # how far the facts reach that bear on one instant, but for sessions that go on


class Step(msgspec.Struct, frozen=True):
    """What must be recorded before the state after it is true: new facts, then what they changed."""

    facts: tuple[AnyFact, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    records: tuple[SessionRecord, ...] = ()  # every session that was looked at, as it stands now

    def without(self, tokens: Collection[str]) -> "Step":
        """The step with nothing of these sessions."""
        return Step(
            self.facts,
            tuple(each for each in self.outcomes if each.record.token not in tokens),
            tuple(each for each in self.records if each.token not in tokens),
        )


class ReadBack(msgspec.Struct, frozen=True):
    """What the ledger has of something that left memory: facts, the sessions they belong to, and what is now whole."""

    facts: tuple[AnyFact, ...] = ()
    records: tuple[SessionRecord, ...] = ()
    whole: frozenset[Key] = frozenset()  # patients and sessions of which all facts are among `facts`


class TrackerState(msgspec.Struct, frozen=True):
    """All that is in memory, by what it concerns. `policy_text` is pinned in each session that opens."""

    policy_text: str
    facts: KnownFacts = KnownFacts()
    sessions: SessionIndex = SessionIndex()
    bindings: Bindings = Bindings()
    whole_from_us: int = 0  # what happened from here on is in memory
    whole: SharedMap[Key, None] = SharedMap[Key, None]()  # patients and sessions all of which is

    @property
    def policy(self) -> Policy:
        """The policy of sessions to come."""
        return parse_policy(self.policy_text)

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
        """What people have to look at."""
        return open_work(self.facts.of(WORK))

    @property
    def work_keys(self) -> frozenset[WorkKey]:
        """What people have to look at, by what makes an item the same."""
        return frozenset(work_key(item.raised) for item in self.work)

    def serving(self, now_us: int) -> Serving:
        """Whom each cap serves at that instant."""
        return Serving(self.bindings, self.sessions, now_us)

    def knows_order(self, patient: str, order: str) -> bool:
        """Whether anything of the patient's order was reported."""
        known = self.facts.of(("patient", patient))
        return any(isinstance(fact, InfusionFact) and fact.order == order for fact in known)

    def with_asleep(self, tokens: Collection[str], before: Mapping[str, SessionRecord]) -> "TrackerState":
        """The state with these sessions as they were `before`, and nothing due in them until a fact concerns them."""
        asleep = [
            msgspec.structs.replace(before[token], watched=frozenset(), due_us=FOREVER, wake_us=FOREVER)
            for token in tokens
        ]
        return _with_records(self, asleep)


def begin(
    policy_text: str, facts: Iterable[AnyFact], records: Iterable[SessionRecord], whole_from_us: int
) -> TrackerState:
    """The state after a start: the facts that happened from `whole_from_us` on, and every session that is not done."""
    state = TrackerState(policy_text, whole_from_us=whole_from_us)
    state = with_read_back(state, ReadBack(records=tuple(records)))
    return _with_facts(state, sorted(facts, key=lambda fact: (fact.at_us, fact.known_at_us)))


def record_of(
    opened: SessionOpened, changes: Iterable[Change], published: Published | None, charges: Iterable[Charge]
) -> SessionRecord:
    """A session's record as the ledger has it; nothing is due in it until it is looked at."""
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
    """What must be read back from the ledger before `advance` may be asked about `learned` at `now_us`."""
    missing = [anchor for fact in learned for anchor in _lacking_for(fact, state)]
    for record in state.sessions.due(observed, now_us):
        missing += lacking_session(state, record.token)
    return tuple(missing)


def lacking_session(state: TrackerState, token: str) -> tuple[Anchor, ...]:
    """What must be read back before the session may be looked at."""
    key: Key = ("token", token)
    record = state.records.get(token)
    recent = record is not None and record.opened_us >= state.whole_from_us + _REACH_US
    return () if recent or key in state.whole else (Anchor(key, 0 if record is None else record.opened_us),)


def with_read_back(state: TrackerState, found: ReadBack) -> TrackerState:
    """The state with what was read back; what it had of the same is kept."""
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
    """The state after `learned`, with every unit observed as far as `observed` says. `draw` gives a fresh token."""
    new = tuple(_new_facts(state, learned))
    state = _with_facts(state, new)
    anchors = [anchor for fact in new for anchor in _touched_by(fact, state)]
    anchors += [Anchor(("token", record.token), record.opened_us) for record in state.sessions.due(observed, now_us)]
    if not anchors:
        return state, Step(new)
    found = _sessions_at(state, anchors)
    opened = [_opening(session, state, now_us, draw) for session in found if session.cooled and not session.tokens]
    if opened:
        state = _with_records(_with_facts(state, opened), [record_of(each, (), None, ()) for each in opened])
        found = _sessions_at(state, anchors)
    looked_at = [each for session in found for each in _outcomes(session, state.records, observed, now_us)]
    step = Step(
        (*new, *opened),
        tuple(each for each in looked_at if each.news),
        tuple(each.record for each in looked_at),
    )
    return _with_records(state, step.records), step


def inspect(
    state: TrackerState, token: str, observed: Mapping[str, int], now_us: int
) -> tuple[Session, Outcome] | None:
    """One session as it stands, with its facts; None if its record is not in memory. See `lacking_session`."""
    if token not in state.records:
        return None
    for session in _sessions_at(state, [Anchor(("token", token), state.records[token].opened_us)]):
        for each in _outcomes(session, state.records, observed, now_us):
            if each.record.token == token:
                return session, each
    return None


def prune(state: TrackerState, now_us: int) -> TrackerState:
    """The state without what can be read back: facts of days ago, and sessions that are done."""
    whole_from_us = now_us - MEMORY_US
    if whole_from_us - state.whole_from_us < _HOUR_US:
        return state
    going_on = [Anchor(("token", token), record.opened_us) for token, record in state.sessions.going_on.items()]
    needed = {*related(state.facts, going_on, _idle_us(state)), *(item.raised for item in state.work)}
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


def _idle_us(state: TrackerState) -> int:
    return state.policy.session_idle_s * US_PER_S


def _sessions_at(state: TrackerState, anchors: Iterable[Anchor]) -> tuple[Session, ...]:
    return sessions(related(state.facts, anchors, _idle_us(state)), _idle_us(state))


def _lacking_for(fact: AnyFact, state: TrackerState) -> Iterator[Anchor]:
    for record in _going_on(fact, state):
        yield from lacking_session(state, record.token)
    for anchor in anchors_of(fact, state.facts):
        old = anchor.at_us < state.whole_from_us + _REACH_US
        match anchor.key:
            case "patient", _ if old or anchor.key not in state.whole:  # its anchor may be wrong without all of them
                yield anchor
            case "token", token:
                yield from lacking_session(state, token)
            case "cap", _ if old:
                yield anchor
            case _:
                pass


def _going_on(fact: AnyFact, state: TrackerState) -> Collection[SessionRecord]:
    """The sessions that a fact may concern whenever it happened, since cooling may still go on in them.

    That a unit is shared also concerns those that ended since, all of which are in memory.
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
    """What must be assessed again because of a new fact."""
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
        policy=state.policy_text,
        patient=session.patient if session.reassigned else "",
    )


def _outcomes(
    session: Session, records: Mapping[str, SessionRecord], observed: Mapping[str, int], now_us: int
) -> Iterator[Outcome]:
    """The session under the token that stands; tokens that another one has replaced lose their increments."""
    known = [records[token] for token in session.tokens if token in records]
    for index, record in enumerate(known):
        facts = session.facts if index == 0 else ()
        assessment = assess_observed(facts, record.policy, observed, now_us)
        yield outcome(session, record, assessment, observed, now_us)
