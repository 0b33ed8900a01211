"""A line in virtual time with a unit in memory, for tests of drivers/line.py."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from drivers.dialects.base import Dialect, ModbusQuery, NumberQuery, Raw, Refusal, Request, TextQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError
from drivers.line import Line, LineTiming
from drivers.transport.memory import FarEnd, null_modem

T = TypeVar("T")

RTU = dialect(DialectName.MODBUS_RTU)
TCP = dialect(DialectName.MODBUS_TCP)
JULABO = dialect(DialectName.JULABO)
TIMEOUT_S = 0.2
TIMING = LineTiming(gap_s=0.01, timeout_s=TIMEOUT_S, drain_s=1.0)
VALUES = {10: 111, 20: 222, 30: 333, 40: 444}


class Unit:
    """A unit that answers each register with a distinct value, and records the times of requests."""

    def __init__(self, far_end: FarEnd, codec: Dialect = RTU) -> None:
        self.far_end = far_end
        self.codec = codec
        self.asked_at: list[float] = []
        self.answer: Callable[[Request], Raw | Refusal] = self._value
        self.echoes = False
        far_end.on_request = self.hear

    def hear(self, data: bytes) -> None:
        self.asked_at.append(asyncio.get_running_loop().time())
        if self.echoes:
            self.far_end.send(data)
        heard = self.codec.scan_request(data)
        assert isinstance(heard, Request)
        self.far_end.send(self.codec.encode_reply(heard, self.answer(heard)), after_s=0.005)

    def _value(self, request: Request) -> Raw:
        match request.query:
            case TextQuery(command=command):
                return f"-{command}"
            case ModbusQuery(address=address, count=count):
                return (VALUES[address],) * count
            case NumberQuery():
                raise AssertionError("no unit of these tests is asked by number")


def register(address: int, unit_id: int = 1, function: int = 3, count: int = 1) -> ModbusQuery:
    return ModbusQuery(unit_id, function, address, count)


def new_line(codec: Dialect = RTU, timing: LineTiming = TIMING, baud: int | None = None) -> tuple[Line, FarEnd, Unit]:
    connector, far_end = null_modem()
    return Line("test", connector, codec, timing, baud), far_end, Unit(far_end, codec)


async def outcome(exchange: Awaitable[T]) -> T | type[DriverError]:
    try:
        return await exchange
    except DriverError as error:
        return type(error)


def now_s() -> float:
    return asyncio.get_running_loop().time()
