"""Modbus TCP: the MBAP header (transaction, protocol, length, unit) and the PDU, without a checksum.

The transaction number distinguishes a late reply from the awaited one, so a miss needs no drain. TCP loses no bytes,
but wrongly configured device servers pass noise on; the scanner skips it as on a serial line.

Some gateways return 0 or a counter of their own as transaction, or 0 or 255 as unit. Where the site says so, these
numbers are not compared. Without the transaction a miss must be drained, and nothing is searched behind noise.

Source: Modbus Messaging on TCP/IP V1.0b, section 3.1.3.
"""

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.dialects.base import (
    Dialect,
    ModbusQuery,
    NeedMore,
    Numbers,
    Query,
    Raw,
    Refusal,
    Reject,
    RejectKind,
    Request,
    Verdict,
)
from drivers.dialects.modbus_pdu import asked, judge, modbus, reply_frame, request_frame, rtu_exchange_size

_FRAMER = FramerSocket(DecodePDU(False))
_PROTOCOL = b"\0\0"
_HEADER = 7  # transaction, protocol 0, length, unit
_BEFORE_LENGTH_COUNTS = 6
_MIN_LENGTH = 2  # unit and function
_MAX_LENGTH = 254

_NOT_A_FRAME = -1
_INCOMPLETE = 0


class ModbusTcp(Dialect):
    """Modbus TCP, with a server that returns the numbers of a request or, each by itself, does not."""

    is_networked = True
    is_addressed = True
    is_binary = True

    def __init__(self, transactions: Numbers = Numbers.ECHOED, unit_ids: Numbers = Numbers.ECHOED) -> None:
        self._any_transaction = self.needs_drain = transactions is Numbers.IGNORED
        self._any_unit = unit_ids is Numbers.IGNORED

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. Raises ValueError for what no unit can be asked."""
        return transaction.to_bytes(2, "big") + request_frame(_FRAMER, modbus(query))[2:]

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        query = modbus(query)
        if buffer.startswith(request := self.encode(query, transaction)):
            return Reject(len(request), RejectKind.ECHO)  # a device server may pass on the echo of its bus
        size = _frame_at(buffer, 0)
        if size > 0:
            return self._judged(bytes(buffer[:size]), query, transaction)
        if self._any_transaction:
            return NeedMore() if size == _INCOMPLETE else Reject(len(buffer), RejectKind.NOISE)
        answer = self._answer_behind(buffer, query, transaction)
        if size == _INCOMPLETE:
            return NeedMore() if answer == len(buffer) else Reject(answer, RejectKind.NOISE)
        return Reject(min(answer, _next_frame(buffer)), RejectKind.NOISE)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first request in `buffer`, for whichever unit."""
        size = _frame_at(buffer, 0)
        if size == _INCOMPLETE:
            return NeedMore()
        if size == _NOT_A_FRAME:
            return Reject(_next_frame(buffer), RejectKind.NOISE)
        frame = bytes(buffer[:size])
        return Request(size, asked(frame[6], frame[_HEADER:]), int.from_bytes(frame[:2], "big"))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer."""
        return reply_frame(_FRAMER, request, answer)

    def exchange_size(self, query: Query, content: int) -> int:
        """Characters of the same exchange in RTU, as on the serial line behind a device server."""
        return rtu_exchange_size(modbus(query))

    def with_transaction(self, data: bytes, recorded: Request, request: Request) -> bytes:
        """The chunk, with the transaction number replaced if the answer begins in it."""
        begins = data.startswith(recorded.transaction.to_bytes(2, "big") + _PROTOCOL)
        return request.transaction.to_bytes(2, "big") + data[2:] if begins else data

    def _judged(self, frame: bytes, query: ModbusQuery, transaction: int) -> Verdict:
        number = int.from_bytes(frame[:2], "big")
        if number != transaction and not self._any_transaction:
            return Reject(len(frame), RejectKind.WRONG_TRANSACTION, number)
        return judge(len(frame), query.unit_id if self._any_unit else frame[6], frame[_HEADER:], query)

    def _answer_behind(self, buffer: bytes | bytearray, query: ModbusQuery, transaction: int) -> int:
        """The offset above 0 of the complete answer; the buffer's length if there is none."""
        mark = transaction.to_bytes(2, "big") + _PROTOCOL
        at = buffer.find(mark, 1)
        while at > 0:
            size = _frame_at(buffer, at)
            if size > 0 and not isinstance(self._judged(bytes(buffer[at : at + size]), query, transaction), Reject):
                return at
            at = buffer.find(mark, at + 1)
        return len(buffer)


def _next_frame(buffer: bytes | bytearray) -> int:
    """The offset above 0 at which the next frame may begin."""
    return next((at for at in range(1, len(buffer)) if _frame_at(buffer, at) != _NOT_A_FRAME), len(buffer))


def _frame_at(buffer: bytes | bytearray, start: int) -> int:
    """The size of the complete frame at `start`; else _INCOMPLETE or _NOT_A_FRAME."""
    header = buffer[start : start + _HEADER]
    if any(header[2:4]):
        return _NOT_A_FRAME
    if len(header) < _BEFORE_LENGTH_COUNTS:
        return _INCOMPLETE
    length = int.from_bytes(header[4:6], "big")
    if not _MIN_LENGTH <= length <= _MAX_LENGTH:
        return _NOT_A_FRAME
    size = _BEFORE_LENGTH_COUNTS + length
    return size if len(buffer) - start >= size else _INCOMPLETE
