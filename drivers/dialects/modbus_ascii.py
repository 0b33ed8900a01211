"""Modbus ASCII: a colon, hexadecimal digits, an LRC, CR and LF. Frames that end in LF alone are read as well.

Source: Modbus over Serial Line V1.02, section 2.5.2.
"""

from binascii import unhexlify

from pymodbus.framer import FramerAscii
from pymodbus.pdu import DecodePDU

from drivers.dialects.base import Dialect, NeedMore, Query, Raw, Refusal, Reject, RejectKind, Request, Verdict
from drivers.dialects.modbus_pdu import asked, data_bytes, judge, modbus, reply_frame, request_frame, serial_request

_FRAMER = FramerAscii(DecodePDU(False))
_START = b":"
_END = b"\n"
_MAX_FRAME = 513  # characters, CR and LF included
_MIN_MESSAGE = 3  # unit, function, LRC


class ModbusAscii(Dialect):
    """Modbus ASCII, on a serial line or inside TCP."""

    is_addressed = True

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. Raises ValueError for what no unit can be asked, broadcast (unit 0) included."""
        return serial_request(_FRAMER, query)

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        query = modbus(query)
        if buffer.startswith(request := request_frame(_FRAMER, query)):
            return Reject(len(request), RejectKind.ECHO)
        found = _first_message(buffer)
        if not isinstance(found, tuple):
            return found
        consumed, message = found
        if message[0] == 0:
            return Reject(consumed, RejectKind.WRONG_UNIT)  # no unit answers with the broadcast address
        return judge(consumed, message[0], message[1:], query)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first request in `buffer`, for whichever unit."""
        found = _first_message(buffer)
        if not isinstance(found, tuple):
            return found
        consumed, message = found
        return Request(consumed, asked(message[0], message[1:]))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer."""
        return reply_frame(_FRAMER, request, answer)

    def exchange_size(self, query: Query, content: int) -> int:
        """Characters of both frames; two hexadecimal digits for each byte."""
        return 17 + 11 + 2 * data_bytes(modbus(query))


def _first_message(buffer: bytes | bytearray) -> tuple[int, bytes] | Reject | NeedMore:
    """The first complete line as (characters consumed, unit and PDU), its LRC checked."""
    if not buffer:
        return NeedMore()
    start = buffer.find(_START)
    if start != 0:
        return Reject(start if start > 0 else len(buffer), RejectKind.NOISE)
    end = buffer.find(_END, 0, _MAX_FRAME)
    restart = buffer.find(_START, 1, end if end > 0 else _MAX_FRAME)
    if restart > 0:
        return Reject(restart, RejectKind.BAD_CHECK)
    if end < 0:
        return NeedMore() if len(buffer) < _MAX_FRAME else Reject(1, RejectKind.BAD_CHECK)
    consumed = end + len(_END)
    try:
        message = unhexlify(buffer[1:end].removesuffix(b"\r"))
    except ValueError:
        return Reject(consumed, RejectKind.BAD_CHECK)
    if len(message) < _MIN_MESSAGE or FramerAscii.compute_LRC(message[:-1]) != message[-1]:
        return Reject(consumed, RejectKind.BAD_CHECK)
    return consumed, message[:-1]
