"""Decodes one cap's part of a reading from the slots. Pure."""

from collections.abc import Mapping

from drivers.decode.rules import Measure, Rule, Slots
from drivers.reading import CapReading, Measurement, Quality, RunState


class CapDecoder:
    """Decodes the part of one cap."""

    def __init__(
        self,
        *,
        number: int,
        run_states: tuple[tuple[Rule, RunState], ...],
        connected: Rule | None,
        circulating: Rule | None,
        flow: tuple[Measure, float] | None,
        own: tuple[tuple[str, Measure], ...],
        shared: tuple[str, ...],
        treatment: int | None,
        elapsed: int | None,
    ) -> None:
        self.number = number
        self.absent = CapReading(number, RunState.STOPPED, connected=None, circulating=False, temperatures={})
        self._run_states = run_states
        self._connected = connected
        self._circulating = circulating
        self._flow = flow
        self._own = own
        self._shared = shared
        self._treatment = treatment
        self._elapsed = elapsed

    def __call__(self, slots: Slots, unit: Mapping[str, Measurement]) -> CapReading:
        temperatures = {name: unit[name] for name in self._shared}
        for name, measure in self._own:
            temperatures[name] = measure(slots)
        return CapReading(
            cap=self.number,
            run_state=self._run_state(slots),
            connected=self._connected(slots) if self._connected else None,
            circulating=self._is_circulating(slots),
            temperatures=temperatures,
            treatment=_whole(slots, self._treatment),
            elapsed_s=_whole(slots, self._elapsed),
        )

    def _run_state(self, slots: Slots) -> RunState:
        """The state of the first rule that holds; unknown if an earlier rule cannot be decided."""
        for rule, state in self._run_states:
            match rule(slots):
                case True:
                    return state
                case None:
                    return RunState.UNKNOWN
                case False:
                    continue
        return RunState.UNKNOWN

    def _is_circulating(self, slots: Slots) -> bool | None:
        said = self._circulating(slots) if self._circulating else None
        if not said or self._flow is None:
            return said
        measure, at_least = self._flow
        flow = measure(slots)
        return flow.value >= at_least if flow.value is not None and flow.quality is Quality.GOOD else None


def _whole(slots: Slots, index: int | None) -> int | None:
    held = None if index is None else slots[index]
    return int(held) if isinstance(held, int | float) else None
