"""Modbus TCP servers that do not return a request's numbers: what is told of them, and that no late reply is taken."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.dialects.base import ModbusQuery, Numbers, RejectKind
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import Garbled, NoReply, ShortAnswer
from drivers.line import Line, LineTiming
from drivers.transport.base import ByteLink
from tests.unit.drivers.line_support import TCP, TIMEOUT_S, VALUES, outcome, register
from tests.virtual_time import run_virtual, virtual

ANY_TRANSACTION = dialect(DialectName.MODBUS_TCP, transactions=Numbers.IGNORED)
ANY_UNIT = dialect(DialectName.MODBUS_TCP, unit_ids=Numbers.IGNORED)
Renumber = Callable[[bytes], bytes]


def without_transaction(reply: bytes) -> bytes:
    return bytes(2) + reply[2:]


def unchanged(reply: bytes) -> bytes:
    return reply


def with_unit_255(reply: bytes) -> bytes:
    return reply[:6] + b"\xff" + reply[7:]


class Connection(ByteLink):
    """One connection to a server that writes its replies itself, in bytes; once closed, none arrives."""

    silence_may_be_a_hang = True

    def __init__(self, server: "Server") -> None:
        super().__init__()
        self.server = server

    def write(self, data: bytes) -> None:
        self.inbox.check()
        address = int.from_bytes(data[8:10], "big")
        frame = data[:4] + bytes([0, 5, data[6], 3, 2]) + VALUES[address].to_bytes(2, "big")
        delay_s = self.server.delays_s.pop(0) if self.server.delays_s else 0.001
        asyncio.get_running_loop().call_later(delay_s, self.arrives, self.server.renumber(frame))

    def arrives(self, data: bytes) -> None:
        receiver = self.server.last if self.server.has_one_bus else self
        if not receiver.inbox.is_lost:
            receiver.inbox.received(data)

    def close(self) -> None:
        self.inbox.lost("closed")


class Server:
    """`has_one_bus`: a reply goes to whoever is connected when it comes, as from a bus behind it."""

    def __init__(self, renumber: Renumber, *, has_one_bus: bool = False) -> None:
        self.renumber = renumber
        self.has_one_bus = has_one_bus
        self.delays_s: list[float] = []
        self.openings = 0
        self.last: Connection

    async def connect(self) -> ByteLink:
        self.openings += 1
        self.last = Connection(self)
        return self.last


TIMING = LineTiming(gap_s=0.0, timeout_s=TIMEOUT_S, drain_s=0.2)


@virtual
async def test_a_server_that_returns_no_transaction_is_told_from_one_that_is_late() -> None:
    server = Server(without_transaction)
    line = Line("test", server.connect, TCP, TIMING)
    with pytest.raises(
        NoReply, match=r"no answer in time, but there came: foreign-transaction \(transaction 0 for 1\)"
    ):
        await line.exchange(register(10))
    assert line.counters.came == {RejectKind.FOREIGN_TRANSACTION: "transaction 0 for 1"}

    server.renumber = unchanged
    server.delays_s = [1.5 * TIMEOUT_S]
    assert await outcome(line.exchange(register(20))) is NoReply
    await asyncio.sleep(0.45 * TIMEOUT_S)
    server.delays_s = [0.1 * TIMEOUT_S]
    assert await line.exchange(register(30)) == (333,)
    kinds = (RejectKind.FOREIGN_TRANSACTION, RejectKind.WRONG_TRANSACTION)
    assert [line.counters.rejects[kind] for kind in kinds] == [1, 1]


@virtual
async def test_what_came_in_another_units_name_or_of_another_length_is_told_with_its_number() -> None:
    server = Server(with_unit_255)
    line = Line("test", server.connect, TCP, TIMING)
    with pytest.raises(NoReply, match=r"wrong-unit \(unit id 255 for 1\)"):
        await line.exchange(register(10))
    server.renumber = unchanged
    with pytest.raises(Garbled, match=r"wrong-count \(1 values for 2\)"):
        await line.exchange(register(10, count=2))


@virtual
async def test_numbers_that_are_not_returned_need_not_be() -> None:
    for codec, renumber in ((ANY_TRANSACTION, without_transaction), (ANY_UNIT, with_unit_255)):
        server = Server(renumber)
        line = Line("test", server.connect, codec, TIMING)
        for address, value in VALUES.items():
            assert await line.exchange(register(address)) == (value,)
        assert server.openings == 1


@virtual
async def test_a_number_that_is_not_returned_excuses_no_other_difference() -> None:
    server = Server(lambda reply: with_unit_255(without_transaction(reply)))
    for codec, kind in ((ANY_TRANSACTION, RejectKind.WRONG_UNIT), (ANY_UNIT, RejectKind.FOREIGN_TRANSACTION)):
        line = Line("test", server.connect, codec, TIMING)
        assert await outcome(line.exchange(register(10))) is NoReply
        assert line.counters.rejects[kind] == 1
    for query, error in ((ModbusQuery(1, 4, 10, 1), Garbled), (register(10, count=2), ShortAnswer)):
        line = Line("test", server.connect, dialect(DialectName.MODBUS_TCP, Numbers.IGNORED, Numbers.IGNORED), TIMING)
        assert await outcome(line.exchange(query)) is error


def test_without_transactions_nothing_is_taken_from_behind_noise() -> None:
    query, frame = register(10), bytes.fromhex("0000 0000 0005 01 03 02 006F")
    for noise in (b"\x7f", b"\x00\x01\x00\x02\x00\x03", frame[5:]):
        verdict = ANY_TRANSACTION.scan(noise + frame, query, 7)
        assert (type(verdict).__name__, getattr(verdict, "consumed", None)) == ("Reject", len(noise + frame)), noise


@given(st.lists(st.floats(0, 5 * TIMEOUT_S), min_size=4, max_size=4), st.sampled_from((0.0, 0.05, 3.0)))
@settings(max_examples=150, deadline=None)
def test_a_late_reply_without_transaction_never_answers_the_next_question(delays_s: list[float], idle_s: float) -> None:
    async def main(server: Server, timing: LineTiming) -> None:
        line = Line("test", server.connect, ANY_TRANSACTION, timing)
        server.delays_s = list(delays_s)
        for address, value in VALUES.items():
            assert await outcome(line.exchange(register(address))) in ((value,), NoReply)
            await asyncio.sleep(idle_s)
        assert await line.exchange(register(10)) == (111,)

    run_virtual(main(Server(without_transaction), TIMING))
    # One bus behind it: then the silence alone helps, of the longest reply time as on a serial line.
    longest = LineTiming(gap_s=0.0, timeout_s=TIMEOUT_S, drain_s=5 * TIMEOUT_S + 0.005)
    run_virtual(main(Server(without_transaction, has_one_bus=True), longest))


@pytest.mark.parametrize("cancel_after_s", [0.0, 0.1])
def test_a_cancelled_caller_leaves_no_reply_without_transaction_behind(cancel_after_s: float) -> None:
    async def main() -> None:
        server = Server(without_transaction)
        line = Line("test", server.connect, ANY_TRANSACTION, TIMING)
        await line.exchange(register(30))
        server.delays_s = [1.0]
        exchange = asyncio.create_task(line.exchange(register(10)))
        await asyncio.sleep(cancel_after_s)
        exchange.cancel()
        await asyncio.sleep(1.0 - 0.5 * TIMEOUT_S)
        assert await line.exchange(register(20)) == (222,)

    run_virtual(main())
