"""Prometheus metrics, made from the counters of the gateway's parts at each scrape.

Labels are units, lines and closed lists, never a patient or a session. Between scrapes only the loop-lag probe runs.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from drivers.line import LineCounters
from gateway.ledger.deliveries import Deliveries
from gateway.ledger.file_check import FileCheck
from gateway.ledger.retention import KeptFor
from gateway.monitoring.alarms import AlarmCode
from gateway.monitoring.counters import REPLY_BUCKETS_S, UnitCounters
from gateway.monitoring.feed import FeedResult, FeedRow
from gateway.monitoring.upkeep import UpkeepState
from gateway.monitoring.waiting import Waiting
from gateway.mqtt.types import MqttCounters
from gateway.session.fact_types import ClockState, WorkKind
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionState
from gateway.session.spans import US_PER_S

LAG_PERIOD_S = 1.0
LAG_WINDOW = 60  # periods, so that a scrape each minute misses no peak
_Kind = TypeVar("_Kind", SessionState, WorkKind)


class LoopLag:
    """The event loop's worst lag in the last minute, seconds: the longest delay of any poll or message."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque([0.0], maxlen=LAG_WINDOW)

    @property
    def worst_s(self) -> float:
        """The longest delay of a due timer."""
        return max(self._recent)

    async def watch(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:  # ends with the task
            due_s = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self._recent.append(max(0.0, loop.time() - due_s))


def line_events(counters: LineCounters) -> dict[str, int]:
    """A line's counters as events by name: requests, timeouts, exception-02, bad-check ..."""
    return {
        "requests": counters.requests,
        "replies": counters.replies,
        "timeouts": counters.timeouts,
        "idle-bytes": counters.idle_bytes,
        "reopens": counters.reopens,
        "closings": counters.closings,
        "failed-openings": counters.failed_openings,
        "drains": counters.drains,
        **{f"exception-{code:02X}": count for code, count in counters.exceptions.items()},
        **{str(kind): count for kind, count in counters.rejects.items()},
    }


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one scrape."""

    version: str
    units: Mapping[str, UnitCounters]
    lines: Mapping[str, Mapping[str, int]]  # line -> event, as `line_events` names them -> count
    increments: Mapping[str, int]  # emit, amend, retract -> count
    charges: Mapping[str, int]  # charge, credit -> count
    disk_free_bytes: int | None  # None: not known
    clock_step_s: float  # the wall clock minus the stamps
    clock: ClockState
    upkeep: UpkeepState
    outbox_depth: int
    oldest_unsent_s: float  # 0.0: all is sent
    staged: int  # messages of the engine that wait for their visit
    ledger_check: FileCheck
    mqtt_connected: bool
    mqtt: MqttCounters
    loop_lag_s: float
    alarms: Collection[AlarmCode] = ()
    deliveries: Deliveries = Deliveries()
    oldest_pending_s: float = 0.0  # 0.0: no receipt is awaited
    polls_held_back: int = 0
    sessions: Mapping[SessionState, Waiting] = {}  # those that are not done
    holds: Mapping[HeldReason, int] = {}  # held sessions by what holds them
    work: Mapping[WorkKind, Waiting] = {}  # open items
    messages: Mapping[FeedResult, int] = {}
    feed: Sequence[FeedRow] = ()
    unknown_words: Mapping[str, int] = {}  # field of HL7 -> count
    delays_s: Mapping[str, float] = {}  # sender -> shortest time from charting to receipt
    purged: Mapping[str, int] = {}  # class of retention -> count
    kept: Mapping[str, int] = {}  # why -> sessions of which what was due is kept
    since_sweep_s: float | None = None  # None: no sweep has ended yet


class BlockedSnapshot(msgspec.Struct, frozen=True):
    """The values of one scrape while the ledger cannot be used."""

    units: Mapping[str, UnitCounters]
    lines: Mapping[str, Mapping[str, int]]
    alarms: Collection[AlarmCode]


class _GatewayCollector(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        now = self._snapshot()
        yield from _unit_metrics(now.units)
        yield _counted("capgate_line_events", "What happened on the line.", ("line", "event"), now.lines)
        increments = CounterMetricFamily("capgate_increments", "97009 increments by operation.", labels=("op",))
        for op, count in now.increments.items():
            increments.add_metric((op,), count)
        yield increments
        charges = CounterMetricFamily("capgate_charges", "Charges and credits that were released.", labels=("op",))
        for op in ("charge", "credit"):
            charges.add_metric((op,), now.charges.get(op, 0))
        yield charges
        messages = CounterMetricFamily("capgate_messages", "Messages of the engine by answer.", labels=("kind",))
        for result, count in now.messages.items():
            messages.add_metric((result,), count)
        yield messages
        yield _feed_metric(now.feed)
        words = CounterMetricFamily(
            "capgate_unknown_words", "Words of the MAR that the site gives no meaning.", labels=("field",)
        )
        for field, count in now.unknown_words.items():
            words.add_metric((field,), count)
        yield words
        delays = GaugeMetricFamily(
            "capgate_sender_delay_seconds", "Shortest time from a charting to its receipt.", labels=("sender",)
        )
        for sender, delay_s in now.delays_s.items():
            delays.add_metric((sender,), delay_s)
        yield delays
        yield GaugeMetricFamily("capgate_outbox_depth", "Messages that wait for the broker.", now.outbox_depth)
        yield GaugeMetricFamily("capgate_outbox_oldest_seconds", "How long the oldest waits.", now.oldest_unsent_s)
        text = "Messages of the engine that wait until their visit has a cap here."
        yield GaugeMetricFamily("capgate_staged_messages", text, now.staged)
        check = "Check of the whole ledger file: 0 under way, 1 sound, 2 damaged."
        yield GaugeMetricFamily("capgate_ledger_check", check, int(now.ledger_check))
        if now.disk_free_bytes is not None:
            yield GaugeMetricFamily("capgate_disk_free_bytes", "Room where the ledger lies.", now.disk_free_bytes)
        yield GaugeMetricFamily("capgate_clock_step_seconds", "The wall clock minus the stamps.", now.clock_step_s)
        state = GaugeMetricFamily("capgate_clock_state", "1 for what is believed of the clock.", labels=("state",))
        for each in ClockState:
            state.add_metric((each,), float(each is now.clock))
        yield state
        yield from _upkeep_metrics(now.upkeep)
        yield from _retention_metrics(now)
        yield _alarm_metric(now.alarms)
        yield from _delivery_metrics(now.deliveries, now.oldest_pending_s)
        text = "Sessions that are not done, by state"
        yield from _waiting_metrics("capgate_sessions", text, "state", SessionState, now.sessions)
        text = "Open items of the work list, by kind"
        yield from _waiting_metrics("capgate_work_items", text, "kind", WorkKind, now.work)
        held = GaugeMetricFamily("capgate_sessions_held", "Held sessions by what holds them.", labels=("reason",))
        for reason in HeldReason:
            held.add_metric((reason,), now.holds.get(reason, 0))
        yield held
        yield GaugeMetricFamily("capgate_mqtt_connected", "1 while the broker is connected.", int(now.mqtt_connected))
        yield from _mqtt_metrics(now.mqtt)
        yield GaugeMetricFamily("capgate_loop_lag_seconds", "Worst lag of the event loop in a minute.", now.loop_lag_s)
        held_back = "Polls that waited because recording did not keep up."
        yield CounterMetricFamily("capgate_polls_held_back", held_back, now.polls_held_back)
        build = GaugeMetricFamily("capgate_build_info", "1, with the version.", labels=("version",))
        build.add_metric((now.version,), 1)
        yield build

    def describe(self) -> Iterable[Metric]:
        """Returns nothing, so that registering takes no snapshot before there is one."""
        return ()


def _retention_metrics(now: Snapshot) -> Iterable[Metric]:
    purged = CounterMetricFamily("capgate_purged", "What retention purged, by kind.", labels=("kind",))
    for name in ("identifiers", "messages", "texts", "copies"):
        purged.add_metric((name,), now.purged.get(name, 0))
    yield purged
    text = "Sessions of which the last sweep kept what was due, by why."
    kept = GaugeMetricFamily("capgate_retention_kept_sessions", text, labels=("reason",))
    for why in KeptFor:
        kept.add_metric((why,), now.kept.get(why, 0))
    yield kept
    if now.since_sweep_s is not None:
        text = "How long ago the last sweep of retention ended."
        yield GaugeMetricFamily("capgate_retention_sweep_age_seconds", text, now.since_sweep_s)


class _BlockedCollector(Collector):
    def __init__(self, snapshot: Callable[[], BlockedSnapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        now = self._snapshot()
        yield from _unit_metrics(now.units)
        yield _counted("capgate_line_events", "What happened on the line.", ("line", "event"), now.lines)
        yield _alarm_metric(now.alarms)


def metrics_of(snapshot: Callable[[], Snapshot]) -> CollectorRegistry:
    """The metrics of the gateway and of its process (memory, CPU, descriptors)."""
    return _registry(_GatewayCollector(snapshot))


def blocked_metrics(snapshot: Callable[[], BlockedSnapshot]) -> CollectorRegistry:
    """As `metrics_of`, of a gateway that cannot use its ledger: what is not known is not there."""
    return _registry(_BlockedCollector(snapshot))


def _registry(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _unit_metrics(units: Mapping[str, UnitCounters]) -> Iterable[Metric]:
    up = GaugeMetricFamily("capgate_unit_up", "1 while the unit's last poll gave a reading.", labels=("unit",))
    reads = CounterMetricFamily("capgate_unit_reads", "Polls that gave a reading.", labels=("unit",))
    replies = HistogramMetricFamily("capgate_unit_reply_seconds", "How long a reading took.", labels=("unit",))
    name, text = "capgate_unit_last_reading_timestamp_seconds", "When the last reading was taken, Unix time."
    read_at = GaugeMetricFamily(name, text, labels=("unit",))
    for unit, counters in units.items():
        up.add_metric((unit,), int(counters.up))
        reads.add_metric((unit,), counters.reads_ok)
        replies.add_metric((unit,), _cumulated(counters.replies), counters.reply_s_sum)
        if counters.read_us is not None:
            read_at.add_metric((unit,), counters.read_us / US_PER_S)
    faults = {unit: counters.faults for unit, counters in units.items()}
    yield from (up, reads, replies, read_at)
    yield _counted("capgate_unit_faults", "Polls that gave none, by reason.", ("unit", "kind"), faults)


def _upkeep_metrics(now: UpkeepState) -> Iterable[Metric]:
    if now.ledger_bytes is not None:
        yield GaugeMetricFamily("capgate_ledger_bytes", "Size of the ledger.", now.ledger_bytes)
    name, text = "capgate_certificate_expires_timestamp_seconds", "When the certificate expires, Unix time."
    expires = GaugeMetricFamily(name, text, labels=("certificate",))
    for certificate, at_s in now.expires_s.items():
        expires.add_metric((certificate,), at_s)
    text = "Failed polls of the last 30 days, over restarts."
    errors = GaugeMetricFamily("capgate_unit_errors_30d", text, labels=("unit", "kind"))
    text = "1 while the unit is worse than its own month, or bad with no month to compare with."
    badly = GaugeMetricFamily("capgate_unit_answers_badly", text, labels=("unit",))
    for unit in (unit for line in now.lines.lines for unit in line.units) if now.lines else ():
        badly.add_metric((unit.unit,), int(unit.alarming))
        for each in unit.errors:
            errors.add_metric((unit.unit, each.kind), each.days_30)
    yield from (expires, errors, badly)


def _alarm_metric(raised: Collection[AlarmCode]) -> Metric:
    family = GaugeMetricFamily("capgate_alarm", "1 while the alarm is raised.", labels=("code",))
    for code in AlarmCode:
        family.add_metric((code,), int(code in raised))
    return family


def _delivery_metrics(deliveries: Deliveries, oldest_s: float) -> Iterable[Metric]:
    yield GaugeMetricFamily("capgate_receipts_pending", "Messages whose receipt is awaited.", deliveries.pending)
    yield GaugeMetricFamily("capgate_receipts_oldest_seconds", "How long the oldest receipt is awaited.", oldest_s)
    yield GaugeMetricFamily("capgate_receipts_rejected", "Messages that the engine rejected.", deliveries.rejected)
    stored = "Messages that the engine stored, and whose answer is awaited."
    yield GaugeMetricFamily("capgate_receipts_stored", stored, deliveries.stored)
    unproven = "Messages of which no receipt is expected."
    yield GaugeMetricFamily("capgate_deliveries_unproven", unproven, deliveries.unproven)


def _mqtt_metrics(counters: MqttCounters) -> Iterable[Metric]:
    counted = (
        ("connects", "Connections that the broker accepted.", counters.connects),
        ("sessions_begun", "Connections without a session at the broker.", counters.sessions_begun),
        ("losses", "Connections that ended unasked.", counters.losses),
        ("connect_failures", "Attempts to connect that failed.", counters.connect_failures),
        ("published", "Messages that the broker took.", counters.published),
        ("no_subscriber", "Attempts that nobody was subscribed to.", counters.no_subscriber),
        ("refused", "Attempts that the broker refused.", counters.refused),
        ("statuses", "Unit statuses that the broker took.", counters.statuses),
        ("statuses_refused", "Unit statuses that the broker refused.", counters.statuses_refused),
        ("subscriptions_refused", "Subscriptions that the broker refused.", counters.subscriptions_refused),
        ("telemetry_sent", "Readings sent.", counters.telemetry_sent),
        ("telemetry_dropped", "Readings dropped: too many, or too old.", counters.telemetry_dropped),
        ("inbound", "Messages handled and acknowledged.", counters.inbound),
        ("inbound_dropped", "Statuses of other gateways dropped: too many waited.", counters.inbound_dropped),
        ("inbound_unconfigured", "Messages dropped: of topics not configured.", counters.inbound_unconfigured),
        ("inbound_retained", "Retained messages ignored.", counters.inbound_retained),
    )
    for name, text, count in counted:
        yield CounterMetricFamily(f"capgate_mqtt_{name}", text, count)


def _feed_metric(rows: Iterable[FeedRow]) -> Metric:
    text = "Messages of the engine by sender, type and answer."
    feed = CounterMetricFamily("capgate_feed_messages", text, labels=("sender", "type", "result", "code"))
    for row in rows:
        feed.add_metric((row.sender, row.type, row.result, row.code), row.since_start)
    return feed


def _waiting_metrics(
    name: str, text: str, label: str, kinds: Iterable[_Kind], waiting: Mapping[_Kind, Waiting]
) -> Iterable[Metric]:
    count = GaugeMetricFamily(name, f"{text}.", labels=(label,))
    oldest = GaugeMetricFamily(f"{name}_oldest_seconds", f"{text}: how long ago the oldest began.", labels=(label,))
    for kind in kinds:
        each = waiting.get(kind, Waiting())
        count.add_metric((kind,), each.count)
        oldest.add_metric((kind,), each.oldest_s)
    yield from (count, oldest)


def _counted(name: str, text: str, labels: tuple[str, str], counts: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for owner, by_kind in counts.items():
        for kind, count in by_kind.items():
            family.add_metric((owner, kind), count)
    return family


def _cumulated(replies: list[int]) -> list[tuple[str, float]]:
    """Prometheus' cumulative buckets: each bound with the number of replies up to it."""
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip([*map(str, REPLY_BUCKETS_S), "+Inf"], replies, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
