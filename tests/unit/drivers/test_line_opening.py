"""Opening, loss and reopening of a line, in virtual time."""

import asyncio
import logging
from itertools import pairwise

import pytest

from drivers.dialects.base import (
    Dialect,
    ModbusQuery,
    Refusal,
    Request,
)
from drivers.errors import LineDown, NoReply, UnitRefused
from drivers.line import LineTiming
from drivers.transport.memory import FarEnd, dropped, late
from tests.unit.drivers.line_support import (
    RTU,
    TCP,
    TIMEOUT_S,
    TIMING,
    VALUES,
    Unit,
    new_line,
    now_s,
    outcome,
    register,
)
from tests.virtual_time import run_virtual, virtual


@virtual
async def test_the_requests_own_time_on_the_wire_is_no_part_of_the_timeout() -> None:
    line, far_end, _ = new_line(baud=300, timing=LineTiming(0.0, TIMEOUT_S, 0.0))
    far_end.faults.append(late(TIMEOUT_S))
    assert await line.exchange(register(10)) == (111,)  # eight characters at 300 baud take 0.29 s


@virtual
async def test_after_an_opening_the_line_settles_and_garbage_is_dropped() -> None:
    line, far_end, unit = new_line(timing=LineTiming(0.01, TIMEOUT_S, drain_s=0.1, settle_after_open_s=0.5))
    far_end.refuses = False
    asyncio.get_running_loop().call_later(0.3, far_end.send, b"\xff\x00\xff")
    assert await line.exchange(register(10)) == (111,)
    assert unit.asked_at[0] >= 0.5
    assert line.counters.idle_bytes == 3


@virtual
async def test_a_line_that_cannot_be_opened_is_tried_again_ever_more_seldom_and_fails_at_once_meanwhile() -> None:
    line, far_end, _ = new_line()
    far_end.refuses = True
    tries: list[float] = []
    for _ in range(400):
        before = now_s()
        with pytest.raises(LineDown) as down:
            await line.exchange(register(10))
        assert now_s() == before
        if "no such line" in down.value.detail:
            assert line.counters.failed_openings == len(tries) + 1
            tries.append(before)
        await asyncio.sleep(0.05)
    waits = [round(after - before, 2) for before, after in pairwise(tries)]
    assert waits[:5] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2], abs=0.06)
    assert max(waits) <= 4.06
    far_end.refuses = False
    await asyncio.sleep(4)
    assert await line.exchange(register(10)) == (111,)


@virtual
async def test_an_unplugged_line_fails_its_exchange_at_once_and_comes_back() -> None:
    line, far_end, _ = new_line()
    await line.exchange(register(10))
    far_end.faults.append(dropped)
    asyncio.get_running_loop().call_later(0.05, far_end.hang_up)
    started = now_s()
    assert await outcome(line.exchange(register(20))) is LineDown
    assert now_s() - started < TIMEOUT_S
    assert not line.is_open
    await asyncio.sleep(0.2)
    assert await line.exchange(register(20)) == (222,)
    assert line.counters.reopens == 1


