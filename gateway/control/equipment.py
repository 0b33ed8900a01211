"""Every unit and line as their screen shows them. Pure."""

from collections.abc import Mapping

import msgspec

from drivers.dialects.registry import DialectName
from drivers.profile.enums import Trust
from drivers.reading import FaultKind
from gateway.config.load import GatewayConfig
from gateway.control.answers import LocalAnswer
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.monitoring.counters import REPLY_BUCKETS_S, UnitCounters
from gateway.monitoring.line_health import LinesReport
from gateway.polling.captures import Capture
from gateway.telemetry.latest import LastAnswer

USUALLY = 0.95  # of the answers


class AnswerTimes(msgspec.Struct, frozen=True):
    """How long a unit took for a reading, since the gateway started."""

    mean_s: float
    usually_within_s: float | None  # 95 % of its readings; None: longer than the longest bound that is counted


class UnitView(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that is polled."""

    unit: str
    line: str
    profile: str
    trust: Trust  # how far the profile was verified
    simulated: bool
    chairs: tuple[str, ...]
    stands_in_for: str | None  # the configured unit; None: it is one itself
    last_seen: str | None  # None: not since the gateway started
    fault: FaultKind | None  # of the last poll
    answer_times: AnswerTimes | None  # None: there was no answer yet


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line, and its captures."""

    line: str
    dialect: DialectName
    recorded_until: str | None  # a capture goes on
    captured_at: str | None  # the last capture's end; None: there is none
    captured_bytes: int


class EquipmentAnswer(LocalAnswer, frozen=True, kw_only=True):
    """To `equipment`. `errors` is what `capgate lines` says, None before anything was counted."""

    now: str
    lines: tuple[LineView, ...]
    units: tuple[UnitView, ...]
    errors: LinesReport | None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed of the units and lines, as of now."""

    now_us: int
    latest: Mapping[str, LastAnswer]
    counters: Mapping[str, UnitCounters]
    errors: LinesReport | None
    recorded: tuple[str, int] | None  # the line that is recorded, and until when
    captures: Mapping[str, Capture]


def equipment_answer(config: GatewayConfig, seen: Observed) -> EquipmentAnswer:
    """The answer for these units and lines."""
    stands_in = {each.loaner: each.unit for each in config.loaners}
    return EquipmentAnswer(
        time_zone=config.people_zone.key,
        now=rfc3339(seen.now_us),
        lines=tuple(_line(line.id, line.dialect, seen) for line in config.lines),
        units=tuple(
            UnitView(
                unit=unit.id,
                line=line.id,
                profile=unit.profile.id,
                trust=unit.profile.identity.trust,
                simulated=unit.simulated,
                chairs=tuple(chair for _, chair in sorted(unit.chairs.items())),
                stands_in_for=stands_in.get(unit.id),
                last_seen=rfc3339_or_none(seen.latest[unit.id].observed_us),
                fault=seen.latest[unit.id].fault,
                answer_times=_answer_times(seen.counters.get(unit.id)),
            )
            for line in config.lines
            for unit in line.units
        ),
        errors=seen.errors,
    )


def _line(line: str, dialect: DialectName, seen: Observed) -> LineView:
    capture = seen.captures.get(line)
    return LineView(
        line=line,
        dialect=dialect,
        recorded_until=rfc3339(seen.recorded[1]) if seen.recorded and seen.recorded[0] == line else None,
        captured_at=rfc3339(capture.ended_us) if capture else None,
        captured_bytes=capture.size_bytes if capture else 0,
    )


def _answer_times(counters: UnitCounters | None) -> AnswerTimes | None:
    if counters is None or not counters.reads_ok:
        return None
    wanted, found = USUALLY * counters.reads_ok, 0
    for bound_s, count in zip(REPLY_BUCKETS_S, counters.replies, strict=False):  # the last bucket has no bound
        found += count
        if found >= wanted:
            return AnswerTimes(counters.reply_s_sum / counters.reads_ok, bound_s)
    return AnswerTimes(counters.reply_s_sum / counters.reads_ok, None)
