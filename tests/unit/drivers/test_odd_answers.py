"""Odd ways in which units and gateways answer: each gives the true number or a fault, never a wrong number."""

from collections.abc import Callable

import pytest

from drivers.dialects.base import Dialect, ModbusQuery, Numbers, Raw, Refusal, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError, Garbled
from drivers.line import LineTiming
from tests.unit.drivers.line_support import VALUES, new_line, outcome, register
from tests.virtual_time import run_virtual

CODECS = {
    "rtu": dialect(DialectName.MODBUS_RTU),
    "ascii": dialect(DialectName.MODBUS_ASCII),
    "tcp": dialect(DialectName.MODBUS_TCP),
    "tcp without transactions": dialect(DialectName.MODBUS_TCP, transactions=Numbers.IGNORED),
}
TIMING = LineTiming(gap_s=0.01, timeout_s=0.2, drain_s=0.3)


class Asked:
    """A request as the unit got it, with what it answered before."""

    def __init__(self, codec: Dialect, data: bytes, before: list[bytes]) -> None:
        heard = codec.scan_request(data)
        assert isinstance(heard, Request)
        assert isinstance(heard.query, ModbusQuery)
        self.codec, self.data, self.request, self.query = codec, data, heard, heard.query
        self.right = codec.encode_reply(heard, (VALUES[heard.query.address],) * heard.query.count)
        self.before = before[-1] if before else b""

    def other(self, value: int = 9, **changes: int) -> bytes:
        """The answer to another query than the one that was made."""
        query = ModbusQuery(
            changes.get("unit_id", self.query.unit_id),
            changes.get("function", self.query.function),
            self.query.address,
            changes.get("count", self.query.count),
        )
        return self.codec.encode_reply(Request(0, query, self.request.transaction), (value,) * query.count)

    def refused(self, code: int) -> bytes:
        return self.codec.encode_reply(self.request, Refusal(code))


def swapped_check(asked: Asked) -> bytes:
    right = asked.right
    if asked.codec is CODECS["rtu"]:
        return right[:-2] + right[:-3:-1]
    if asked.codec is CODECS["ascii"]:
        return right[:-4] + right[-3:-4:-1] + right[-4:-3] + right[-2:]
    return right[:4] + right[5:3:-1] + right[6:]  # the length, which is all that a frame over TCP has to check it by


def lying_length(asked: Asked, by: int) -> bytes:
    right = bytearray(asked.right)
    if asked.codec is CODECS["rtu"]:
        right[2] += by
    elif asked.codec is CODECS["ascii"]:
        right[6] += by
    else:
        right[5] += by
    return bytes(right)


