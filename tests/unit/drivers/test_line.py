"""drivers/line.py in virtual time, with a far end in memory that injects line faults."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.dialects.base import (
    ModbusQuery,
    Raw,
    Refusal,
    RejectKind,
    Request,
    TextQuery,
)
from drivers.errors import DriverError, Garbled, NoReply, ShortAnswer, UnitRefused
from drivers.line import Line, LineTiming
from drivers.transport.memory import FarEnd, behind, corrupted, doubled, dribbled, dropped, late
from tests.unit.drivers.line_support import (
    JULABO,
    RTU,
    TCP,
    TIMEOUT_S,
    TIMING,
    VALUES,
    new_line,
    now_s,
    outcome,
    register,
)
from tests.virtual_time import run_virtual, virtual


@virtual
async def test_an_answer_is_returned_and_counted() -> None:
    line, _, _ = new_line()
    assert await line.exchange(register(10)) == (111,)
    assert (line.counters.requests, line.counters.replies, line.counters.timeouts) == (1, 1, 0)
    assert line.is_open


@virtual
async def test_a_refusal_is_raised_with_its_code_and_leaves_the_line_in_step() -> None:
    line, _, unit = new_line()
    unit.answer = lambda request: Refusal(6)
    with pytest.raises(UnitRefused) as refused:
        await line.exchange(register(10))
    assert refused.value.code == 6
    assert line.counters.exceptions == {6: 1}
    unit.answer = lambda request: (5,)
    asked = now_s()
    assert await line.exchange(register(20)) == (5,)
    assert now_s() - asked < 0.05


DELAYS_S = st.lists(st.floats(0, 5 * TIMEOUT_S), min_size=4, max_size=4)


async def answers_with_delays(line: Line, far_end: FarEnd, delays_s: list[float]) -> list[Raw | type[DriverError]]:
    answers: list[Raw | type[DriverError]] = []
    for address, delay_s in zip(VALUES, delays_s, strict=True):
        far_end.faults.append(late(delay_s))
        answers.append(await outcome(line.exchange(register(address))))
    return answers


@pytest.mark.requirement("REQ-DEVICE-3")
@given(DELAYS_S)
@settings(max_examples=200, deadline=None)
def test_a_late_reply_never_answers_the_next_question(delays_s: list[float]) -> None:
    async def main() -> None:
        line, far_end, _ = new_line(timing=LineTiming(gap_s=0.01, timeout_s=TIMEOUT_S, drain_s=5 * TIMEOUT_S + 0.005))
        answers = await answers_with_delays(line, far_end, delays_s)
        for answer, value in zip(answers, VALUES.values(), strict=True):
            assert answer in ((value,), NoReply)
        assert await line.exchange(register(10)) == (111,)

    run_virtual(main())


def test_without_the_silence_a_late_reply_does_answer_the_next_question() -> None:
    async def main() -> list[Raw | type[DriverError]]:
        line, far_end, _ = new_line(timing=LineTiming(gap_s=0.01, timeout_s=TIMEOUT_S, drain_s=0.0))
        return await answers_with_delays(line, far_end, [1.5 * TIMEOUT_S] * 4)

    assert run_virtual(main()) == [NoReply, (111,), (222,), (333,)]


@given(DELAYS_S)
@settings(max_examples=50, deadline=None)
def test_modbus_tcp_needs_no_silence_to_tell_a_late_reply(delays_s: list[float]) -> None:
    async def main() -> None:
        line, far_end, _ = new_line(TCP, LineTiming(gap_s=0.0, timeout_s=TIMEOUT_S, drain_s=1.0))
        for answer, value in zip(await answers_with_delays(line, far_end, delays_s), VALUES.values(), strict=True):
            assert answer in ((value,), NoReply)
        assert line.counters.drains == 0

    run_virtual(main())


@virtual
async def test_a_late_line_of_text_is_drained_too() -> None:
    line, far_end, _ = new_line(JULABO)
    far_end.faults.append(late(0.5))
    assert await outcome(line.exchange(TextQuery("in_pv_00"))) is NoReply
    assert await line.exchange(TextQuery("in_pv_02")) == "-IN_PV_02"
    assert line.counters.idle_bytes == len(b"-IN_PV_00\r\n")


@virtual
async def test_the_silence_is_measured_from_the_last_byte_and_paid_while_nobody_asks() -> None:
    line, far_end, unit = new_line()
    await line.exchange(register(10))
    far_end.faults.append(late(0.6))
    assert await outcome(line.exchange(register(20))) is NoReply
    late_at = unit.asked_at[-1] + 0.605
    assert await line.exchange(register(30)) == (333,)
    assert unit.asked_at[-1] == pytest.approx(late_at + TIMING.drain_s, abs=0.002)

    far_end.faults.append(dropped)
    assert await outcome(line.exchange(register(20))) is NoReply
    await asyncio.sleep(TIMING.drain_s)
    asked = now_s()
    await line.exchange(register(30))
    assert unit.asked_at[-1] == asked


@pytest.mark.parametrize("cancel_after_s", [0.02, 0.1, 0.3, 0.9])
def test_a_cancelled_caller_leaves_no_reply_for_the_next_one(cancel_after_s: float) -> None:
    async def main() -> None:
        line, far_end, _ = new_line()
        await line.exchange(register(30))
        far_end.faults.append(late(0.9))
        exchange = asyncio.create_task(line.exchange(register(10), LineTiming(0.01, 1.0, 1.0)))
        await asyncio.sleep(cancel_after_s)
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        assert await line.exchange(register(20)) == (222,)

    run_virtual(main())


@virtual
async def test_a_caller_cancelled_during_the_silence_does_not_shorten_it() -> None:
    line, far_end, _ = new_line()
    await line.exchange(register(30))
    far_end.faults.append(late(0.9))
    assert await outcome(line.exchange(register(10))) is NoReply
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await line.exchange(register(20))
    assert await line.exchange(register(20)) == (222,)


@virtual
async def test_callers_are_served_one_at_a_time_and_in_turn() -> None:
    line, _, unit = new_line()
    async with asyncio.TaskGroup() as group:
        exchanges = [group.create_task(line.exchange(register(address))) for address in VALUES]
    assert [exchange.result() for exchange in exchanges] == [(value,) for value in VALUES.values()]
    gaps_s = [after - before for before, after in pairwise(unit.asked_at)]
    assert all(gap_s >= 0.005 + TIMING.gap_s - 1e-9 for gap_s in gaps_s)


@pytest.mark.parametrize(
    ("answered", "kind", "error"),
    [
        (register(10, unit_id=2), RejectKind.WRONG_UNIT, NoReply),
        (register(10, function=4), RejectKind.WRONG_FUNCTION, Garbled),
        (register(10, count=2), RejectKind.WRONG_COUNT, Garbled),
    ],
)
def test_another_answer_is_counted_by_its_kind_and_the_next_poll_is_good(
    answered: ModbusQuery, kind: RejectKind, error: type[DriverError]
) -> None:
    async def main() -> None:
        line, far_end, _ = new_line()
        wrong = RTU.encode_reply(Request(0, answered), (9,) * answered.count)
        far_end.faults.append(lambda data: [(0.0, wrong)])
        assert await outcome(line.exchange(register(10))) is error
        assert line.counters.rejects[kind] == 1
        assert await line.exchange(register(10)) == (111,)

    run_virtual(main())


@pytest.mark.parametrize(("came", "error"), [(1, ShortAnswer), (0, Garbled), (6, Garbled)])
def test_a_whole_answer_with_fewer_values_is_told_from_damage(came: int, error: type[DriverError]) -> None:
    async def main() -> None:
        line, far_end, _ = new_line()
        answer = RTU.encode_reply(Request(0, register(10, count=came)), (9,) * came)
        far_end.faults.append(lambda data: [(0.0, answer)])
        assert await outcome(line.exchange(register(10, count=5))) is error
        assert line.counters.came == {RejectKind.WRONG_COUNT: f"{came} values for 5"}

    run_virtual(main())


@virtual
async def test_a_stray_answer_does_not_keep_the_right_one_out() -> None:
    line, far_end, _ = new_line()
    stray = RTU.encode_reply(Request(0, register(10, unit_id=2)), (9,))
    far_end.faults.append(behind(stray))
    assert await line.exchange(register(10)) == (111,)
    assert line.counters.rejects[RejectKind.WRONG_UNIT] == 1


@virtual
async def test_the_echo_of_a_half_duplex_line_is_dropped() -> None:
    line, _, unit = new_line()
    unit.echoes = True
    assert await line.exchange(register(10)) == (111,)
    assert line.counters.rejects[RejectKind.ECHO] == 1


@virtual
async def test_noise_in_front_of_a_good_reply_is_survived() -> None:
    line, far_end, _ = new_line()
    far_end.faults.extend([behind(b"\x00\xff\x01\x03"), dribbled(0.001), late(0.0)])
    for address in (10, 20, 30):
        assert await line.exchange(register(address)) == (VALUES[address],)
    assert line.counters.timeouts == 0
    assert line.counters.rejects[RejectKind.NOISE] > 0


@virtual
async def test_a_damaged_reply_is_garbled_and_a_missing_one_is_none() -> None:
    line, far_end, _ = new_line()
    far_end.faults.extend([corrupted(30), dropped, lambda data: [(0.0, data[:4])]])
    answers = [await outcome(line.exchange(register(10))) for _ in range(4)]
    assert answers == [Garbled, NoReply, Garbled, (111,)]
    assert line.counters.timeouts == 3


@virtual
async def test_a_second_copy_of_a_reply_does_not_answer_the_next_question() -> None:
    line, far_end, _ = new_line(timing=LineTiming(gap_s=0.0, timeout_s=TIMEOUT_S, drain_s=0.5))
    far_end.faults.append(doubled)
    assert await line.exchange(register(10)) == (111,)
    drains = line.counters.drains
    assert await line.exchange(register(20)) == (222,)
    assert line.counters.drains == drains + 1


@virtual
async def test_a_line_that_never_falls_silent_is_asked_again_in_bounded_time_and_memory() -> None:
    line, far_end, unit = new_line()
    await line.exchange(register(10))
    babbling = True

    async def babble() -> None:
        while babbling:
            far_end.send(b"\x5a\xa5" * 8)
            await asyncio.sleep(0.004)

    async with asyncio.TaskGroup() as group:
        group.create_task(babble())
        for _ in range(5):
            started = now_s()
            await outcome(line.exchange(register(20)))
            assert now_s() - started <= 2 * TIMING.drain_s + TIMEOUT_S + 0.01
        babbling = False
    assert len(unit.asked_at) == 6
    assert await line.exchange(register(30)) == (333,)


@virtual
async def test_bytes_that_come_while_nobody_asks_are_dropped_and_counted() -> None:
    line, far_end, _ = new_line()
    await line.exchange(register(10))
    far_end.send(RTU.encode_reply(Request(0, register(10)), (9,)))
    await asyncio.sleep(0.1)
    assert await line.exchange(register(20)) == (222,)
    assert line.counters.idle_bytes == 7


@virtual
async def test_the_silence_between_frames_follows_the_baud_or_the_units_gap() -> None:
    for baud, gap_s, silence_s in ((9600, 0.0, 0.00401), (9600, 0.1, 0.1), (None, 0.0, 0.0)):
        line, far_end, unit = new_line(timing=LineTiming(gap_s, TIMEOUT_S, drain_s=0.0), baud=baud)
        far_end.faults.append(late(0.02))  # past the request's own 9 ms on the wire
        await line.exchange(register(10))
        answered = now_s()
        await line.exchange(register(20))
        assert answered + silence_s <= unit.asked_at[-1] <= answered + silence_s + 0.001


@pytest.mark.parametrize("count", [1, 64])
def test_a_line_at_9600_baud_loses_under_five_percent_of_its_time(count: int) -> None:
    character_s, delay_s = 11 / 9600, 0.005

    async def main() -> None:
        line, far_end, _ = new_line(timing=LineTiming(0.0, TIMEOUT_S, drain_s=0.0), baud=9600)
        query = register(10, count=count)
        request, reply = len(RTU.encode(query, 0)), 5 + 2 * count

        def hear(data: bytes) -> None:
            frame = RTU.encode_reply(Request(0, query), (7,) * count)
            far_end.faults.append(dribbled(character_s))
            far_end.send(frame, after_s=(len(data) + 1) * character_s + delay_s)

        far_end.on_request = hear
        await line.exchange(query)
        started = now_s()
        for _ in range(50):
            await line.exchange(query)
        needed_s = 50 * ((request + reply + 3.5) * character_s + delay_s)
        assert needed_s / (now_s() - started) >= 0.95

    run_virtual(main())
