"""Computes the alarms of a running gateway, and serves /healthz and /metrics.

The ledger's backlog is looked up every few seconds; everything else when a page is requested.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from drivers.toml.document import Problem
from gateway.ledger.batch import Backlog
from gateway.ledger.deliveries import Deliveries
from gateway.ledger.store import Ledger
from gateway.messages.instants import rfc3339
from gateway.monitoring.alarms import AlarmInputs, Alarms, UnitDown
from gateway.monitoring.counters import UnitCounters
from gateway.monitoring.feed import Feed
from gateway.monitoring.health import Health, HealthReport, serve_pages
from gateway.monitoring.metrics import LoopLag, Snapshot, metrics_of
from gateway.monitoring.upkeep import Upkeep
from gateway.monitoring.waiting import Waiting, holds, waiting_sessions, waiting_work
from gateway.mqtt.gateway_status import software_version
from gateway.mqtt.service import MqttService
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.crashes import Crash
from gateway.runtime.disk import Disk
from gateway.session.fact_types import ClockState, WorkKind
from gateway.session.facts import AnyFact, UnitShared
from gateway.session.outcome import SessionRecord, SessionState
from gateway.session.policies import Policies
from gateway.session.worklist import open_work

BACKLOG_PERIOD_S = 2.0


class UnitStatus(Protocol):
    """Which units answer."""

    def is_up(self, unit: str) -> bool:
        """Whether the unit answered its last poll."""
        ...

    def down(self, now_us: int) -> Mapping[str, UnitDown]:
        """The units that did not answer their last poll."""
        ...


class Polling(Protocol):
    """The progress and counters of polling."""

    unit_counters: dict[str, UnitCounters]

    @property
    def last_poll_s(self) -> float | None:
        """When the last poll of any line ended, in the event loop's seconds; None: none has yet."""
        ...

    def line_counters(self) -> Mapping[str, Mapping[str, int]]:
        """Line -> event -> count."""
        ...


class ClockBelief(Protocol):
    """How far the gateway's clock is to be believed."""

    state: ClockState
    implausible_us: int | None  # what a wall clock shows that is not followed, UTC


class Answers(Protocol):
    """Whether recording keeps up with polling."""

    held_back: int  # polls that waited because too many answers of their unit were not recorded yet


class Sweeps(Protocol):
    """What retention has purged."""

    purged: Mapping[str, int]  # by class
    kept: Mapping[str, int]  # sessions in the last sweep, by why
    swept_us: int | None  # when the last sweep ended, UTC
    waits: str  # why nothing is purged until a person has looked