Answer = Callable[[Asked], bytes]
READ = {"rtu", "ascii", "tcp", "tcp without transactions"}
ODD: dict[str, tuple[Answer, set[str]]] = {  # what comes, and where it is read all the same
    "as it should": (lambda asked: asked.right, READ),
    "a zero before": (lambda asked: b"\0" + asked.right, {"rtu", "ascii", "tcp"}),
    "noise before": (lambda asked: b"\xff\xfe\x80" + asked.right, {"rtu", "ascii", "tcp"}),
    "a zero behind": (lambda asked: asked.right + b"\0", READ),
    "noise behind": (lambda asked: asked.right + b"\x7f\xff\x01\x03", READ),
    "our own request before": (lambda asked: asked.data + asked.right, READ),
    "only our own request": (lambda asked: asked.data, set()),
    "the previous answer before": (lambda asked: asked.before + asked.right, READ),  # of another length
    "the previous answer instead": (lambda asked: asked.before, set()),
    "twice": (lambda asked: asked.right * 2, READ),
    "twice, with another number": (lambda asked: asked.right + asked.other(), {"tcp"}),
    "swapped check": (swapped_check, set()),
    "half": (lambda asked: asked.right[: len(asked.right) // 2], set()),
    "all but the end": (lambda asked: asked.right[:-1], set()),
    "without the beginning": (lambda asked: asked.right[1:], set()),
    "fewer values": (lambda asked: asked.other(count=1) if asked.query.count > 1 else b"", set()),
    "more values": (lambda asked: asked.other(count=asked.query.count + 1), set()),
    "another function": (lambda asked: asked.other(function=4), set()),
    "another unit": (lambda asked: asked.other(unit_id=2), set()),
    "another unit before": (lambda asked: asked.other(unit_id=2) + asked.right, READ),
    "exception 06": (lambda asked: asked.refused(6), set()),
    "exception 0B": (lambda asked: asked.refused(0x0B), set()),
    "a length that is too long": (lambda asked: lying_length(asked, 2), set()),
    "a length that is too short": (lambda asked: lying_length(asked, -1), set()),
    "nothing": (lambda _: b"", set()),
    "lower case": (lambda asked: asked.right.lower() if asked.codec is CODECS["ascii"] else asked.right, READ),
    "LF alone": (
        lambda asked: asked.right.replace(b"\r\n", b"\n") if asked.codec is CODECS["ascii"] else asked.right,
        READ,
    ),
}


def answers(codec: Dialect, odd: Answer, *, dribbles: bool) -> list[Raw | type[DriverError]]:
    async def main() -> list[Raw | type[DriverError]]:
        line, far_end, _ = new_line(codec, TIMING)
        said: list[bytes] = []

        def hear(data: bytes) -> None:
            asked = Asked(codec, data, said)
            answer = odd(asked)
            said.append(asked.right)
            pieces = [bytes([byte]) for byte in answer] if dribbles else [answer]
            for at, piece in enumerate(pieces):
                if piece:
                    far_end.send(piece, after_s=0.005 + at * 0.0005)

        far_end.on_request = hear
        queries = [register(address, count=count) for address in VALUES for count in (1, 2)]
        return [await outcome(line.exchange(query)) for query in queries]

    return run_virtual(main())


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("way", ODD)
def test_an_odd_answer_is_the_true_number_or_a_fault(name: str, way: str) -> None:
    odd, read = ODD[way]
    true = [(value,) * count for value in VALUES.values() for count in (1, 2)]
    for dribbles in (False, True):
        got = answers(CODECS[name], odd, dribbles=dribbles)
        wrong = [each for each, right in zip(got, true, strict=True) if isinstance(each, tuple) and each != right]
        assert not wrong, (dribbles, wrong)
        if not dribbles:
            assert (got == true) == (name in read), got


@pytest.mark.parametrize("name", CODECS)
def test_a_frame_that_comes_byte_by_byte_is_one_answer(name: str) -> None:
    got = answers(CODECS[name], ODD["as it should"][0], dribbles=True)
    assert got == [(value,) * count for value in VALUES.values() for count in (1, 2)]


@pytest.mark.parametrize("name", CODECS)
def test_of_two_answers_of_one_length_none_is_taken_where_nothing_numbers_them(name: str) -> None:
    async def main() -> None:
        line, far_end, unit = new_line(CODECS[name], TIMING)
        await line.exchange(register(10))
        previous: list[bytes] = []

        def hear(data: bytes) -> None:
            asked = Asked(CODECS[name], data, previous)
            far_end.send(asked.other(value=111) + asked.right, after_s=0.005)

        far_end.on_request = hear
        assert await outcome(line.exchange(register(20))) is Garbled
        far_end.on_request = unit.hear
        assert await line.exchange(register(20)) == (222,)

    async def numbered() -> None:
        line, far_end, _ = new_line(CODECS[name], TIMING)

        def hear(data: bytes) -> None:
            asked = Asked(CODECS[name], data, [])
            stale = b"\0\0" + asked.other(value=111)[2:]
            far_end.send(stale + asked.right, after_s=0.005)

        far_end.on_request = hear
        assert await line.exchange(register(20)) == (222,)

    run_virtual(numbered() if name == "tcp" else main())