@virtual
async def test_the_log_has_a_line_on_the_loss_and_one_on_the_return(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line, far_end, _ = new_line(TCP)
    await line.exchange(register(10))
    far_end.hang_up("closed by the far end")  # while idle: no loss
    await line.exchange(register(10))
    far_end.refuses = True
    far_end.hang_up()
    for _ in range(20):
        await outcome(line.exchange(register(20)))
        await asyncio.sleep(1)
    far_end.refuses = False
    await asyncio.sleep(4)
    await line.exchange(register(10))
    far_end.faults.extend([dropped] * 7)
    for _ in range(8):
        await outcome(line.exchange(register(20)))
    said = [(each.levelname, each.getMessage().removeprefix(f"line {line.name}")) for each in caplog.records]
    assert said == [
        ("INFO", " is open"),
        ("WARNING", " is down: no such line"),
        ("WARNING", " is back"),
        ("WARNING", ": not one byte in 3 exchanges, opening it again"),
        ("WARNING", " is back"),
    ]


@virtual
async def test_a_connection_closed_while_idle_is_opened_again_without_a_fault() -> None:
    line, far_end, _ = new_line()
    await line.exchange(register(10))
    far_end.hang_up("closed by the far end")
    assert await line.exchange(register(20)) == (222,)
    assert far_end.openings == 2


@virtual
async def test_a_far_end_that_hangs_is_opened_again_after_three_silent_exchanges() -> None:
    line, far_end, _ = new_line(TCP)
    await line.exchange(register(10))
    far_end.faults.extend([dropped] * 3)
    answers = [await outcome(line.exchange(register(20))) for _ in range(4)]
    assert answers == [NoReply, NoReply, NoReply, (222,)]
    assert (far_end.openings, line.counters.reopens) == (2, 1)


@virtual
async def test_a_unit_that_answers_too_late_each_time_is_no_far_end_that_hangs() -> None:
    line, far_end, _ = new_line()
    far_end.faults.extend([late(0.5)] * 8)
    assert [await outcome(line.exchange(register(20))) for _ in range(8)] == [NoReply] * 8
    assert far_end.openings == 1


@virtual
async def test_a_fresh_connection_pays_the_longer_of_what_two_units_owe() -> None:
    line, far_end, unit = new_line()
    far_end.faults.extend([dropped] * 3)  # the third closes it
    for _ in range(3):
        assert await outcome(line.exchange(register(20))) is NoReply
    far_end.send(RTU.encode_reply(Request(0, register(20)), (9,)), after_s=0.3)  # handed on by the far end, late
    quick = LineTiming(gap_s=0.01, timeout_s=TIMEOUT_S, drain_s=0.05)
    began_s = now_s()
    assert await line.exchange(register(10), quick) == (111,)
    assert unit.asked_at[-1] - began_s >= TIMING.drain_s


@pytest.mark.parametrize("code", [0x0A, 0x0B, 0x10])
def test_a_device_server_that_answers_for_a_silent_unit_is_alive_and_keeps_its_connection(code: int) -> None:
    async def main() -> None:
        line, far_end, unit = new_line(TCP)
        unit.answer = lambda request: Refusal(code)
        for _ in range(10):
            assert await outcome(line.exchange(register(10))) is UnitRefused
        assert far_end.openings == 1
        assert (line.counters.exceptions, line.counters.timeouts) == ({code: 10}, 0)

    run_virtual(main())


@virtual
async def test_a_unit_that_is_dead_among_live_ones_costs_no_connection() -> None:
    line, far_end, _ = new_line(TCP)
    for _ in range(6):
        assert await line.exchange(register(10)) == (111,)
        far_end.faults.append(dropped)
        assert await outcome(line.exchange(register(20, unit_id=9))) is NoReply
    assert far_end.openings == 1


def test_what_no_unit_can_be_asked_never_reaches_the_line() -> None:
    async def main() -> None:
        line, _, unit = new_line()
        with pytest.raises(ValueError, match="not a read"):
            await line.exchange(ModbusQuery(1, 6, 0, 1))
        assert unit.asked_at == []
        assert await line.exchange(register(10)) == (111,)

    run_virtual(main())


def closes_after_each_answer(far_end: FarEnd, unit: Unit, after_s: float) -> None:
    """The far end closes its connection that long after each answer."""

    def close(opening: int) -> None:
        if far_end.openings == opening:
            far_end.hang_up("closed by the far end", closed=True)

    def hear(data: bytes) -> None:
        unit.hear(data)
        asyncio.get_running_loop().call_later(0.005 + after_s, close, far_end.openings)

    far_end.on_request = hear


@pytest.mark.parametrize("codec", [RTU, TCP], ids=["rtu", "tcp"])
@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.011, 0.5])
def test_a_far_end_that_closes_after_each_answer_is_read_without_a_fault(codec: Dialect, after_s: float) -> None:
    async def main() -> None:
        line, far_end, unit = new_line(codec)
        closes_after_each_answer(far_end, unit, after_s)
        for address, value in VALUES.items():
            assert await line.exchange(register(address)) == (value,)
            await asyncio.sleep(after_s // 0.1)
        assert line.counters.timeouts == line.counters.failed_openings == 0
        assert far_end.openings == line.counters.closings + 1 >= 4

    run_virtual(main())


@virtual
async def test_a_request_that_a_closing_connection_lost_is_made_again_at_once() -> None:
    line, far_end, unit = new_line(TCP)
    await line.exchange(register(10))
    hear = far_end.on_request

    def close(_: bytes) -> None:
        far_end.on_request = hear
        far_end.hang_up("closed by the far end", closed=True)

    far_end.on_request = close
    began_s = now_s()
    assert await line.exchange(register(20)) == (222,)
    assert now_s() - began_s < 0.05
    assert (len(unit.asked_at), line.counters.closings, line.counters.reopens) == (2, 1, 1)


@virtual
async def test_on_a_bus_the_request_that_was_lost_owes_its_silence() -> None:
    line, far_end, unit = new_line(RTU)
    await line.exchange(register(10))
    hear = far_end.on_request

    def close(data: bytes) -> None:
        far_end.on_request = hear
        far_end.hang_up("closed by the far end", closed=True)
        far_end.send(RTU.encode_reply(Request(0, register(20)), (9,)), after_s=0.5)  # the bus answers all the same

    far_end.on_request = close
    assert await line.exchange(register(30)) == (333,)
    assert unit.asked_at[-1] - unit.asked_at[0] >= 0.5 + TIMING.drain_s


@pytest.mark.parametrize("answer", [b"", b"\x00\x02\x00\x00"], ids=["none", "a part"])
def test_a_connection_that_closes_instead_of_answering_is_down_and_not_asked_for_ever(answer: bytes) -> None:
    async def main() -> None:
        line, far_end, _ = new_line(TCP)
        await line.exchange(register(10))

        def close(_: bytes) -> None:
            if answer:
                far_end.send(answer)
            asyncio.get_running_loop().call_later(0.001, lambda: far_end.hang_up("closed by the far end", closed=True))

        far_end.on_request = close
        before = line.counters.requests
        with pytest.raises(LineDown, match="closed by the far end"):
            await line.exchange(register(20))
        assert line.counters.requests - before == (1 if answer else 2)
        with pytest.raises(LineDown, match="waits to be opened again"):
            await line.exchange(register(20))

    run_virtual(main())


@virtual
async def test_a_line_that_rests_between_polls_is_opened_for_each_and_owes_nothing() -> None:
    line, far_end, _ = new_line(RTU)
    await line.exchange(register(10))
    drains = line.counters.drains
    for _ in range(3):
        line.rest()
        assert not line.is_open
        began_s = now_s()
        assert [await line.exchange(register(address)) for address in (10, 20)] == [(111,), (222,)]
        assert now_s() - began_s < 0.1
    assert (far_end.openings, line.counters.drains) == (4, drains)
    far_end.faults.append(late(0.5))
    assert await outcome(line.exchange(register(10))) is NoReply
    line.rest()
    assert await line.exchange(register(30)) == (333,), "and not what is late"
