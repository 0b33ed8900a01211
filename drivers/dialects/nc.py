"""Thermo's NC protocol: binary frames with a lead byte, a length and a checksum of one byte.

Theory of operation. A sliding-window scanner: the lead byte may also occur in data or as a checksum, so the answer is
searched at every offset where lead, address, command, length and checksum fit together. If there is no answer, a
complete foreign frame at the start is classified and removed; an incomplete frame at the start is waited for (the
answer is also searched behind it); anything else is removed up to the next possible start.

Source: NESLAB RTE manual, p. 46-49; NESLAB EX manual, p. 49-53; ULT-80 manual, p. 55-57; ThermoFlex manual, D-2 to D-9.
On RS-232 the lead is CA and the address 1; on RS-485 it is CC and the address 1 to 100.
"""

from collections.abc import Iterator

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    NeedMore,
    NumberQuery,
    Query,
    Raw,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    Verdict,
    numbered,
)

READS = (0x00, 0x02, 0x09, 0x10, 0x20, 0x21, 0x28, 0x29, 0x40, 0x60, 0x70)  # 80 and above set

_RS232, _RS485 = 0xCA, 0xCC
_LONE_ADDRESS = 1
_ERROR = 0x0F
_BAD_CHECKSUM = 3  # error number; 1 (bad command) and 2 (bad data) correspond to the Modbus exceptions 01 and 03
_OVERHEAD = 6  # lead, address (2), command, length, checksum
_MAX_DATA = 64  # bytes; the longest is a display's text

_NOT_A_FRAME = -1
_INCOMPLETE = 0


class Nc(Dialect):
    """NESLAB baths and ThermoFlex chillers, on a serial line or inside TCP."""

    is_binary = True

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes; without data, so always a read. Raises ValueError for a query out of range."""
        query = numbered(query)
        if not 0 <= query.number <= 0xFF:
            raise ValueError(f"command {query.number}, accepted: 0 to 255")
        if query.unit_id is not None and not 1 <= query.unit_id <= 100:
            raise ValueError(f"address {query.unit_id}, accepted: 1 to 100")
        return _frame(query, query.number, b"")

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        query = numbered(query)
        if not buffer:
            return NeedMore()
        if buffer.startswith(request := self.encode(query, transaction)):
            return Reject(len(request), RejectKind.ECHO)
        size = _size_at(buffer, 0)
        if size > 0:
            return _judged(bytes(buffer[:size]), query)
        for start in _beginnings(buffer, 1):
            behind = _size_at(buffer, start)
            if behind > 0 and _is_answer(_judged(bytes(buffer[start : start + behind]), query)):
                return Reject(start, _kind_of_junk(buffer, query))
        if size == _INCOMPLETE:
            return NeedMore()
        return Reject(next(_beginnings(buffer, 1), len(buffer)), _kind_of_junk(buffer, query))

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first request in `buffer`, to any unit; a frame with data is a write, and counts as noise."""
        waiting = len(buffer)
        for start in _beginnings(buffer, 0):
            size = _size_at(buffer, start)
            if size > 0 and start > 0:
                return Reject(start, RejectKind.NOISE)
            if size > _OVERHEAD:
                return Reject(size, RejectKind.WRONG_FUNCTION)
            if size > 0:
                return Request(size, NumberQuery(buffer[3], _unit_id(buffer)))
            if size == _INCOMPLETE:
                waiting = min(waiting, start)
        return Reject(waiting, RejectKind.NOISE) if waiting else NeedMore()

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer: data bytes, or an error frame that repeats the command."""
        query = numbered(request.query)
        match answer:
            case Refusal(code):
                return _frame(query, _ERROR, bytes((code, query.number)))
            case tuple():
                return _frame(query, query.number, bytes(answer))
            case _:
                raise TypeError("an NC unit answers with bytes")

    def exchange_size(self, query: Query, content: int) -> int:
        """Characters of both frames; the reply has `content` bytes of data."""
        return _OVERHEAD + _OVERHEAD + content


def _frame(query: NumberQuery, command: int, data: bytes) -> bytes:
    lead = _RS232 if query.unit_id is None else _RS485
    address = _LONE_ADDRESS if query.unit_id is None else query.unit_id
    summed = bytes((0, address, command, len(data))) + data
    return bytes((lead, *summed, _checksum(summed)))


def _checksum(summed: bytes | bytearray) -> int:
    """The inverted low byte of the sum of `summed`."""
    return ~sum(summed) & 0xFF


def _size_at(buffer: bytes | bytearray, start: int) -> int:
    """The size of the complete frame at `start`; else _INCOMPLETE or _NOT_A_FRAME."""
    header = buffer[start : start + 5]
    if header[0] not in (_RS232, _RS485) or (len(header) > 1 and header[1] != 0):
        return _NOT_A_FRAME
    if len(header) < 5:
        return _INCOMPLETE
    if header[4] > _MAX_DATA:
        return _NOT_A_FRAME
    size = _OVERHEAD + header[4]
    frame = buffer[start : start + size]
    if len(frame) < size:
        return _INCOMPLETE
    return size if _checksum(frame[1:-1]) == frame[-1] else _NOT_A_FRAME


def _beginnings(buffer: bytes | bytearray, first: int) -> Iterator[int]:
    return (at for at in range(first, len(buffer)) if _size_at(buffer, at) != _NOT_A_FRAME)


def _judged(frame: bytes, query: NumberQuery) -> Verdict:
    """The verdict on a complete frame whose checksum is right."""
    lead, _, address, command, count = frame[:5]
    data = frame[5:-1]
    size = len(frame)
    if (lead, address) != tuple(_frame(query, 0, b"")[:3:2]):
        return Reject(size, RejectKind.WRONG_UNIT)
    if command == _ERROR and query.number != _ERROR:
        return _complaint(size, data, query)
    if command != query.number:
        return Reject(size, RejectKind.WRONG_FUNCTION)
    return Reply(size, tuple(data)) if count else Reject(size, RejectKind.WRONG_COUNT)


def _complaint(size: int, data: bytes, query: NumberQuery) -> Verdict:
    if len(data) != 2:
        return Reject(size, RejectKind.WRONG_COUNT)
    number, echoed = data
    if number == _BAD_CHECKSUM:  # the request was damaged in transit: a line error, not an answer
        return Reject(size, RejectKind.BAD_CHECK)
    return Exceptional(size, number) if echoed == query.number else Reject(size, RejectKind.WRONG_FUNCTION)


def _is_answer(verdict: Verdict) -> bool:
    return isinstance(verdict, Reply | Exceptional)


def _kind_of_junk(buffer: bytes | bytearray, query: NumberQuery) -> RejectKind:
    """BAD_CHECK for bytes that begin like the answer, else NOISE."""
    begins_well = buffer.startswith(_frame(query, query.number, b"")[:4])
    return RejectKind.BAD_CHECK if begins_well else RejectKind.NOISE


def _unit_id(frame: bytes | bytearray) -> int | None:
    return None if frame[0] == _RS232 else frame[2]
