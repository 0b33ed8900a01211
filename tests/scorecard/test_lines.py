"""R26, R28 to R30: late replies, a dead unit and its return, a babbling line. In virtual time but for the control."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerType

from drivers.dialects.base import ModbusQuery, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError
from drivers.line import Line, LineTiming
from drivers.reading import Reading
from drivers.transport.memory import null_modem
from tests.scorecard.bus import CHARACTER_S, PERIOD_S, now_s, polled
from tests.scorecard.repeats import repeats
from tests.virtual_time import run_virtual

RTU = dialect(DialectName.MODBUS_RTU)
TIMEOUT_S = 0.2
LONGEST_REPLY_S = 5 * TIMEOUT_S
REGISTERS = (0x160, 0x172, 0x184, 0x196)


def value_of(unit_id: int, address: int) -> int:
    return unit_id << 12 | address


async def misattributed(seed: int) -> tuple[int, int]:
    """Values on the wrong register or unit, and polls until a unit that is prompt again is good again."""
    chance = random.Random(seed)
    connector, far_end = null_modem()
    is_late = True

    def hear(data: bytes) -> None:
        request = RTU.scan_request(data)
        assert isinstance(request, Request)
        assert isinstance(request.query, ModbusQuery)
        reply = RTU.encode_reply(request, (value_of(request.query.unit_id, request.query.address),))
        far_end.send(reply, after_s=chance.uniform(0, LONGEST_REPLY_S) if is_late else 0.01)

    far_end.on_request = hear
    line = Line("bus", connector, RTU, LineTiming(0.004, TIMEOUT_S, LONGEST_REPLY_S), baud=None)

    async def is_wrong(unit_id: int, address: int) -> bool | None:
        try:
            return await line.exchange(ModbusQuery(unit_id, 3, address, 1)) != (value_of(unit_id, address),)
        except DriverError:
            return None

    asked = [(chance.randrange(1, 4), address) for address in REGISTERS * 2]
    wrong = sum([await is_wrong(*each) is True for each in asked])
    is_late = False
    polls = 1
    while await is_wrong(1, REGISTERS[0]) is not False:
        polls += 1
    return wrong, polls


def test_r26_no_late_reply_is_taken_for_another_registers_or_units() -> None:
    for seed in range(repeats(50)):
        wrong, polls = run_virtual(misattributed(seed))
        assert wrong == 0, f"seed {seed}"
        assert polls <= 2, f"seed {seed}: good again only after {polls} polls"


async def test_r26_the_control_a_stock_client_takes_late_replies_for_the_next_registers() -> None:
    """The harness can fail: what pymodbus' own client makes of the same unit, in real time."""
    timeout_s = 0.1
    late: set[asyncio.Task[None]] = set()
    hung_up = asyncio.Event()

    async def unit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(request: bytes) -> None:
            await asyncio.sleep(1.5 * timeout_s)
            address = int.from_bytes(request[2:4], "big")
            query = ModbusQuery(request[0], request[1], address, 1)
            writer.write(RTU.encode_reply(Request(0, query), (value_of(request[0], address),)))

        while len(request := await reader.read(8)) == 8:
            late.add(asyncio.create_task(answer(request)))
        await asyncio.gather(*late)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(unit, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    client = AsyncModbusTcpClient(
        "127.0.0.1", port=port, framer=FramerType.RTU, timeout=timeout_s, retries=0, reconnect_delay=0
    )
    assert await client.connect()
    wrong = 0
    for address in REGISTERS:
        try:
            response = await client.read_holding_registers(address, count=1, device_id=1)
        except ModbusException:
            continue
        wrong += not response.isError() and response.registers != [value_of(1, address)]
    client.close()
    await hung_up.wait()
    server.close()
    await server.wait_closed()
    assert wrong > 0, "the control proves nothing: nothing was misattributed"


def p99(numbers: list[float]) -> float:
    return sorted(numbers)[max(0, round(0.99 * len(numbers)) - 1)]


def test_r28_one_of_eight_units_dead_costs_the_others_next_to_nothing() -> None:
    async def main() -> None:
        async with polled(8) as bus:
            await asyncio.sleep(60)
            bus.dead.add("unit-3")
            died_at = now_s()
            await asyncio.sleep(600)
            others = [f"unit-{number}" for number in range(1, 9) if number != 3]
            for unit in others:
                intervals_s = [after - before for before, after in itertools.pairwise(bus.good(unit))]
                assert p99(intervals_s) <= 1.5 * PERIOD_S, unit
                assert len(intervals_s) >= 660 / PERIOD_S - 4, unit
            first_fault = next(at for at, answer in bus.answers if answer.unit == "unit-3" and at > died_at)
            assert first_fault - died_at <= 3 * PERIOD_S, "it is told to be down"
            dead_polls = [at for unit, at in bus.asked if unit == "unit-3" and at > died_at]
            share = len(dead_polls) * (1.0 + 0.2) / 600  # its timeout and the silence after it
            assert share <= 0.05, f"the dead unit has {share:.1%} of the line"

    run_virtual(main())


def test_r29_a_dead_unit_that_returns_is_polled_again_within_35_seconds() -> None:
    async def main(away_s: float) -> float:
        async with polled(4) as bus:
            await asyncio.sleep(20)
            bus.dead.add("unit-2")
            await asyncio.sleep(away_s)
            bus.dead.clear()
            back_at = now_s()
            await asyncio.sleep(60)
            return next(at for at in bus.good("unit-2") if at > back_at) - back_at

    chance = random.Random(29)
    for _ in range(repeats(10)):
        away_s = chance.uniform(10, 600)
        assert run_virtual(main(away_s)) <= 35.0, f"away for {away_s:.1f} s"


def memory_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def babble_of_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(16)


def babble_of_frames(chance: random.Random) -> bytes:
    """A unit that answers without end, each reply whole and right but asked by nobody here."""
    query = ModbusQuery(chance.randrange(9, 248), 4, 0, 4)
    return RTU.encode_reply(Request(0, query), (chance.randrange(0x10000),) * 4)


def babble_of_beginnings(chance: random.Random) -> bytes:
    """What begins like the awaited answer, over and over."""
    return bytes([chance.randrange(1, 5), 4, 128, 0x43, 0x47]) * 3


@pytest.mark.parametrize("babble", [babble_of_bytes, babble_of_frames, babble_of_beginnings])
def test_r30_a_babbling_line_costs_little_tells_nothing_and_is_good_again_soon_after(
    babble: Callable[[random.Random], bytes],
) -> None:
    babbles_s = 60.0 * repeats(1)
    chance = random.Random(30)

    async def main() -> None:
        async with polled(4) as bus:
            await asyncio.sleep(20)
            bus.dead.update(f"unit-{number}" for number in range(1, 5))  # nobody gets a word in on such a line
            memory, began, began_at = memory_kib(), time.process_time(), now_s()
            while now_s() < began_at + babbles_s:
                data = babble(chance)
                bus.far_end.send(data)
                await asyncio.sleep(len(data) * CHARACTER_S)  # no pause between them
            spent_s = time.process_time() - began
            ended_at = now_s()
            bus.dead.clear()
            good = [each for at, each in bus.answers if isinstance(each, Reading) and began_at + 5 < at < ended_at]
            await asyncio.sleep(30)
            assert not good, "no reading out of babble"
            assert spent_s / babbles_s <= 0.25, "share of a core"
            assert memory_kib() - memory <= 5 * 1024
            for number in range(1, 5):
                assert min(at for at in bus.good(f"unit-{number}") if at > ended_at) - ended_at <= 10.0

    run_virtual(main())
