"""Inputs that wait for a slow disk share its next commit, each as a step of its own, on a real ledger."""

import asyncio
import itertools
import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from drivers.reading import CapReading, ReadFault, Reading, RunState
from drivers.unit.driver import Driver
from gateway.audit.verify import verify
from gateway.config.load import load_config
from gateway.ledger.bodies import Order
from gateway.ledger.entry import EntryKind
from gateway.ledger.store import Ledger, open_ledger
from gateway.monitoring.metrics import UnitCounters
from gateway.polling.inbox import MOST_WAITING, Inbox
from gateway.polling.poller import Polled, PollProgress, poll_line
from gateway.polling.schedule import SLOTS, LineSchedule
from gateway.recording.pipeline import Pipeline
from gateway.recording.receipts import OrderRefused
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import Outage
from gateway.session.facts import NoteAdded
from tests.support.pipeline import POLICY, FakeClock

_log = logging.getLogger("capgate.lines")

UNITS = 40
PLANT = 100  # units that are polled each second
WATCHED_S = 10.0
CONFIG = """
[gateway]
site = "ward"
id = "gw-01"
mode = "test"
state_dir = "state"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[tracking]
policy = "policy.toml"
"""
UNIT = """
[[line]]
id = "net-{number}"
url = "socket://127.0.0.1:{number}"

[[line.unit]]
id = "cap-{number}"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 1
simulated = true
cap = [{{ cap = 1, chair = "c{number}" }}]
"""


