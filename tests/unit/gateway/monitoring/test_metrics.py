"""What a scrape shows, read back by Prometheus' own parser."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from drivers.dialects.base import RejectKind
from drivers.line import LineCounters
from drivers.reading import FaultKind
from gateway.ledger.file_check import FileCheck
from gateway.ledger.retention import KeptFor
from gateway.ledger.temperatures import READ, PollCount
from gateway.monitoring.counters import UnitCounters
from gateway.monitoring.feed import FeedResult
from gateway.monitoring.line_health import lines_report
from gateway.monitoring.metrics import LoopLag, Snapshot, line_events, metrics_of
from gateway.monitoring.upkeep import UpkeepState
from gateway.monitoring.waiting import Waiting
from gateway.mqtt.types import MqttCounters
from gateway.session.fact_types import ClockState, WorkKind
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionState
from tests.unit.gateway.monitoring import openmetrics
from tests.unit.gateway.monitoring.feed_rows import FEED_ROW

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "monitor.md"

REPORT = lines_report(
    [
        PollCount("2026-03-10", "bay-a", "cap-07", READ, 100),
        PollCount("2026-03-10", "bay-a", "cap-07", FaultKind.GARBLED, 12),
    ],
    (),
    365,
)


def snapshot() -> Snapshot:
    steady, shaky = UnitCounters(), UnitCounters()
    for reply_s in (0.01, 0.02, 0.03, 9.0):
        steady.ok(reply_s, 1_773_156_000_500_000)
    shaky.ok(0.1, 1)
    shaky.fault(FaultKind.TIMEOUT)
    shaky.fault(FaultKind.TIMEOUT)
    shaky.fault(FaultKind.GARBLED)
    line = LineCounters(requests=8, exceptions={2: 3})
    line.rejects[RejectKind.BAD_CHECK] = 1
    return Snapshot(
        version="0.1.0",
        units={"cap-07": steady, "cap-08": shaky},
        lines={"bay-a": line_events(line)},
        increments={"emit": 5, "retract": 1},
        charges={"charge": 4, "credit": 1},
        disk_free_bytes=9_000_000,
        clock_step_s=-1.5,
        clock=ClockState.HOLDOVER,
        upkeep=UpkeepState(4_096, {"page": 1_900_000_000.0}, REPORT),
        outbox_depth=3,
        purged={"identifiers": 2},
        kept={KeptFor.HELD: 1},
        since_sweep_s=5.0,
        staged=11,
        ledger_check=FileCheck.SOUND,
        oldest_unsent_s=12.5,
        mqtt_connected=True,
        mqtt=MqttCounters(**{name: count for count, name in enumerate(MqttCounters.__struct_fields__)}),
        loop_lag_s=0.004,
        polls_held_back=3,
        messages={FeedResult.IGNORED: 7},
        sessions={SessionState.HELD: Waiting(2, 90.0)},
        holds={HeldReason.NO_ORDER: 2},
        work={WorkKind.UNKNOWN_WORD: Waiting(3, 60.0)},
        feed=[FEED_ROW],
        unknown_words={"RXA-9": 2},
        delays_s={"MAR": -2.5},
    )


def scraped(page: bytes) -> dict[tuple[str, ...], float]:
    """(sample name, label values in the order of their labels' names ...) -> value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_every_counter_is_shown_under_its_labels() -> None:
    values = scraped(generate_latest(metrics_of(snapshot)))
    expected = {
        ("capgate_unit_up", "cap-07"): 1,
        ("capgate_unit_up", "cap-08"): 0,
        ("capgate_unit_reads_total", "cap-07"): 4,
        ("capgate_unit_faults_total", "timeout", "cap-08"): 2,
        ("capgate_unit_faults_total", "garbled", "cap-08"): 1,
        ("capgate_line_events_total", "requests", "bay-a"): 8,
        ("capgate_line_events_total", "bad-check", "bay-a"): 1,
        ("capgate_line_events_total", "exception-02", "bay-a"): 3,
        ("capgate_increments_total", "emit"): 5,
        ("capgate_charges_total", "charge"): 4,
        ("capgate_charges_total", "credit"): 1,
        ("capgate_sessions", "held"): 2,
        ("capgate_sessions", "open"): 0,
        ("capgate_sessions_oldest_seconds", "held"): 90.0,
        ("capgate_sessions_held", "no_order"): 2,
        ("capgate_sessions_held", "unbound"): 0,
        ("capgate_work_items", "unknown_word"): 3,
        ("capgate_work_items_oldest_seconds", "unknown_word"): 60.0,
        ("capgate_unit_last_reading_timestamp_seconds", "cap-07"): 1_773_156_000.5,
        ("capgate_unit_errors_30d", "garbled", "cap-07"): 12,
        ("capgate_unit_answers_badly", "cap-07"): 1,
        ("capgate_certificate_expires_timestamp_seconds", "page"): 1_900_000_000.0,
        ("capgate_disk_free_bytes",): 9_000_000,
        ("capgate_ledger_bytes",): 4_096,
        ("capgate_clock_step_seconds",): -1.5,
        ("capgate_clock_state", "holdover"): 1.0,
        ("capgate_clock_state", "trusted"): 0.0,
        ("capgate_outbox_depth",): 3,
        ("capgate_purged_total", "identifiers"): 2,
        ("capgate_retention_kept_sessions", "held"): 1,
        ("capgate_retention_sweep_age_seconds",): 5.0,
        ("capgate_staged_messages",): 11,
        ("capgate_ledger_check",): 1,
        ("capgate_outbox_oldest_seconds",): 12.5,
        ("capgate_mqtt_connected",): 1,
        ("capgate_loop_lag_seconds",): 0.004,
        ("capgate_polls_held_back_total",): 3.0,
        ("capgate_messages_total", "ignored"): 7.0,
        ("capgate_feed_messages_total", "not-ours", "ignored", "MAR", "RAS^O17"): 7.0,
        ("capgate_unknown_words_total", "RXA-9"): 2.0,
        ("capgate_sender_delay_seconds", "MAR"): -2.5,
        ("capgate_build_info", "0.1.0"): 1,
    }
    assert {key: values.get(key) for key in expected} == expected
    assert values[("process_resident_memory_bytes",)] > 0


def test_every_mqtt_counter_is_shown_by_its_name() -> None:
    values = scraped(generate_latest(metrics_of(snapshot)))
    shown = [values[f"capgate_mqtt_{name}_total",] for name in MqttCounters.__struct_fields__]
    assert shown == list(range(len(shown)))


def test_the_page_names_every_metric_with_its_labels_and_no_other() -> None:
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(capgate_\w+)` \|(.*?)\|", PAGE.read_text(), re.MULTILINE)
    }
    shown: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics_of(snapshot)).decode()):
        if family.name.startswith("capgate_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            shown[name] = {label for sample in family.samples for label in sample.labels}
    assert documented == shown


def test_reply_times_are_cumulated_by_bound() -> None:
    values = scraped(generate_latest(metrics_of(snapshot)))
    name = "capgate_unit_reply_seconds"
    assert [values[f"{name}_bucket", bound, "cap-07"] for bound in ("0.02", "0.05", "5.0", "+Inf")] == [2, 3, 3, 4]
    assert values[f"{name}_count", "cap-07"] == 4
    assert abs(values[f"{name}_sum", "cap-07"] - 9.06) < 1e-9


def test_no_label_names_a_patient_or_a_session() -> None:
    of_the_feed = {"sender", "type", "result", "code"}
    others = {"unit", "kind", "line", "event", "op", "version", "le", "state", "field", "reason", "certificate"}
    labels = {
        label
        for family in text_string_to_metric_families(generate_latest(metrics_of(snapshot)).decode())
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == others | of_the_feed


def test_openmetrics_says_the_same() -> None:
    registry = metrics_of(snapshot)
    plain = text_string_to_metric_families(generate_latest(registry).decode())
    encode, _ = choose_encoder(openmetrics.ASKED)
    families = openmetrics.families(encode(registry))
    ours = [each.name for each in plain if each.name.startswith("capgate_")]
    assert [each.name for each in families if each.name.startswith("capgate_")] == ours != []


def test_nothing_is_asked_before_the_first_scrape() -> None:
    def too_early() -> Snapshot:
        raise AssertionError("asked at registration")

    metrics_of(too_early)


async def test_a_blocked_loop_shows_as_lag() -> None:
    lag = LoopLag()
    loop = asyncio.get_running_loop()
    now_s = 100.0
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        nonlocal now_s
        waits.append(delay_s)
        if len(waits) == 3:
            raise asyncio.CancelledError
        now_s += delay_s + (0.25 if len(waits) == 1 else 0.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "time", lambda: now_s)
        patched.setattr("gateway.monitoring.metrics.asyncio.sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await lag.watch()
    assert lag.worst_s == 0.25
