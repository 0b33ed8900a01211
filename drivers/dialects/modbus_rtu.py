"""Modbus RTU: binary frames with a CRC but no start mark, separated by 3.5 characters of silence.

Theory of operation. A sliding-window scanner: since nothing marks the start of a frame, the answer is searched at every
offset of the buffer where unit, function, byte count and CRC fit together; bytes before it are noise. If there is no
answer, a complete foreign frame at the start is classified and removed; an incomplete frame at the start is waited for
(the answer is also searched behind it); anything else is noise, removed up to the next possible start.

Source: Modbus over Serial Line V1.02, section 2.5.1.
"""

from collections.abc import Iterator

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    ModbusQuery,
    NeedMore,
    Query,
    Raw,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    Verdict,
)
from drivers.dialects.modbus_pdu import (
    EXCEPTION,
    READS,
    READS_OF_BITS,
    asked,
    data_bytes,
    judge,
    modbus,
    reply_frame,
    request_frame,
    rtu_exchange_size,
    serial_request,
)

_FRAMER = FramerRTU(DecodePDU(False))
_OVERHEAD = 5  # unit, function, byte count or exception code, CRC (2)
_FIXED = 8  # bytes of a read request, and of the reply to a write
_WRITES = (5, 6, 15, 16)

_NOT_A_FRAME = -1
_INCOMPLETE = 0

_CHARACTER_BITS = 11
_SILENCE_CHARACTERS = 3.5
_FAST_BAUD = 19200
_FAST_SILENCE_S = 0.00175


class ModbusRtu(Dialect):
    """Modbus RTU, on a serial line or inside TCP."""

    is_addressed = True
    is_binary = True

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. Raises ValueError for what no unit can be asked, broadcast (unit 0) included."""
        return serial_request(_FRAMER, query)

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        query = modbus(query)
        if not buffer:
            return NeedMore()
        request = request_frame(_FRAMER, query)
        if buffer.startswith(request):
            return Reject(len(request), RejectKind.ECHO)
        answer = _answer_at(buffer, 0, query)
        return answer if answer is not None else _resync(buffer, query, request)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first request in `buffer`, to any unit, with any known function."""
        waiting = len(buffer)
        for start in range(len(buffer)):
            size = _sized(buffer, start, _request_size(buffer, start))
            if size > 0 and start > 0:
                return Reject(start, RejectKind.NOISE)
            if size > 0:
                return Request(size, asked(buffer[0], bytes(buffer[1 : size - 2])))
            if size == _INCOMPLETE:
                waiting = min(waiting, start)
        return Reject(waiting, RejectKind.NOISE) if waiting else NeedMore()

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer."""
        return reply_frame(_FRAMER, request, answer)

    def exchange_size(self, query: Query, content: int) -> int:
        """Characters of both frames."""
        return rtu_exchange_size(modbus(query))

    def gap_s(self, baud: int | None) -> float:
        """3.5 characters of 11 bits in seconds; above 19200 baud 1.75 ms, as the standard recommends."""
        if baud is None:
            return 0.0
        return _FAST_SILENCE_S if baud > _FAST_BAUD else _SILENCE_CHARACTERS * _CHARACTER_BITS / baud


def _answer_at(buffer: bytes | bytearray, start: int, query: ModbusQuery) -> Reply | Exceptional | None:
    header = buffer[start : start + 3]
    if len(header) < 3 or header[0] != query.unit_id or query.unit_id == 0:
        return None
    if header[1] == query.function and header[2] == data_bytes(query):
        size = _OVERHEAD + header[2]
    elif header[1] == query.function | EXCEPTION:
        size = _OVERHEAD
    else:
        return None
    frame = bytes(buffer[start : start + size])
    if len(frame) < size or not _checks(frame):
        return None
    verdict = judge(size, frame[0], frame[1:-2], query)
    return None if isinstance(verdict, Reject) else verdict


def _resync(buffer: bytes | bytearray, query: ModbusQuery, request: bytes) -> NeedMore | Reject:
    answer = next((at for at in _places(buffer, query.unit_id) if _answer_at(buffer, at, query)), len(buffer))
    size = _stray_at(buffer, 0, request)
    if size > 0:
        verdict = judge(size, buffer[0], bytes(buffer[1 : size - 2]), query)
        return verdict if isinstance(verdict, Reject) else Reject(size, RejectKind.BAD_CHECK)
    if size == _INCOMPLETE:
        return NeedMore() if answer == len(buffer) else Reject(answer, RejectKind.NOISE)
    start = 1
    while start < answer and _stray_at(buffer, start, request) == _NOT_A_FRAME:
        start += 1
    broken = (*buffer[:3],) == (query.unit_id, query.function, data_bytes(query))
    return Reject(start, RejectKind.BAD_CHECK if broken else RejectKind.NOISE)


def _places(buffer: bytes | bytearray, unit_id: int) -> Iterator[int]:
    """Offsets above 0 at which a frame of this unit may begin."""
    at = buffer.find(unit_id, 1)
    while at > 0:
        yield at
        at = buffer.find(unit_id, at + 1)


def _stray_at(buffer: bytes | bytearray, start: int, request: bytes) -> int:
    """The size of a reply of any unit, or of the echo of `request`, at `start`; else _INCOMPLETE or _NOT_A_FRAME."""
    if request.startswith(buffer[start : start + len(request)]):
        return len(request) if len(buffer) - start >= len(request) else _INCOMPLETE
    return _sized(buffer, start, _reply_size(buffer, start))


def _sized(buffer: bytes | bytearray, start: int, size: int) -> int:
    """`size` if a frame of that size at `start` has a right CRC; else _INCOMPLETE or _NOT_A_FRAME."""
    if size <= 0:
        return size
    frame = bytes(buffer[start : start + size])
    if len(frame) < size:
        return _INCOMPLETE
    return size if _checks(frame) else _NOT_A_FRAME


def _reply_size(buffer: bytes | bytearray, start: int) -> int:
    if buffer[start] == 0:
        return _NOT_A_FRAME  # no unit answers with the broadcast address
    if len(buffer) - start < 2:
        return _INCOMPLETE
    function = buffer[start + 1]
    if function in _WRITES:
        return _FIXED
    if function & ~EXCEPTION not in READS + _WRITES:
        return _NOT_A_FRAME
    if function & EXCEPTION:
        return _OVERHEAD
    if len(buffer) - start < 3:
        return _INCOMPLETE
    count = buffer[start + 2]
    return _OVERHEAD + count if function in READS_OF_BITS or count % 2 == 0 else _NOT_A_FRAME


def _request_size(buffer: bytes | bytearray, start: int) -> int:
    if len(buffer) - start < 2:
        return _INCOMPLETE
    match buffer[start + 1]:
        case 1 | 2 | 3 | 4 | 5 | 6 | 8:
            return _FIXED
        case 7 | 11 | 12 | 17:
            return _FIXED - 4
        case 15 | 16:
            return _with_byte_count(buffer, start, 6)
        case 22:
            return _FIXED + 2
        case 23:
            return _with_byte_count(buffer, start, 10)
        case _:
            return _NOT_A_FRAME


def _with_byte_count(buffer: bytes | bytearray, start: int, offset: int) -> int:
    place = start + offset
    return offset + 1 + buffer[place] + 2 if place < len(buffer) else _INCOMPLETE


def _checks(frame: bytes) -> bool:
    return FramerRTU.compute_CRC(frame[:-2]) == int.from_bytes(frame[-2:], "big")
