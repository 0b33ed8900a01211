"""A line that answers from registers, and the unit behind it."""

from collections.abc import Callable

from drivers.dialects.base import ModbusQuery, Query, Raw
from drivers.errors import DriverError
from drivers.line import LineTiming

Answer = Raw | DriverError


class FakeLine:
    """Answers from a function, and records the queries."""

    def __init__(self, answer: Callable[[Query], Answer]) -> None:
        self.answer: Callable[[Query], Answer] = answer
        self.asked: list[Query] = []
        self.timings: list[LineTiming | None] = []

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        self.asked.append(query)
        self.timings.append(timing)
        answer = self.answer(query)
        if isinstance(answer, DriverError):
            raise answer
        return answer


class Rcu:
    """The reference cap unit's registers, both caps cooling."""

    def __init__(self) -> None:
        self.registers = [0] * 64
        self.registers[0:4] = [0x4347, 1, 2, 1]
        self.registers[4:10] = [register_of(-420), register_of(-330), register_of(-400), 240, 3, 0]
        for start in (32, 48):
            self.registers[start : start + 9] = [
                2,
                3,
                register_of(-385),
                register_of(-372),
                register_of(-350),
                120,
                0,
                60,
                1,
            ]

    def __call__(self, query: Query) -> Answer:
        assert isinstance(query, ModbusQuery)
        self.registers[3] += 1  # the heartbeat
        return tuple(self.registers[query.address : query.address + query.count])


def register_of(value: int) -> int:
    return value & 0xFFFF
