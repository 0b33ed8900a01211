"""What every wire language offers: both roles, pure, over a caller's buffer.

A dialect holds no state. The master asks with `encode` and looks for the answer with `scan`; a simulator looks for
requests with `scan_request` and answers with `encode_reply`. The caller owns the buffer, appends what arrived, and
drops `consumed` bytes after every verdict but NeedMore.
"""

from enum import StrEnum
from typing import Protocol

import msgspec


class ModbusQuery(msgspec.Struct, frozen=True):
    """A read of `count` registers (functions 3, 4) or bits (1, 2) from base-0 `address`."""

    unit_id: int  # 0-255
    function: int  # 1, 2, 3 or 4: this project only reads
    address: int  # 0-65535
    count: int  # 1-125 registers, 1-2000 bits


class TextQuery(msgspec.Struct, frozen=True):
    """A command of a text dialect, without its terminator; `unit_id` is None off a multidrop bus."""

    command: str
    unit_id: int | None = None


class NumberQuery(msgspec.Struct, frozen=True):
    """A numbered command (NC) or variable (Huber PB) that is read; `unit_id` is None off a multidrop bus."""

    number: int  # 0-255
    unit_id: int | None = None


Query = ModbusQuery | TextQuery | NumberQuery
Raw = tuple[int, ...] | str  # registers or bits as read; an NC reply's data bytes | the reply's text, stripped


def numbered(query: Query) -> NumberQuery:
    """The query, of a dialect that asks by number. Raises TypeError for another kind."""
    if not isinstance(query, NumberQuery):
        raise TypeError(f"not a numbered query: {query}")
    return query


class RejectKind(StrEnum):
    """Why bytes on the line are not the answer. Each is counted by the line."""

    NOISE = "noise"  # bytes that begin no frame
    BAD_CHECK = "bad-check"  # CRC, LRC, length or text that cannot be right
    WRONG_UNIT = "wrong-unit"
    WRONG_FUNCTION = "wrong-function"
    WRONG_COUNT = "wrong-count"
    WRONG_TRANSACTION = "wrong-transaction"  # Modbus TCP only
    ECHO = "echo"  # our own request, heard on a half-duplex line


class NeedMore(msgspec.Struct, frozen=True):
    """Nothing to drop yet: wait for more bytes, or for the deadline."""


class Reply(msgspec.Struct, frozen=True):
    """The answer to the query; `raw` has exactly the count that was asked for."""

    consumed: int
    raw: Raw


class Exceptional(msgspec.Struct, frozen=True):
    """The unit answered the query with an exception; `code` without the 0x80."""

    consumed: int
    code: int


class Reject(msgspec.Struct, frozen=True):
    """`consumed` bytes are not the answer; the deadline goes on running."""

    consumed: int
    kind: RejectKind


Verdict = NeedMore | Reply | Exceptional | Reject


class Request(msgspec.Struct, frozen=True):
    """A whole request as a simulated unit hears it; `transaction` is 0 but for Modbus TCP."""

    consumed: int
    query: Query
    transaction: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """A simulated unit's exception answer."""

    code: int


class Dialect(Protocol):
    """One wire language."""

    @property
    def needs_drain(self) -> bool:
        """Whether a late reply could be taken for the next one, so that a miss must be followed by silence."""
        ...

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. `transaction` 0-65535 is used by Modbus TCP alone."""
        ...

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The first verdict on what lies at the start of `buffer`. Never raises, whatever the bytes."""
        ...

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """A simulated unit's view: the first request in `buffer`, for whichever unit. Never raises."""
        ...

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer to `request`."""
        ...

    def gap_s(self, baud: int | None) -> float:
        """The silence this language itself wants between frames; 0 where it wants none or the line has no baud."""
        ...
