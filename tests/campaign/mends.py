"""Mends of the gateway, and how the campaign sees that one of them is gone: each is one function changed back.

    python -m tests.campaign.mends [NUMBER]...

Prints for each how many seeds the campaign needed, and which rule was broken.
"""

import sqlite3
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from drivers.reading import CapReading, ReadFault, Reading, Stamp
from gateway.ledger import opening, read_back, reads
from gateway.ledger.key_ring import KeyRing
from gateway.ledger.reads import LedgerOrigin
from gateway.recording import observing, pipeline, steps
from gateway.recording.group_commit import GroupCommit
from gateway.recording.observing import Observed, Observing
from gateway.session import attribution, infusion, observe, outcome, release, state
from gateway.session.facts import AnyFact, CapRef, UnitOffline, UnitOnline
from gateway.session.observe import CapCondition, CapState, Counters, Observation, ObserveRules, UnitState
from gateway.session.outcome import SessionRecord
from gateway.session.policies import Policies
from gateway.session.related import Anchor
from gateway.session.spans import US_PER_S
from gateway.session.state import ReadBack, TrackerState
from tests.campaign import life
from tests.campaign.faults import Kind
from tests.campaign.plan import Violation
from tests.campaign.run import run

DAY_US = 86_400 * US_PER_S
DAYS = 12  # of a run
SEEDS = 40  # after which a mend passes for unseen
FIRST_SEED = 1


class Mend(NamedTuple):
    """`without` takes it out; `kinds` are the faults that show it, where others hide it."""

    name: str
    without: Callable[[], AbstractContextManager[object]]
    kinds: frozenset[Kind] = frozenset(Kind)


class Seen(NamedTuple):
    """After how many seeds the campaign saw that a mend is gone, and by what."""

    seeds: int
    by: Violation


def seen(mend: Mend, first_seed: int = FIRST_SEED) -> Seen | None:
    """Play seed after seed without the mend until a rule is broken; None if none is."""
    with mend.without():
        for count in range(1, SEEDS + 1):
            result = run(first_seed + count - 1, DAYS, mend.kinds)
            if result.violations:
                return Seen(count, result.violations[0])
    return None


def _patched(target: object, name: str, made: Callable[[Any], object]) -> Callable[[], AbstractContextManager[object]]:
    """Puts what `made` makes of the function in its place."""
    return lambda: mock.patch.object(target, name, made(getattr(target, name)))


def _restart(change: Callable[[read_back.Restart], ReadBack]) -> Callable[[], AbstractContextManager[object]]:
    def made(restart: Callable[..., read_back.Restart]) -> Callable[..., read_back.Restart]:
        def changed(connection: sqlite3.Connection, whole_from_us: int, idle_us: int) -> read_back.Restart:
            found = restart(connection, whole_from_us, idle_us)
            return msgspec.structs.replace(found, read_back=change(found))

        return changed

    return _patched(read_back, "restart", made)


def _window_of_sessions(found: read_back.Restart) -> ReadBack:
    """The sessions that opened in a window."""
    back = found.read_back
    recent = tuple(each for each in back.records if each.opened_us >= found.whole_from_us - DAY_US)
    return ReadBack(back.facts, recent, back.whole)


def _only_due(lacking: Callable[..., tuple[Anchor, ...]]) -> Callable[..., tuple[Anchor, ...]]:
    """What facts are about is not read back."""

    def changed(
        state: TrackerState, learned: Iterable[AnyFact], observed: Mapping[str, int], now_us: int
    ) -> tuple[Anchor, ...]:
        del learned
        return lacking(state, (), observed, now_us)

    return changed


def _policy_of_today(begin: Callable[..., TrackerState]) -> Callable[..., TrackerState]:
    """A start asks today's policy about sessions of yesterday."""

    def changed(
        policies: Policies, facts: Iterable[AnyFact], records: Iterable[SessionRecord], whole_from_us: int
    ) -> TrackerState:
        today = policies.all[-1]
        old = [msgspec.structs.replace(each, policy=today) for each in records]
        return begin(policies, facts, old, whole_from_us)

    return changed