class SlowDisk:
    """Makes connections whose commits take `commit_s`, and counts the commits."""

    def __init__(self, commit_s: float) -> None:
        self.commit_s = commit_s
        self.commits = 0
        self.on_commit: Callable[[], None] = lambda: None

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection to a file of the ledger."""
        disk = self

        class Slow(sqlite3.Connection):
            def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    disk.commits += 1
                    disk.on_commit()
                    time.sleep(disk.commit_s)
                return super().execute(sql, *values)  # type: ignore[arg-type]

        path.touch(mode=0o600)
        return sqlite3.connect(path, isolation_level=None, factory=Slow)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG + "".join(UNIT.format(number=100 + n) for n in range(PLANT)))
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path


class Gateway:
    """Many units, of which all cool or none, and a gateway on a slow disk."""

    def __init__(self, pipeline: Pipeline, clock: FakeClock, ledger: Ledger) -> None:
        self.pipeline = pipeline
        self.clock = clock
        self.ledger = ledger

    async def poll(self, state: RunState) -> None:
        """One reading of each unit, all at once."""
        self.clock.us += 1_000_000
        async with asyncio.TaskGroup() as group:
            for number in range(UNITS):
                cap = CapReading(1, state, True, state is RunState.RUNNING, {})
                idle = CapReading(2, RunState.STOPPED, False, False, {})
                reading = Reading(f"cap-{100 + number}", self.clock.now(), (cap, idle), {}, (), f"SN-{number}")
                group.create_task(self.pipeline.answer(reading))


@asynccontextmanager
async def running(folder: Path, disk: SlowDisk) -> AsyncGenerator[Gateway]:
    config = load_config(folder / "gateway.toml")
    clock = FakeClock()
    async with open_ledger(folder / "state" / "ledger.db", config.id, clock.now, disk.connect) as ledger:
        yield Gateway(await Pipeline.recovered(config, clock, ledger), clock, ledger)


async def test_what_waits_for_the_disk_shares_the_next_commit(folder: Path) -> None:
    disk = SlowDisk(0.02)
    async with running(folder, disk) as gateway:
        await gateway.poll(RunState.STOPPED)
        before = disk.commits
        for _ in range(2):
            await gateway.poll(RunState.RUNNING)
        entries = await gateway.ledger.entries(kinds=[EntryKind.FACT])
    assert disk.commits - before <= 2, "the first that came, and all the others"
    facts = [cast(dict[str, object], json.loads(entry.body)) for entry in entries]
    assert Counter(fact["fact"] for fact in facts)["cooling_started"] == UNITS
    instants = {
        entry.recorded_us for entry, fact in zip(entries, facts, strict=True) if fact["fact"] == "cooling_started"
    }
    assert len(instants) == UNITS, "each has an instant of its own, by which the audit knows the steps"
    report = verify(folder / "state" / "ledger.db")
    assert report.problems == ()


@pytest.mark.requirement("REQ-DELIVER-4")
async def test_nothing_is_seen_or_answered_before_it_is_on_the_disk(folder: Path) -> None:
    disk = SlowDisk(0.02)
    async with running(folder, disk) as gateway:
        await gateway.poll(RunState.STOPPED)
        await gateway.poll(RunState.RUNNING)
        seen: list[int] = []
        disk.on_commit = lambda: seen.append(len(gateway.pipeline.state.records))
        reading = asyncio.create_task(gateway.poll(RunState.RUNNING))
        while not seen:
            await asyncio.sleep(0.001)
        waiting = await gateway.ledger.outbox.pending(0, 10_000)
        assert len(gateway.pipeline.state.records) == UNITS
        assert any(row.topic.endswith("/session/json") for row in waiting), "the relay waited for the commit"
        await reading
        assert seen[0] == 0, "while it was on its way nobody saw the sessions"


async def test_a_step_that_is_refused_leaves_the_others_of_its_commit(folder: Path) -> None:
    disk = SlowDisk(0.02)
    async with running(folder, disk) as gateway:
        notes = [NoteAdded(at_us=1, known_at_us=1, patient=name, text="so it is") for name in ("p1", "p2", "p3")]
        results = await asyncio.gather(
            gateway.pipeline.record(notes[:1]),
            gateway.pipeline.record(notes[1:2]),
            gateway.pipeline.send_again(Order("9RX2M7KQ401A", "Z. Ward", "lost")),
            gateway.pipeline.record(notes[2:]),
            return_exceptions=True,
        )
        assert [isinstance(each, OrderRefused) for each in results] == [False, False, True, False]
        assert await _patients_of_notes(gateway.ledger) == ["p1", "p2", "p3"]


async def test_who_is_gone_before_the_step_began_takes_it_along(folder: Path) -> None:
    disk = SlowDisk(0.02)
    async with running(folder, disk) as gateway:
        notes = [NoteAdded(at_us=1, known_at_us=1, patient=name, text="so it is") for name in ("p1", "p2", "p3")]
        before, disk.commit_s = disk.commits, 0.2
        tasks = [asyncio.create_task(gateway.pipeline.record(notes[:1]))]
        while disk.commits == before:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(gateway.pipeline.record([note])) for note in notes[1:]]
        await asyncio.sleep(0.001)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [True, True, False]
        assert await _patients_of_notes(gateway.ledger) == ["p1", "p3"]


async def _patients_of_notes(ledger: Ledger) -> list[str]:
    facts = [json.loads(entry.body) for entry in await ledger.entries(kinds=[EntryKind.FACT])]
    return [fact["patient"] for fact in facts if fact["fact"] == "note_added"]


class Cooling:
    """Stands for a driver: a unit that cools, its cap off now and then, each at another time."""

    def __init__(self, number: int, clock: SystemClock) -> None:
        self.number = number
        self.polled_us: list[int] = []
        self._clock = clock

    async def read(self) -> Reading | ReadFault:
        now = self._clock.now()
        self.polled_us.append(now.boot_us)
        worn = (len(self.polled_us) + self.number) % 7 > 2
        cap = CapReading(1, RunState.RUNNING, worn, worn, {})
        return Reading(f"cap-{100 + self.number}", now, (cap, CapReading(2, RunState.STOPPED, False, False, {})), {})


@pytest.mark.parametrize("commit_s", [0.1, 0.25])
async def test_a_slow_disk_delays_no_poll_and_silences_no_unit(folder: Path, commit_s: float) -> None:
    config = load_config(folder / "gateway.toml")
    clock = SystemClock()
    disk = SlowDisk(commit_s)
    drivers = {f"cap-{100 + number}": Cooling(number, clock) for number in range(PLANT)}
    async with open_ledger(folder / "state" / "ledger.db", config.id, clock.now, disk.connect) as ledger:
        pipeline = await Pipeline.recovered(config, clock, ledger)
        inbox = Inbox(drivers, clock, pipeline.answer)
        now_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(inbox.run())
            polling = [
                tasks.create_task(
                    poll_line(
                        LineSchedule({unit: 1.0}, index % SLOTS, now_s),
                        {unit: Polled(cast(Driver, driver), UnitCounters(), Outage(_log, clock, unit))},
                        inbox.put,
                        PollProgress(),
                    )
                )
                for index, (unit, driver) in enumerate(drivers.items())
            ]
            await asyncio.sleep(WATCHED_S)
            for task in polling:
                task.cancel()
            await inbox.emptied()
            recording.cancel()
        bodies = [
            cast(dict[str, object], json.loads(each.body)) for each in await ledger.entries(kinds=[EntryKind.FACT])
        ]
    counts = Counter(body["fact"] for body in bodies)
    assert counts["cooling_paused"] > PLANT / 2, "there was much to record"
    assert counts["unit_offline"] == 0
    assert inbox.held_back == 0
    late = [
        after - before
        for driver in drivers.values()
        for before, after in itertools.pairwise(driver.polled_us)
        if abs(after - before - 1_000_000) > 500_000
    ]
    assert late == [], "every poll was made in its slot"


async def test_a_unit_whose_answers_are_not_recorded_is_asked_no_more_until_they_are(folder: Path) -> None:
    recorded = asyncio.Event()
    taken: list[Reading | ReadFault] = []

    async def take(answer: Reading | ReadFault) -> None:
        await recorded.wait()
        taken.append(answer)

    clock = SystemClock()
    inbox = Inbox(["cap-100"], clock, take)
    unit = Cooling(0, clock)
    async with asyncio.TaskGroup() as tasks:
        recording = tasks.create_task(inbox.run())
        await asyncio.sleep(0)
        for _ in range(MOST_WAITING):
            await inbox.put(await unit.read())
        await asyncio.sleep(0)  # one is in hand, so that there is room for one more
        await inbox.put(await unit.read())
        waiting = tasks.create_task(inbox.put(await unit.read()))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert inbox.held_back == 1
        recorded.set()
        await waiting
        await inbox.emptied()
        recording.cancel()
    assert [each.observed_at.boot_us for each in taken if isinstance(each, Reading)] == unit.polled_us
