"""Facts that the gateway itself adds to what it was told: holds, and work items about its own troubles.

An item is raised once while it is open.
"""

from collections.abc import Collection, Iterable, Iterator

from gateway.ledger.store import Ledger
from gateway.session.fact_types import WorkKind
from gateway.session.facts import AnyFact, EvidenceLost, GatewayHold, WorkRaised
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionRecord
from gateway.session.state import TrackerState
from gateway.session.worklist import work_key


def startup_work(state: TrackerState, wrong: Collection[str], ledger: Ledger, now_us: int) -> Iterator[AnyFact]:
    """What a start leaves to people: sessions in `wrong`, with which it disagrees, and a damaged ledger."""
    disagrees: list[AnyFact] = []
    for token in sorted(wrong):
        disagrees.append(hold(token, HeldReason.START_DISAGREES, now_us))
        disagrees.append(_about(state.records[token], WorkKind.START_DISAGREES, now_us))
    yield from _not_open(state, (*disagrees, *_after_damage(state, ledger, now_us)))


def receipts_disagree(state: TrackerState, key: str, now_us: int) -> Iterator[AnyFact]:
    """An item about contradicting receipts of the message `key`; none if that is ""."""
    if key:
        raised = WorkRaised(at_us=now_us, known_at_us=now_us, what=WorkKind.RECEIPTS_DISAGREE, order=key)
        yield from _not_open(state, [raised])


def defect_work(state: TrackerState, tokens: Collection[str], now_us: int) -> Iterator[AnyFact]:
    """An item about each of these sessions, which met a defect."""
    records = [state.records[token] for token in sorted(tokens) if token in state.records]
    yield from _not_open(state, [_about(record, WorkKind.SESSION_DEFECT, now_us) for record in records])


def hold(token: str, reason: HeldReason, now_us: int) -> GatewayHold:
    """A hold of the gateway's own on a session."""
    return GatewayHold(at_us=now_us, known_at_us=now_us, token=token, hold=reason)


def _after_damage(state: TrackerState, ledger: Ledger, now_us: int) -> Iterator[AnyFact]:
    """Work items and facts if this ledger has just replaced a damaged one: for lost entries and open sessions."""
    aside = ledger.set_aside
    if aside is None:
        return
    if ledger.lost_since_us is not None:
        yield WorkRaised(at_us=ledger.lost_since_us, known_at_us=now_us, what=WorkKind.ENTRIES_LOST, order=aside.name)
    for record in state.records.values():
        if record.done:
            continue
        yield _about(record, WorkKind.LEDGER_DAMAGED, now_us)
        if ledger.entries_lost:
            yield EvidenceLost(at_us=now_us, known_at_us=now_us, token=record.token, reason=aside.name)


def _not_open(state: TrackerState, facts: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """The facts without items that are open already. Each minute there are none, and the list is not looked at."""
    if raised := tuple(facts):
        known = state.work_keys
        yield from (fact for fact in raised if not isinstance(fact, WorkRaised) or work_key(fact) not in known)


def _about(record: SessionRecord, what: WorkKind, now_us: int) -> WorkRaised:
    """A work item about a session."""
    return WorkRaised(
        at_us=now_us, known_at_us=now_us, what=what, cap=record.cap, patient=record.patient, order=record.token
    )
