"""Changes of a running gateway's units: reload a changed configuration, swap a unit for a loaner and back.

Each checks the new configuration, refuses it if it has an error, and restarts the gateway in the same process; sessions
are restored from the ledger.

A swap is recorded in one ledger transaction, together with the changed bindings of patients. LOANERS_FILE is a copy
that is written afterwards; if that write is lost, the next start restores it from the ledger.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from gateway.config.lines import UnitSpec
from gateway.config.load import Examined, GatewayConfig, examine
from gateway.config.loaners import LOANERS_FILE, Loaner, swapped, write_loaners
from gateway.control.answers import DoneAnswer
from gateway.control.requests import AnyUnitRequest, ConfirmClock, Reload, RequestRefused, Swap, SwapBack
from gateway.ledger.access import Actor
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import Clock
from gateway.session.facts import AnyFact, CapRef, CoolingStopped, PatientBound, PatientReleased, UnitSwapped

_log = logging.getLogger("capgate.control")

ANSWER_S = 0.5  # delay of the restart, so that the client gets its answer before the socket closes
_SHOWN = 5  # errors in a refusal; capgate check names all


class UnitService:
    """Carries out reload, swap and swap-back. `restart` restarts the gateway; None: they are refused."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, pipeline: Pipeline, restart: Callable[[], None] | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._pipeline = pipeline
        self._restart = restart

    async def serve(self, request: AnyUnitRequest, by: Actor) -> DoneAnswer:
        """Carry out a request, and schedule the restart. Raises RequestRefused, with nothing changed."""
        if self._restart is None:
            raise RequestRefused("this gateway does not start again by itself", "capgate run")
        match request:
            case ConfirmClock():
                raise RequestRefused("the clock is believed, and what comes is counted", "nothing: it needs no word")
            case Reload():
                await self._reload()
                done = "the configuration is taken up"
            case Swap():
                await self._swap(request, by)
                done = f"{request.loaner} stands in for {request.unit}"
            case SwapBack():
                await self._swap_back(request, by)
                done = f"{request.unit} is back"
        _log.info("starting again", extra={"because": done})
        asyncio.get_running_loop().call_later(ANSWER_S, self._restart)
        return DoneAnswer(done=done)

    async def _reload(self) -> None:
        changed = _sound(await asyncio.to_thread(examine, self._config.file, self._config.loaners))
        missing = sorted(self._pipeline.busy - {unit.id for unit in changed.units})
        if missing:
            raise RequestRefused(
                f"{', '.join(missing)} has a cap in a session and is not in the changed configuration",
                "capgate unit swap, or wait until the session is over",
            )

    async def _swap(self, request: Swap, by: Actor) -> None:
        at_us = self._clock.now().utc_us
        there = self._now_at(request.unit)
        if request.url is not None and len(next(line for line in self._config.lines if there in line.units).units) > 1:
            raise RequestRefused("the unit shares its line", "no url: the loaner stands on the same line")
        swap = UnitSwapped(
            at_us=at_us,
            known_at_us=at_us,
            unit=request.unit,
            loaner=request.loaner,
            profile=request.profile,
            unit_id=request.unit_id,
            url=request.url,
            overrides=tuple(request.set.items()),
            person=request.person,
            reason=request.reason,
            login=by.login,
            role=by.role,
        )
        await self._put(there, swap)

    async def _swap_back(self, request: SwapBack, by: Actor) -> None:
        there = {each.unit for each in self._config.loaners}
        if request.unit not in there:
            raise RequestRefused("nothing stands in for that unit", ", ".join(sorted(there)) or "none is swapped")
        at_us = self._clock.now().utc_us
        back = UnitSwapped(
            at_us=at_us,
            known_at_us=at_us,
            unit=request.unit,
            loaner=request.unit,
            person=request.person,
            reason=request.reason,
            login=by.login,
            role=by.role,
        )
        await self._put(self._now_at(request.unit), back)

    async def _put(self, there: UnitSpec, swap: UnitSwapped) -> None:
        """Replace the machine `there` by the one of `swap`: check, record it with the changed bindings, and save."""
        loaners = swapped(self._config.loaners, [swap])
        examined = await asyncio.to_thread(examine, self._config.file, loaners)
        new = next(unit for unit in _sound(examined).units if unit.id == swap.loaner)
        await self._pipeline.record((*self._moved(there, new, swap), swap))
        await asyncio.to_thread(_save, self._config, loaners)

    def _moved(self, there: UnitSpec, new: UnitSpec, swap: UnitSwapped) -> Iterator[AnyFact]:
        """The facts of a swap: cooling on the old unit stopped, its caps' patients are bound to the new unit's caps."""
        at_us, who, why = swap.at_us, swap.person, swap.reason
        serving = self._pipeline.state.serving(at_us)
        seen_us = self._pipeline.observed.get(there.id) if there.id in self._pipeline.busy else None
        for cap in range(1, there.profile.caps + 1):
            patient = serving.get(CapRef(there.id, cap), "")
            if seen_us is not None:
                yield CoolingStopped(
                    at_us=seen_us,
                    known_at_us=at_us,
                    cap=CapRef(there.id, cap),
                    person=who,
                    reason="device_swap",
                )
            if not patient:
                continue
            if cap > new.profile.caps:
                raise RequestRefused(
                    f"cap {cap} serves a patient, and {new.id} has no such cap", "a unit with that cap"
                )
            old_cap, new_cap = CapRef(there.id, cap), CapRef(new.id, cap)
            yield PatientReleased(at_us=at_us, known_at_us=at_us, cap=old_cap, patient=patient, person=who, reason=why)
            yield PatientBound(
                at_us=at_us, known_at_us=at_us, cap=new_cap, patient=patient, evidence="person", person=who, reason=why
            )

    def _now_at(self, unit: str) -> UnitSpec:
        """The machine now in place of a configured unit: its loaner, or the unit itself. Raises RequestRefused."""
        name = next((each.loaner for each in self._config.loaners if each.unit == unit), unit)
        found = next((each for each in self._config.units if each.id == name), None)
        if found is None:
            raise RequestRefused("no such unit", ", ".join(each.id for each in self._config.units))
        return found


def with_swaps(config: GatewayConfig, swaps: Iterable[UnitSwapped]) -> GatewayConfig:
    """The configuration with the loaners recorded in the ledger; LOANERS_FILE is rewritten if it differs."""
    loaners = swapped(config.loaners, swaps)
    if loaners == config.loaners:
        return config
    _save(config, loaners)
    examined = examine(config.file, loaners)
    for problem in examined.errors:
        _log.error("a swap in the ledger cannot be taken up: %s", problem)
    return examined.config or config


def _save(config: GatewayConfig, loaners: Sequence[Loaner]) -> None:
    try:
        write_loaners(config.state_dir, loaners)
    except OSError as error:
        _log.error(f"{LOANERS_FILE} cannot be written; the ledger has what it would say", extra={"error": str(error)})


def _sound(examined: Examined) -> GatewayConfig:
    """The configuration. Raises RequestRefused with what is wrong with it."""
    if examined.config is not None:
        return examined.config
    shown = "; ".join(str(problem) for problem in examined.errors[:_SHOWN])
    more = len(examined.errors) - _SHOWN
    raise RequestRefused(shown + (f"; and {more} more" if more > 0 else ""), "what capgate check finds no error in")
