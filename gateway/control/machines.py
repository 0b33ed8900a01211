"""Answers what is asked about the machines, their lines and the gateway: how they work, and a capture of a line."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from gateway.config.load import GatewayConfig
from gateway.control.answers import ArchiveAnswer, DiagnoseAnswer, DoneAnswer
from gateway.control.equipment import EquipmentAnswer, Observed, equipment_answer
from gateway.control.requests import (
    AnyMachineRequest,
    ArchiveRequest,
    CaptureRequest,
    Diagnose,
    EquipmentRequest,
    RequestRefused,
)
from gateway.ledger.access import Actor
from gateway.messages.instants import rfc3339
from gateway.monitoring.counters import UnitCounters
from gateway.monitoring.error_history import ErrorHistory
from gateway.polling.captures import LENGTH_S, CaptureBusy, Captures
from gateway.runtime.clock import Clock
from gateway.telemetry.latest import LatestReadings

_log = logging.getLogger("capgate.control")


class Machines:
    """Answers `equipment`, `capture`, `diagnose` and `archive`. `monitored` says what the gateway knows of itself."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        latest: LatestReadings,
        captures: Captures,
        errors: ErrorHistory,
        counters: Callable[[], Mapping[str, UnitCounters]],
        monitored: Callable[[], DiagnoseAnswer] | None = None,
        packed: Callable[[], Awaitable[bytes]] | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._latest = latest
        self._captures = captures
        self._errors = errors
        self._counters = counters
        self._monitored = monitored
        self._packed = packed

    async def serve(
        self, request: AnyMachineRequest, by: Actor
    ) -> EquipmentAnswer | DoneAnswer | DiagnoseAnswer | ArchiveAnswer:
        """Answer the request of `by`. Raises RequestRefused."""
        match request:
            case EquipmentRequest():
                return await self._equipment()
            case CaptureRequest():
                return self._capture(request, by)
            case Diagnose():
                if self._monitored is None:
                    raise RequestRefused("this gateway is not monitored", "capgate run")
                return self._monitored()
            case ArchiveRequest():
                packed = b"" if self._packed is None else await self._packed()
                if not packed:
                    raise RequestRefused("no archive can be made", "capgate diagnose --config, which says why")
                return ArchiveAnswer(archive=packed)

    async def _equipment(self) -> EquipmentAnswer:
        errors, captures = await asyncio.to_thread(lambda: (self._errors.report(), self._captures.kept()))
        observed = Observed(
            now_us=self._clock.now().utc_us,
            latest={unit.id: self._latest.of(unit.id) for unit in self._config.units},
            counters=self._counters(),
            errors=errors,
            recorded=self._captures.running,
            captures=captures,
        )
        return equipment_answer(self._config, observed)

    def _capture(self, request: CaptureRequest, by: Actor) -> DoneAnswer:
        lines = [line.id for line in self._config.lines]
        if request.line not in lines:
            raise RequestRefused("line: no such line", ", ".join(lines))
        try:
            until_us = self._captures.begin(request.line)
        except CaptureBusy as busy:
            raise RequestRefused(f"{busy} is recorded now", f"another try in {LENGTH_S:.0f} s") from None
        _log.info("a capture begins", extra={"line": request.line, "person": request.person, "login": by.login})
        return DoneAnswer(done=f"{request.line} is recorded until {rfc3339(until_us)}")
