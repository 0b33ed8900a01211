"""Properties of gaps and drains on a line with several units, over random schedules and faults, in virtual time."""

import asyncio
import itertools
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.dialects.base import Dialect, ModbusQuery, Query, Request, TextQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError
from drivers.line import Line, LineTiming
from drivers.transport.memory import FarEnd, null_modem
from gateway.polling.schedule import LineSchedule
from tests.virtual_time import run_virtual

EXACT_S = 1e-9
TIMEOUT_S = 0.2


class Turn(NamedTuple):
    """One request: its unit, its delay after the last one, and the fault of its answer."""

    unit: int
    after_s: float
    delay_s: float  # of the answer
    copies: int  # of the answer that come together; 0: it is lost
    noise: int  # bytes before the answer


class Sent(NamedTuple):
    """One request as received by the far end."""

    unit: int
    at_s: float
    bytes: int


class Bus:
    """Records all bytes in both directions, and answers by the turns."""

    def __init__(self, far_end: FarEnd, codec: Dialect) -> None:
        self.sent: list[Sent] = []
        self.arrivals: list[float] = []
        self.turn = Turn(0, 0.0, 0.0, 0, 0)
        self._far_end = far_end
        self._spoken = codec
        far_end.on_request = self._hear

    def _hear(self, data: bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        request = self._spoken.scan_request(data)
        assert isinstance(request, Request)
        self.sent.append(Sent(self.turn.unit, now_s, len(data)))
        answer = self._spoken.encode_reply(request, answer_of(request.query))
        if self.turn.copies:
            self.arrivals.append(now_s + self.turn.delay_s)
            noise = bytes([0xFE]) * self.turn.noise
            self._far_end.send(noise + answer * self.turn.copies, after_s=self.turn.delay_s)


def asked_of(name: DialectName, number: int, unit: int) -> Query:
    """A query whose answer differs from that of every other query."""
    if name is DialectName.JULABO:
        return TextQuery(f"IN_PV_{number % 10:02d}")
    return ModbusQuery(unit + 1, 3, number, 1)


def answer_of(query: Query) -> tuple[int, ...] | str:
    match query:
        case ModbusQuery(unit_id=unit_id, address=address):
            return (unit_id * 1000 + address,)
        case TextQuery(command=command):
            return f"{int(command[-2:]) + 0.5}"
        case _:
            raise AssertionError(query)


timings = st.builds(
    LineTiming,
    gap_s=st.floats(0, 0.1),
    timeout_s=st.just(TIMEOUT_S),
    drain_s=st.floats(0.3, 1.0),
)
turns = st.lists(
    st.builds(
        Turn,
        unit=st.integers(0, 3),
        after_s=st.sampled_from((0.0, 0.0, 0.001, 0.05, 0.5, 3.0)),
        delay_s=st.floats(0.02, 0.29),  # within every unit's longest reply time
        copies=st.sampled_from((1, 1, 1, 0, 2)),
        noise=st.sampled_from((0, 0, 0, 3)),
    ),
    min_size=2,
    max_size=12,
)


@given(
    name=st.sampled_from((DialectName.MODBUS_RTU, DialectName.JULABO)),
    units=st.lists(timings, min_size=4, max_size=4),
    plan=turns,
    baud=st.sampled_from((None, 9600, 115200)),
)
@settings(max_examples=100, deadline=None)
def test_every_request_keeps_gap_and_silence_and_gets_its_own_answer_or_none(
    name: DialectName, units: list[LineTiming], plan: list[Turn], baud: int | None
) -> None:
    async def main() -> None:
        codec = dialect(name)
        connector, far_end = null_modem()
        line = Line("bus", connector, codec, units[0], baud)
        bus = Bus(far_end, codec)
        missed: list[bool] = []
        for number, turn in enumerate(plan):
            await asyncio.sleep(turn.after_s)
            bus.turn = turn
            query = asked_of(name, number, turn.unit)
            try:
                answer = await line.exchange(query, units[turn.unit])
            except DriverError:
                missed.append(True)
            else:
                missed.append(False)
                assert answer == answer_of(query)
        assert len(bus.sent) == len(plan)
        for (before, after), was_missed in zip(itertools.pairwise(bus.sent), missed, strict=False):
            on_the_wire_s = before.bytes * 11 / baud if baud else 0.0
            last_s = max([before.at_s + on_the_wire_s, *(at for at in bus.arrivals if at <= after.at_s)])
            silence_s = after.at_s - last_s + EXACT_S
            assert silence_s >= max(units[after.unit].gap_s, codec.gap_s(baud)), "the gap before a request"
            if was_missed:
                assert silence_s >= units[before.unit].drain_s, "the silence after a miss"

    run_virtual(main())


@given(
    periods_s=st.lists(st.sampled_from((1.0, 2.0, 5.0)), min_size=2, max_size=8),
    dead=st.sets(st.integers(0, 7)),
    preferred=st.sets(st.integers(0, 7)),
    cost_s=st.floats(0.01, 0.4),
    miss_s=st.floats(0.2, 2.0),
)
@settings(max_examples=200, deadline=None)
def test_no_unit_that_answers_waits_longer_than_all_the_others_together_take(
    periods_s: list[float], dead: set[int], preferred: set[int], cost_s: float, miss_s: float
) -> None:
    periods = {f"u{number}": period_s for number, period_s in enumerate(periods_s)}
    schedule = LineSchedule(periods, phase=0, now_s=0.0)
    schedule.prefer(frozenset(f"u{number}" for number in preferred))
    takes_s = {unit: miss_s if int(unit[1:]) in dead else cost_s for unit in periods}
    now_s = 0.0
    while now_s < 200.0:
        unit, due_s = schedule.next(now_s)
        now_s = max(now_s, due_s)
        bound_s = sum(takes_s.values()) + max(takes_s.values())
        if preferred and int(unit[1:]) not in preferred:
            bound_s += 2 * periods[unit]  # so long may those in a session go first
        assert int(unit[1:]) in dead or now_s - due_s <= bound_s, unit
        now_s += takes_s[unit]
        schedule.done(unit, int(unit[1:]) not in dead, now_s)
