"""Readings to telemetry: every cap's temperatures, and each unit's status when it changes. Lossy by design.

Nothing here is evidence: counting uses the pipeline and the ledger. A status is published again each REFRESH_US while
readings arrive, so that `observed_at` shows a reader the age of the retained message.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from drivers.reading import FaultKind, ReadFault, Reading, RunState
from gateway.config.lines import LineSpec, line_digest
from gateway.messages.cloudevents import Origin, Trace, encode_event
from gateway.messages.outbound.device import temperature_event, unit_down_event, unit_up_event
from gateway.messages.unit_claims import UnitClaim
from gateway.monitoring.alarms import UnitDown
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import Topics
from gateway.runtime.clock import US_PER_S

REFRESH_US = 60_000_000
_LATELY_US = 60_000_000
_UNTRACED = Trace()


class UnitFacts(msgspec.Struct, frozen=True):
    """A unit's configuration, as far as its messages need it."""

    profile: str
    caps: Mapping[int, str | None]  # cap -> chair
    line: str | None  # digest of line and address; None if no other gateway can reach the line


def facts_of_units(lines: Iterable[LineSpec], boot: str) -> dict[str, UnitFacts]:
    """The facts of all units, by id."""
    return {
        unit.id: UnitFacts(
            unit.profile.id,
            {n: unit.chairs.get(n) for n in range(1, unit.profile.caps + 1)},
            line_digest(line, unit, boot),
        )
        for line in lines
        for unit in line.units
    }


class _LastPublished(msgspec.Struct):
    """The last published state of a unit, so that only changes are published."""

    up: bool | None = None
    since_us: int = 0
    published_us: int = 0
    observed_us: int | None = None
    fault: FaultKind | None = None
    alarms: tuple[str, ...] = ()
    serial_number: str | None = None
    caps: Sequence[tuple[RunState, bool | None, bool | None]] = ()


class UnitStatusPublisher:
    """Publishes temperatures and statuses of all units."""

    def __init__(self, origin: Origin, topics: Topics, telemetry: Telemetry, units: Mapping[str, UnitFacts]) -> None:
        self._origin = origin
        self._telemetry = telemetry
        self._units = units
        self._last = {unit: _LastPublished() for unit in units}
        self._temperatures = {
            (unit, cap): topics.temperature(unit, cap) for unit, facts in units.items() for cap in facts.caps
        }
        self._statuses = {unit: topics.unit_status(unit) for unit in units}

    def is_up(self, unit: str) -> bool:
        """Whether the unit answered its last poll."""
        return self._last[unit].up is True

    def down(self, now_us: int) -> dict[str, UnitDown]:
        """The units that did not answer their last poll."""
        return {
            unit: UnitDown(last.fault, (now_us - last.since_us) / US_PER_S)
            for unit, last in self._last.items()
            if last.up is False and last.fault is not None
        }

    def claims(self, now_us: int) -> Iterator[UnitClaim]:
        """The units that are read, also those with an unstable link."""
        for unit, last in self._last.items():
            if last.observed_us is not None and (last.up or now_us - last.observed_us <= _LATELY_US):
                facts = self._units[unit]
                yield UnitClaim(
                    gateway=self._origin.gateway,
                    unit=unit,
                    profile=facts.profile,
                    serial_number=last.serial_number,
                    line=facts.line,
                    chairs=frozenset(chair for chair in facts.caps.values() if chair),
                    since_us=last.since_us,
                )

    def take(self, answer: Reading | ReadFault) -> None:
        """Publish a poll's result."""
        match answer:
            case Reading():
                self._take_reading(answer)
            case ReadFault():
                self._take_fault(answer)

    def _take_reading(self, reading: Reading) -> None:
        at_us = reading.observed_at.utc_us
        for cap in reading.caps:
            if cap.temperatures:  # a cap that this unit lacks has none
                payload = temperature_event(self._origin, reading.unit, cap, at_us)
                self._telemetry.put(self._temperatures[reading.unit, cap.cap], payload)
        last = self._last[reading.unit]
        caps = [(cap.run_state, cap.connected, cap.circulating) for cap in reading.caps]
        changed = (
            last.up is not True
            or caps != last.caps
            or reading.alarms != last.alarms
            or reading.serial_number != last.serial_number
        )
        last.observed_us = at_us
        if not changed and at_us - last.published_us < REFRESH_US:
            return
        if last.up is not True:
            last.since_us = at_us
        last.up, last.fault, last.published_us = True, None, at_us
        last.caps, last.alarms, last.serial_number = caps, reading.alarms, reading.serial_number
        facts = self._units[reading.unit]
        event = unit_up_event(
            self._origin,
            reading,
            event_id=f"{reading.unit}.status.{at_us}",
            profile=facts.profile,
            line=facts.line,
            since_us=last.since_us,
            chairs={cap: chair for cap, chair in facts.caps.items() if chair is not None},
            trace=_UNTRACED,
        )
        self._telemetry.status(self._statuses[reading.unit], encode_event(event))

    def _take_fault(self, fault: ReadFault) -> None:
        last = self._last[fault.unit]
        if last.up is False and last.fault is fault.kind:
            return
        if last.up is not False:
            last.since_us = fault.at.utc_us
        last.up, last.fault, last.published_us = False, fault.kind, fault.at.utc_us
        facts = self._units[fault.unit]
        event = unit_down_event(
            self._origin,
            fault.unit,
            fault.kind,
            event_id=f"{fault.unit}.status.{fault.at.utc_us}",
            profile=facts.profile,
            at_us=fault.at.utc_us,
            since_us=last.since_us,
            caps=facts.caps,
            observed_us=last.observed_us,
            trace=_UNTRACED,
        )
        self._telemetry.status(self._statuses[fault.unit], encode_event(event))
