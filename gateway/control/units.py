"""Changes of a running gateway's units: reload a changed configuration, swap a unit for a loaner and back.

All end in the same: the gateway starts again in the same process with a configuration that was checked before. Its
sessions go on from the ledger. Nothing is changed where the check finds an error.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from gateway.config.lines import UnitSpec
from gateway.config.load import Examined, GatewayConfig, examine
from gateway.config.loaners import Loaner, LoanersUnreadable, read_loaners, write_loaners
from gateway.control.answers import DoneAnswer
from gateway.control.requests import AnyUnitRequest, Reload, RequestRefused, Swap, SwapBack
from gateway.messages.instants import rfc3339
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import Clock
from gateway.session.facts import AnyFact, CapRef, CoolingStopped, PatientBound, PatientReleased

_log = logging.getLogger("capgate.control")

ANSWER_S = 0.5  # so that whoever asked has the answer before the socket closes
_SHOWN = 5  # errors in a refusal; capgate check names all


class UnitService:
    """Carries out the requests about units. `restart` makes the gateway start again."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, pipeline: Pipeline, restart: Callable[[], None] | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._pipeline = pipeline
        self._restart = restart

    async def serve(self, request: AnyUnitRequest) -> DoneAnswer:
        """What was done. Raises RequestRefused with nothing changed."""
        if self._restart is None:
            raise RequestRefused("this gateway does not start again by itself", "capgate run")
        match request:
            case Reload():
                await self._reload()
                done = "the configuration is taken up"
            case Swap():
                await self._swap(request)
                done = f"{request.loaner} stands in for {request.unit}"
            case SwapBack():
                await self._swap_back(request)
                done = f"{request.unit} is back"
        _log.info("starting again", extra={"because": done})
        asyncio.get_running_loop().call_later(ANSWER_S, self._restart)
        return DoneAnswer(done=done)

    async def _reload(self) -> None:
        changed = _sound(await asyncio.to_thread(examine, self._config.file))
        missing = sorted(self._pipeline.busy - {unit.id for unit in changed.units})
        if missing:
            raise RequestRefused(
                f"{', '.join(missing)} has a cap in a session and is not in the changed configuration",
                "capgate unit swap, or wait until the session is over",
            )

    async def _swap(self, request: Swap) -> None:
        loaners = self._loaners()
        others = [each for each in loaners if each.unit != request.unit]
        at_us = self._clock.now().utc_us
        loaner = Loaner(
            unit=request.unit,
            loaner=request.loaner,
            profile=request.profile,
            unit_id=request.unit_id,
            url=request.url,
            set=request.set,
            person=request.person,
            reason=request.reason,
            at=rfc3339(at_us),
        )
        there = self._now_at(request.unit, loaners)
        if request.url is not None and len(next(line for line in self._config.lines if there in line.units).units) > 1:
            raise RequestRefused("the unit shares its line", "no url: the loaner stands on the same line")
        await self._put(there, request.loaner, [*others, loaner], request, at_us)

    async def _swap_back(self, request: SwapBack) -> None:
        loaners = self._loaners()
        if request.unit not in {each.unit for each in loaners}:
            swapped = ", ".join(each.unit for each in loaners) or "none is swapped"
            raise RequestRefused("nothing stands in for that unit", swapped)
        remaining = [each for each in loaners if each.unit != request.unit]
        await self._put(self._now_at(request.unit, loaners), request.unit, remaining, request, self._clock.now().utc_us)

    async def _put(
        self, there: UnitSpec, new_id: str, loaners: Sequence[Loaner], request: Swap | SwapBack, at_us: int
    ) -> None:
        """Let `new_id` stand where `there` is: check, record the patients' moves, and save."""
        examined = await asyncio.to_thread(examine, self._config.file, loaners)
        new = next(unit for unit in _sound(examined).units if unit.id == new_id)
        moved = tuple(self._moved(there, new, request, at_us))
        if moved:
            await self._pipeline.record(moved)
        await asyncio.to_thread(write_loaners, self._config.state_dir, loaners)

    def _moved(self, there: UnitSpec, new: UnitSpec, request: Swap | SwapBack, at_us: int) -> Iterator[AnyFact]:
        """Nobody sees the old unit any more; who its caps serve is served by the new one's from now on."""
        serving = self._pipeline.state.serving(at_us)
        seen_us = self._pipeline.observed.get(there.id) if there.id in self._pipeline.busy else None
        for cap in range(1, there.profile.caps + 1):
            patient = serving.get(CapRef(there.id, cap), "")
            if seen_us is not None:
                yield CoolingStopped(
                    at_us=seen_us,
                    known_at_us=at_us,
                    cap=CapRef(there.id, cap),
                    person=request.person,
                    reason="device_swap",
                )
            if not patient:
                continue
            if cap > new.profile.caps:
                raise RequestRefused(
                    f"cap {cap} serves a patient, and {new.id} has no such cap", "a unit with that cap"
                )
            who, why = request.person, request.reason
            old_cap, new_cap = CapRef(there.id, cap), CapRef(new.id, cap)
            yield PatientReleased(at_us=at_us, known_at_us=at_us, cap=old_cap, patient=patient, person=who, reason=why)
            yield PatientBound(
                at_us=at_us, known_at_us=at_us, cap=new_cap, patient=patient, evidence="person", person=who, reason=why
            )

    def _now_at(self, unit: str, loaners: Sequence[Loaner]) -> UnitSpec:
        """The machine that stands at a unit's place now."""
        name = next((each.loaner for each in loaners if each.unit == unit), unit)
        found = next((each for each in self._config.units if each.id == name), None)
        if found is None:
            raise RequestRefused("no such unit", ", ".join(each.id for each in self._config.units))
        return found

    def _loaners(self) -> tuple[Loaner, ...]:
        try:
            return read_loaners(self._config.state_dir)
        except LoanersUnreadable as error:
            raise RequestRefused(str(error), "a file that the gateway wrote, or none") from None


def _sound(examined: Examined) -> GatewayConfig:
    """The configuration. Raises RequestRefused with what is wrong with it."""
    if examined.config is not None:
        return examined.config
    shown = "; ".join(str(problem) for problem in examined.errors[:_SHOWN])
    more = len(examined.errors) - _SHOWN
    raise RequestRefused(shown + (f"; and {more} more" if more > 0 else ""), "what capgate check finds no error in")
