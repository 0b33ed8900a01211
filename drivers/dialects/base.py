"""The interface of a dialect: a stateless codec for both roles, over a buffer that the caller owns. Pure.

A master uses `encode` and `scan`, a simulated unit `scan_request` and `encode_reply`. The caller appends received bytes
to the buffer, and removes `consumed` bytes after every verdict except NeedMore.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import msgspec


class ModbusQuery(msgspec.Struct, frozen=True):
    """A read of `count` registers (functions 3, 4) or bits (1, 2) from base-0 `address`."""

    unit_id: int  # 0-255
    function: int  # 1, 2, 3 or 4: only reads
    address: int  # 0-65535
    count: int  # 1-125 registers, 1-2000 bits

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return f"function {self.function}, address {self.address} (0x{self.address:04X}), count {self.count}"


class TextQuery(msgspec.Struct, frozen=True):
    """A command of a text dialect, without its terminator. `unit_id` None: without an address (no multidrop bus)."""

    command: str
    unit_id: int | None = None

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return self.command


class NumberQuery(msgspec.Struct, frozen=True):
    """The read of a numbered command (NC) or variable (Huber PB). `unit_id` None: without an address."""

    number: int  # 0-255
    unit_id: int | None = None

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return f"0x{self.number:02X}"


Query = ModbusQuery | TextQuery | NumberQuery
Raw = tuple[int, ...] | str  # registers or bits as read; an NC reply's data bytes | the reply's text, stripped


def numbered(query: Query) -> NumberQuery:
    """The query as a NumberQuery. Raises TypeError for another kind."""
    if not isinstance(query, NumberQuery):
        raise TypeError(f"not a numbered query: {query}")
    return query


class RejectKind(StrEnum):
    """Why received bytes are not the answer; the line counts each kind."""

    NOISE = "noise"  # bytes that do not begin a frame
    BAD_CHECK = "bad-check"  # wrong CRC, LRC or length, or unreadable text
    WRONG_UNIT = "wrong-unit"
    WRONG_FUNCTION = "wrong-function"
    WRONG_COUNT = "wrong-count"
    WRONG_TRANSACTION = "wrong-transaction"  # Modbus TCP only
    FOREIGN_TRANSACTION = "foreign-transaction"  # told by the line: one that no request on this connection had
    ECHO = "echo"  # our own request, received on a half-duplex line


class NeedMore(msgspec.Struct, frozen=True):
    """Nothing to remove yet: wait for more bytes until the deadline."""


class Reply(msgspec.Struct, frozen=True):
    """The answer to the query; `raw` has exactly the requested count."""

    consumed: int
    raw: Raw


class Exceptional(msgspec.Struct, frozen=True):
    """An exception response to the query; `code` is the Modbus exception code or its equivalent in the dialect."""

    consumed: int
    code: int


class Reject(msgspec.Struct, frozen=True):
    """The first `consumed` bytes are not the answer; the deadline is unchanged."""

    consumed: int
    kind: RejectKind
    came: int | None = None  # what came instead of what was asked: transaction, unit id, function, or count


Verdict = NeedMore | Reply | Exceptional | Reject


class Request(msgspec.Struct, frozen=True):
    """A complete request as a simulated unit receives it; `transaction` is 0 except in Modbus TCP."""

    consumed: int
    query: Query
    transaction: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """An exception response of a simulated unit."""

    code: int


class Numbers(StrEnum):
    """Whether a server returns the numbers of a Modbus TCP request in its reply, as the standard asks."""

    ECHOED = "echoed"
    IGNORED = "ignored"  # the reply has another number, and is taken all the same


class Dialect(ABC):
    """A dialect. The defaults are those of a text dialect on a serial line."""

    needs_drain: bool = True
    """Whether a late reply could be taken for the next one, so that a miss must be followed by silence."""
    is_networked: ClassVar[bool] = False
    """Whether a server speaks it, on several connections at once, and never a serial line."""
    is_addressed: ClassVar[bool] = False
    """Whether every request names a unit, also to one that is alone on its line."""
    is_binary: ClassVar[bool] = False
    """Whether files hold its frames as hexadecimal digits, and not as text."""

    @abstractmethod
    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. `transaction` (0-65535) is used by Modbus TCP only. Raises ValueError, TypeError."""

    @abstractmethod
    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`. Never raises."""

    @abstractmethod
    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first request in `buffer`, to any unit. Never raises."""

    @abstractmethod
    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer to `request`."""

    @abstractmethod
    def exchange_size(self, query: Query, content: int) -> int:
        """Characters on the wire, of request and reply together.

        `content`: those of the reply's text with its terminator, or of its data, where the query does not determine it.
        """

    def gap_s(self, baud: int | None) -> float:
        """The silence in seconds that the dialect requires between frames; 0 if none, or if `baud` is None."""
        return 0.0

    def may_be_request(self, query: Query) -> bool:
        """Whether a request that `scan_request` found in traffic of both directions cannot be a reply instead."""
        return True

    def with_transaction(self, data: bytes, recorded: Request, request: Request) -> bytes:
        """A chunk of the recorded answer to `recorded`, adapted to `request`, an equal query."""
        return data