def _lately(tokens_opened: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The audit looks five days back."""

    def changed(connection: sqlite3.Connection, first_us: int, last_us: int) -> list[str]:
        (newest_us,) = connection.execute("SELECT max(recorded_us) FROM entry").fetchone()
        return tokens_opened(connection, max(first_us, newest_us - 5 * DAY_US), last_us)

    return changed


def _forgetful(prune: Callable[..., TrackerState]) -> Callable[..., TrackerState]:
    """A session leaves memory by its age."""

    def changed(state: TrackerState, now_us: int) -> TrackerState:
        pruned = prune(state, now_us)
        old = [
            token
            for token, each in pruned.records.items()
            if not each.open and each.state != "held" and now_us - each.opened_us >= 5 * DAY_US
        ]
        return msgspec.structs.replace(pruned, sessions=pruned.sessions.without(old))

    return changed


@contextmanager
def _window_of_facts() -> Generator[None]:
    """The facts of a window are taken for all that there is of each session."""

    def lacking_session(*_arguments: object) -> tuple[Anchor, ...]:
        return ()

    with (
        mock.patch.object(state, "lacking_session", lacking_session),
        mock.patch.object(pipeline, "lacking_session", lacking_session),
    ):
        yield


def _cut_by_todays_policy(pinned_idle_us: Callable[..., object]) -> Callable[..., object]:
    """How long a patient keeps a cap that stands still, today's policy says."""
    del pinned_idle_us

    def changed(facts: Iterable[AnyFact]) -> dict[CapRef, dict[int, int]]:
        del facts
        return {}

    return changed


@contextmanager
def _ends_unasked() -> Generator[None]:
    """Nobody asks whether the infusion's end is known."""

    def lacks_end(*_arguments: object) -> bool:
        return False

    with (
        mock.patch.object(release, "lacks_end", lacks_end),
        mock.patch.object(outcome, "lacks_end", lacks_end),
    ):
        yield


@contextmanager
def _never_lost() -> Generator[None]:
    """A unit that is out of sight may come back, however long ago it was seen."""

    def is_lost(*_arguments: object) -> bool:
        return False

    with mock.patch.object(release, "is_lost", is_lost), mock.patch.object(outcome, "is_lost", is_lost):
        yield


def _no_lifts(_lifts: Callable[..., tuple[AnyFact, ...]]) -> Callable[..., tuple[AnyFact, ...]]:
    """Nobody lifted anything."""
    return lambda *_arguments: ()


class _HastyObserving(Observing):
    """How far a reading observes a unit is known before what it shows."""

    def observe(self, answer: Reading | ReadFault) -> Observed:
        found = super().observe(answer)
        if found.until_us is not None:
            self._until_us[found.unit] = found.until_us
        return found


@contextmanager
def _observed_early() -> Generator[None]:
    """A reading sets how far its unit is observed, and then waits for its turn."""
    with (
        mock.patch.object(steps, "Observing", _HastyObserving),
        mock.patch.object(GroupCommit, "idle", True),
    ):
        yield


class _MinutelyPipeline(pipeline.Pipeline):
    """That a unit is out of sight is recorded without its counters, which only each minute's mark has."""

    async def _take_answer(self, answer: Reading | ReadFault) -> None:
        facts = self._steps.observing.observe(answer).facts
        unseen = any(isinstance(fact, UnitOffline) for fact in facts)
        with mock.patch.object(Observing, "facts", _no_marks) if unseen else nullcontext():
            await super()._take_answer(answer)


def _no_marks(*_arguments: object) -> tuple[AnyFact, ...]:
    return ()


@contextmanager
def _counters_without_instants() -> Generator[None]:
    """Counters that a start reads back pass for those of the last good reading, and must have risen as time did.

    They are up to a minute older, where that a unit is out of sight is recorded without them.
    """

    def restore(facts: Iterable[AnyFact], device: str, caps: int, now: Stamp) -> UnitState:
        found = observe.restore(facts, device, caps, now)
        if (at := found.last_good) is None:
            return found
        marked = (
            msgspec.structs.replace(cap, mark=_stamped(cap.mark, at), base=_stamped(cap.base, at)) for cap in found.caps
        )
        return msgspec.structs.replace(found, caps=tuple(marked))

    def shortfall_us(since: Counters, now: Counters) -> int | None:
        passed_us, risen_us = now.at.boot_us - since.at.boot_us, (now.elapsed_s - since.elapsed_s) * US_PER_S
        if now.treatment != since.treatment or risen_us - passed_us > observe.counter_tolerance_us(passed_us):
            return None
        return max(0, passed_us - risen_us)

    with (
        mock.patch.object(observing, "restore", restore),
        mock.patch.object(observe, "_shortfall_us", shortfall_us),
        mock.patch.object(life, "Pipeline", _MinutelyPipeline),
    ):
        yield


def _stamped(counters: Counters | None, at: Stamp) -> Counters | None:
    return None if counters is None else msgspec.structs.replace(counters, at=at)


@contextmanager
def _continuity_of_units() -> Generator[None]:
    """Only a cap that cools proves a silence, and what one cap does not prove is proven for none of its unit."""
    lost_in_silence_us = observe._lost_in_silence_us  # pyright: ignore[reportPrivateUsage] - it is taken out

    def lost_us(before: CapState, cap: CapReading, at: Stamp) -> int | None:
        still = before.condition in (CapCondition.PAUSED, CapCondition.FAULT)
        return None if still else lost_in_silence_us(before, cap, at)

    def changed(state: UnitState, reading: Reading, rules: ObserveRules) -> Observation:
        found = observe.observe(state, reading, rules)
        facts = tuple(
            msgspec.structs.replace(each, unproven=(), lost=()) if isinstance(each, UnitOnline) else each
            for each in found.facts
        )
        return msgspec.structs.replace(found, facts=facts)

    with mock.patch.object(observe, "_lost_in_silence_us", lost_us), mock.patch.object(observing, "observe", changed):
        yield


def _carried_nothing(carry_over: Callable[..., None]) -> Callable[..., None]:
    """Of a damaged ledger nothing is carried over."""

    def changed(
        connection: sqlite3.Connection,
        origin: LedgerOrigin,
        before: LedgerOrigin | None,
        aside: Path,
        ring: KeyRing,
        known_seq: int,
    ) -> None:
        del before
        carry_over(connection, origin, None, aside, ring, known_seq)

    return changed


def _mends() -> Iterator[Mend]:
    yield Mend("a restart has all facts of what is not done", _window_of_facts)
    yield Mend("a correction finds its session, however old", _patched(steps, "lacking", _only_due))
    yield Mend("a downtime forgets no session", _restart(_window_of_sessions))
    yield Mend("a session keeps the policy under which it opened", _patched(steps, "begin", _policy_of_today))
    yield Mend("the audit finds every session", _patched(reads, "tokens_opened", _lately))
    yield Mend("a session whose end nobody said is incomplete", _ends_unasked)
    yield Mend("an incomplete session is remembered", _patched(steps, "prune", _forgetful))
    yield Mend("a session is cut by its own policy", _patched(attribution, "_pinned_idle_us", _cut_by_todays_policy))
    yield Mend("a session on a unit that is lost is held", _never_lost)
    yield Mend("a lifted hold counts what stands without its cause", _patched(infusion, "lifts", _no_lifts))
    yield Mend("a reading and what follows from it are one", _observed_early)
    silences = frozenset({Kind.UNIT, Kind.RESTART})
    yield Mend("a unit's counters have an instant", _counters_without_instants, silences)
    yield Mend("a silence is proven for each cap", _continuity_of_units)
    yield Mend("what a damaged ledger proves is carried over", _patched(opening, "carry_over", _carried_nothing))


MENDS: Sequence[Mend] = tuple(_mends())


def main(numbers: list[str]) -> int:
    """Says of each mend how it was missed."""
    unseen = 0
    for mend in [MENDS[int(number) - 1] for number in numbers] or MENDS:
        found = seen(mend)
        unseen += found is None
        summary = (
            f"unseen in {SEEDS} seeds" if found is None else f"{found.seeds} seeds, {found.by.rule}: {found.by.text}"
        )
        sys.stdout.write(f"{mend.name}: {summary[:200]}\n")
        sys.stdout.flush()
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
