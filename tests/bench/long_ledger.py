"""A ledger of many days, quickly: `python -m tests.bench.long_ledger PATH [ENTRIES]`.

Each day every unit of a clinic treats one patient from the scan to the signed charge, five hours of it under the cap,
and while it cools its observation is recorded each minute. The tracker, the recorder and the ledger's statements are
the gateway's own; the disk is not waited for. The broker has taken every message.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from drivers.reading import Evidence, Stamp
from gateway.ledger import reads, writes
from gateway.ledger.batch import Attempt, Batch, OutboxMessage
from gateway.ledger.checkpointer import Checkpointer
from gateway.ledger.keys import KEY_FILE, load_or_make_key
from gateway.ledger.opening import connect_file, open_or_replace
from gateway.messages.cloudevents import Origin
from gateway.messages.identity import Identity
from gateway.messages.notation import Mode
from gateway.mqtt.topics import Topics
from gateway.recording.recorder import Recorder
from gateway.recording.transaction import Transaction
from gateway.runtime.shipped import shipped_dir
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    InfusionEnded,
    InfusionStarted,
    ObservedUntil,
    PatientBound,
    PreparationCharted,
    SessionFinalized,
)
from gateway.session.marks import combined
from gateway.session.observe import CapState, Counters, UnitState, observed_until
from gateway.session.policies import policies_of
from gateway.session.state import MEMORY_US, advance, begin, prune

GATEWAY, SITE = "gw-01", "ward-3"
ENTRIES = 1_000_000
DELIVERED_PAGE = 5_000
MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
T0_US = 1_773_133_200_000_000  # 2026-03-10T09:00:00Z
LAST_DAYS = 5  # as many days as a gateway keeps in memory, and one
IN_TREATMENT_US = 80 * MINUTE_US  # from the first patient of a day: some units cool, some have not begun
POLICY = (shipped_dir() / "policies" / "default.toml").read_text().replace('approved_by = ""', 'approved_by = "bench"')
_ORIGIN = Origin(SITE, GATEWAY)
_TOPICS = Topics(SITE, GATEWAY, Mode.TEST)


class Size(msgspec.Struct, frozen=True):
    """What is in a ledger: entries at least, of how many units; sessions held since the first days; waiting messages.

    With `until_us` there are a few days more, the last of which is cut off at that instant, with units in treatment.
    """

    entries: int = ENTRIES
    units: int = 20
    held: int = 0
    waiting: int = 0
    until_us: int | None = None


class Clinic:
    """A gateway whose days pass at once. Of the sessions so many as are to be `held` are never signed."""

    def __init__(self, path: Path, units: int, held: int = 0) -> None:
        self._units, self._held = units, held
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = open_or_replace(path, GATEWAY, lambda: Stamp(T0_US, 0), connect_file)
        self._connection, self._origin, self._head = opened.connection, opened.origin, opened.head
        self._policies = opened.policies
        self._connection.execute("PRAGMA synchronous = off")
        self._recorder = Recorder(_ORIGIN, _TOPICS, Mode.TEST, opened.origin.salt)
        key = load_or_make_key(path.with_name(KEY_FILE))
        self._checkpointer = Checkpointer(key, _ORIGIN, _TOPICS.checkpoint, opened.signed_seq)
        self._state = begin(policies_of([POLICY]), (), (), T0_US - MEMORY_US)
        self._observed: dict[str, int] = {}
        self._started_us: dict[str, int] = {}  # by unit: its treatment
        self._tokens = (f"T{number:08d}" for number in itertools.count(1))

    @property
    def entries(self) -> int:
        """How many the ledger has."""
        return self._head.seq

    def learn(self, now_us: int, facts: Sequence[AnyFact]) -> None:
        """One transaction, as the pipeline makes it."""
        state = prune(self._state, now_us)
        self._observed.update({unit: _read_us(unit, now_us) for unit in state.watched})
        transaction = Transaction(self._head, now_us, self._policies)
        self._state, step = advance(state, facts, self._observed, now_us, lambda: next(self._tokens))
        self._recorder.facts(transaction, step.facts)
        self._started_us.update({fact.cap.device: fact.at_us for fact in facts if isinstance(fact, CoolingStarted)})
        moved = frozenset(unit for outcome in step.outcomes for unit in outcome.record.watched)
        self._recorder.facts(transaction, combined(self._seen(moved if facts else self._state.watched, now_us)))
        for outcome in step.outcomes:
            identity = _identity(outcome.record.patient) if outcome.record.patient else None
            self._recorder.outcome(transaction, outcome, identity, "")
            for charge in outcome.release.charges:
                self._recorder.charge(transaction, outcome, charge, _identity(charge.line.patient), "")
        transaction.update_sessions(step.records)
        batch = self._checkpointer.with_checkpoint(transaction.batch(), now_us)
        if not batch.empty:
            writes.append_batch(self._connection, self._origin, batch)
            self._head, self._policies = batch.head, self._policies.union(batch.policies)

    def _seen(self, units: frozenset[str], now_us: int) -> Iterator[ObservedUntil]:
        """How far units are observed; each was read once a second, at its own instant."""
        for unit in sorted(units):
            read_us = _read_us(unit, now_us)
            read = Stamp(read_us, read_us - T0_US + DAY_US, "1f0e9c3a")
            started_us = self._started_us[unit]
            counters = Counters(read, started_us // DAY_US, max(0, read_us - started_us) // 1_000_000)
            state = UnitState((CapState(mark=counters),), read)
            yield observed_until(state, unit, read_us, now_us)

    def day(self, start_us: int, until_us: int | None = None) -> None:
        """Every unit treats a patient; their sessions are signed in the evening, unless `until_us` comes before."""
        events: list[tuple[int, AnyFact]] = []
        for unit in range(self._units):
            events += _treatment(start_us + unit * 140 * MINUTE_US // self._units, unit, start_us)
        minutes = range(start_us, start_us + 480 * MINUTE_US, MINUTE_US)
        for at_us in sorted({at_us for at_us, _ in events} | set(minutes)):
            if until_us is not None and at_us > until_us:
                return
            facts = [fact for when_us, fact in events if when_us == at_us]
            if facts or self._state.watched:
                self.learn(at_us, facts)
        evening_us = start_us + 480 * MINUTE_US
        for record in [each for each in self._state.records.values() if not each.done]:
            if int(record.token[1:]) <= self._held:
                continue
            evening_us += MINUTE_US
            signed = SessionFinalized(at_us=evening_us, known_at_us=evening_us, token=record.token, person="rn-1")
            charted = PreparationCharted(at_us=evening_us, known_at_us=evening_us, token=record.token, person="rn-1")
            self.learn(evening_us, [charted, signed])

    def deliver(self) -> None:
        """Let the broker have taken every message so far."""
        while rows := reads.waiting(self._connection, 0, DELIVERED_PAGE):
            writes.append_attempts(self._connection, [Attempt(row.outbox_id, T0_US, 0, True) for row in rows])

    def leave_waiting(self, rows: int) -> None:
        """So many messages more, which no broker took; the last entry stands for those that they come from."""
        for first in range(0, rows, DELIVERED_PAGE):
            numbers = range(first, min(first + DELIVERED_PAGE, rows))
            messages = [
                OutboxMessage(
                    self._head.seq, f"waiting-{number}", _TOPICS.checkpoint.topic, b"x" * 900, False, "text/plain"
                )
                for number in numbers
            ]
            writes.append_batch(self._connection, self._origin, Batch((), tuple(messages), (), self._head))

    def settle(self) -> None:
        """Let the file have all that its log has."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let the file be opened by others."""
        self._connection.close()