class Monitor:
    """The alarms, health and metrics of one gateway.

    `increments` and `charges` are counted by operation. `most_staged` messages may wait for their visit. `metrics` are
    collected anew at each use.
    """

    def __init__(
        self,
        policies: Policies,
        clock: Clock,
        ledger: Ledger,
        polling: Polling,
        units: UnitStatus,
        mqtt: MqttService,
        alarms: Alarms,
        increments: Mapping[str, int],
        charges: Mapping[str, int],
        records: Callable[[], Iterable[SessionRecord]],
        work: Callable[[], Iterable[AnyFact]],
        feed: Feed,
        lag: LoopLag,
        answers: Answers,
        shared: Callable[[], Sequence[UnitShared]],
        most_staged: int,
        disk: Disk,
        upkeep: Upkeep,
        refused: Sequence[Problem],
        crashes: Callable[[], Sequence[Crash]],
        starts: Callable[[], int],
        history_trouble: Callable[[], str],
        sweeps: Sweeps,
        gateway: str,
        belief: ClockBelief,
    ) -> None:
        self.unserved: dict[str, str] = {}  # page -> why its address could not be bound
        self._gateway = gateway
        self._belief = belief
        self._policies = policies
        self._clock = clock
        self._ledger = ledger
        self._polling = polling
        self._units = units
        self._mqtt = mqtt
        self._alarms = alarms
        self._increments = increments
        self._charges = charges
        self._records = records
        self._work = work
        self._feed = feed
        self._lag = lag
        self._answers = answers
        self._shared = shared
        self._most_staged = most_staged
        self._disk = disk
        self._upkeep = upkeep
        self._crashes = crashes
        self._starts = starts
        self._history_trouble = history_trouble
        self._sweeps = sweeps
        self._configuration_refused = str(refused[0]) if refused else ""
        self._staged = 0
        self._sessions: Mapping[SessionState, Waiting] = {}
        self._backlog = Backlog(0, None)
        self._deliveries = Deliveries()
        self.metrics = metrics_of(self._snapshot)

    def health(self) -> HealthReport:
        """The health as of now."""
        health = self._health()
        return HealthReport(health, tuple(health.reasons()))

    async def run(self) -> None:
        """Watch the backlog and update the alarms until cancelled. Raises LedgerError."""
        while True:  # ends with the task
            self._backlog = await self._ledger.outbox.backlog()
            self._deliveries = await self._ledger.outbox.deliveries()
            self._staged = await self._ledger.staged_count()
            self._sessions = waiting_sessions(self._records(), self._clock.now().utc_us)
            self._alarms.update(self._condition(), self._clock.now().utc_us)
            await asyncio.sleep(BACKLOG_PERIOD_S)

    @asynccontextmanager
    async def pages(self, listen: tuple[str, int]) -> AsyncGenerator[None]:
        """Serve the pages; if the address cannot be bound the gateway runs without them, and an alarm says so."""
        async with serve_pages(listen, self._health, self.metrics) as unserved:
            self.unserved["health page"] = unserved
            yield

    def _condition(self) -> AlarmInputs:
        now_us = self._clock.now().utc_us
        set_aside, policy = self._ledger.set_aside, self._policies.at(now_us)
        lost = open_work(self._work(), WorkKind.ENTRIES_LOST)
        return AlarmInputs(
            missed_us=self._missed_us(),
            units_down=self._units.down(self._clock.now().utc_us),
            units_shared=self._shared(),
            held_topics=self._mqtt.held_topics,
            refused_filters=self._mqtt.refused_filters,
            rival_of=self._mqtt.client_id if self._mqtt.has_rival else "",
            feed_rejected=self._feed.rejected_lately(self._clock.now().utc_us),
            oldest_unsent_s=self._age_s(self._backlog.oldest_us) or 0.0,
            oldest_unreceipted_s=self._age_s(self._deliveries.oldest_us) or 0.0,
            oldest_stored_s=self._age_s(self._deliveries.oldest_stored_us) or 0.0,
            rejected=self._deliveries.rejected,
            staging_full=self._staged if self._staged >= self._most_staged else 0,
            disk_free_bytes=self._disk.free_bytes if self._disk.is_low else None,
            disk_lacks_files=self._disk.lacks_files,
            purge_waits=self._sweeps.waits,
            files_set_aside=self._disk.set_aside,
            ledger_set_aside="" if set_aside is None else set_aside.name,
            lost_since_us=min((item.raised.at_us for item in lost), default=None),
            start_disagrees=len(open_work(self._work(), WorkKind.START_DISAGREES)),
            defects=len(open_work(self._work(), WorkKind.SESSION_DEFECT)),
            crashes=self._crashes(),
            clock_wrong=self._clock_wrong(),
            starts=self._starts(),
            history_trouble="" if self._disk.is_low else self._history_trouble(),
            descriptors_left=self._upkeep.state.descriptors_left,
            expiring=self._upkeep.state.expiring(now_us / US_PER_S),
            configuration_refused=self._configuration_refused,
            unserved={name: why for name, why in self.unserved.items() if why},
            policy_unapproved="" if policy.approved_by else policy.name,
            incomplete=self._sessions.get(SessionState.INCOMPLETE, Waiting()),
            held=self._sessions.get(SessionState.HELD, Waiting()),
        )

    def _clock_wrong(self) -> str:
        """Why the wall clock is not believed, or the stamps are not; "" if they are."""
        if (shown_us := self._belief.implausible_us) is not None:
            return f"the wall clock shows {rfc3339(shown_us)}, which cannot be: the gateway goes on by its own time"
        if self._belief.state is ClockState.UNTRUSTED:
            return "the clock proved to be wrong: what is under way is held, and the new time holds once that is over"
        return ""

    def _missed_us(self) -> tuple[int, int] | None:
        """Between which instants the broker may not have kept messages, by the open items; None: there is none."""
        missed = [item.raised for item in open_work(self._work(), WorkKind.MESSAGES_MISSED)]
        return (min(each.at_us for each in missed), max(each.known_at_us for each in missed)) if missed else None

    def _health(self) -> Health:
        units = list(self._polling.unit_counters)
        last_s = self._polling.last_poll_s
        return Health(
            gateway=self._gateway,
            version=software_version(),
            mqtt_connected=self._mqtt.connected,
            clock=self._belief.state,
            clock_wrong=self._clock_wrong(),
            disk_is_low=self._disk.is_low,
            unheard=tuple(self._mqtt.refused_filters),
            client_id_taken=self._mqtt.has_rival,
            units_up=tuple(unit for unit in units if self._units.is_up(unit)),
            units_down=tuple(unit for unit in units if not self._units.is_up(unit)),
            oldest_unsent_s=self._age_s(self._backlog.oldest_us),
            rejected=self._deliveries.rejected,
            since_progress_s=None if last_s is None else asyncio.get_running_loop().time() - last_s,
        )

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            version=software_version(),
            units=self._polling.unit_counters,
            lines=self._polling.line_counters(),
            increments=self._increments,
            charges=self._charges,
            disk_free_bytes=self._disk.free_bytes,
            clock_step_s=self._clock.step_us() / US_PER_S,
            clock=self._belief.state,
            upkeep=self._upkeep.state,
            messages=self._feed.results,
            feed=self._feed.rows(self._clock.now().utc_us),
            unknown_words=self._feed.unknown_words,
            delays_s=self._feed.delays_s,
            outbox_depth=self._backlog.depth,
            staged=self._staged,
            ledger_check=self._ledger.file_check,
            oldest_unsent_s=self._age_s(self._backlog.oldest_us) or 0.0,
            mqtt_connected=self._mqtt.connected,
            mqtt=self._mqtt.counters,
            deliveries=self._deliveries,
            oldest_pending_s=self._age_s(self._deliveries.oldest_us) or 0.0,
            loop_lag_s=self._lag.worst_s,
            polls_held_back=self._answers.held_back,
            alarms=self._alarms.raised,
            sessions=self._sessions,
            holds=holds(self._records()),
            work=waiting_work(self._work(), self._clock.now().utc_us),
            purged=self._sweeps.purged,
            kept=self._sweeps.kept,
            since_sweep_s=self._age_s(self._sweeps.swept_us),
        )

    def _age_s(self, since_us: int | None) -> float | None:
        return None if since_us is None else max(0.0, (self._clock.now().utc_us - since_us) / US_PER_S)