def unit_id(number: int) -> str:
    """The name of a unit, counted from 0."""
    return f"cap-{number + 1:02d}"


def _read_us(unit: str, now_us: int) -> int:
    """When a unit was read last."""
    return now_us - 1 - int(unit[-2:]) * 47_011


def _treatment(start_us: int, unit: int, day_us: int) -> Iterator[tuple[int, AnyFact]]:
    day = day_us // DAY_US
    cap, patient, order = CapRef(unit_id(unit), 1), f"subject-{day}-{unit}", f"O-{day}-{unit}"
    bound_us, cooled_us, begun_us, ended_us, stopped_us = (
        start_us + minute * MINUTE_US for minute in (0, 1, 31, 210, 300)
    )
    chemo = AgentClass.CHEMO
    facts: list[AnyFact] = [
        PatientBound(at_us=bound_us, known_at_us=bound_us, cap=cap, patient=patient, evidence="scan"),
        CoolingStarted(
            at_us=cooled_us, known_at_us=cooled_us, cap=cap, evidence=Evidence.FLOW, serial_number=f"SN-{unit}"
        ),
        InfusionStarted(at_us=begun_us, known_at_us=begun_us, order=order, patient=patient, admin=chemo),
        InfusionEnded(at_us=ended_us, known_at_us=ended_us, order=order, patient=patient, admin=chemo),
        CoolingStopped(at_us=stopped_us, known_at_us=stopped_us, cap=cap),
    ]
    return ((fact.known_at_us, fact) for fact in facts)


def _identity(subject: str) -> Identity:
    return Identity(subject, f"V-{subject}", f"MRN-{subject}", None)


def write_ledger(path: Path, size: Size) -> None:
    """A ledger of that size at `path`, closed."""
    clinic = Clinic(path, size.units, size.held)
    day_us = T0_US
    while clinic.entries < size.entries:
        clinic.day(day_us)
        day_us += DAY_US
    if size.until_us is not None:
        last_us = size.until_us - IN_TREATMENT_US
        for back in reversed(range(LAST_DAYS)):
            clinic.day(last_us - back * DAY_US, size.until_us)
    clinic.deliver()
    clinic.leave_waiting(size.waiting)
    clinic.close()


if __name__ == "__main__":
    write_ledger(Path(sys.argv[1]), Size(int(sys.argv[2]) if len(sys.argv) > 2 else ENTRIES))
