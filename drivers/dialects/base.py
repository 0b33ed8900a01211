"""What every wire language offers: both roles, pure, over a caller's buffer.

A dialect holds no state. The master asks with `encode` and looks for the answer with `scan`; a simulator looks for
requests with `scan_request` and answers with `encode_reply`. The caller owns the buffer, appends what arrived, and
drops `consumed` bytes after every verdict but NeedMore.
"""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import msgspec


class ModbusQuery(msgspec.Struct, frozen=True):
    """A read of `count` registers (functions 3, 4) or bits (1, 2) from base-0 `address`."""

    unit_id: int  # 0-255
    function: int  # 1, 2, 3 or 4: this project only reads
    address: int  # 0-65535
    count: int  # 1-125 registers, 1-2000 bits

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return f"function {self.function}, address {self.address} (0x{self.address:04X}), count {self.count}"


class TextQuery(msgspec.Struct, frozen=True):
    """A command of a text dialect, without its terminator; `unit_id` is None off a multidrop bus."""

    command: str
    unit_id: int | None = None

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return self.command


class NumberQuery(msgspec.Struct, frozen=True):
    """A numbered command (NC) or variable (Huber PB) that is read; `unit_id` is None off a multidrop bus."""

    number: int  # 0-255
    unit_id: int | None = None

    @property
    def description(self) -> str:
        """What is asked, as a manual prints it."""
        return f"0x{self.number:02X}"


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
    ECHO = "echo"  # our own request, received on a half-duplex line


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
    """A whole request as a simulated unit receives it; `transaction` is 0 but for Modbus TCP."""

    consumed: int
    query: Query
    transaction: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """A simulated unit's exception answer."""

    code: int


class Dialect(ABC):
    """One wire language. The defaults are those of a text language on a serial line."""

    needs_drain: ClassVar[bool] = True
    """Whether a late reply could be taken for the next one, so that a miss must be followed by silence."""
    is_networked: ClassVar[bool] = False
    """Whether a server speaks it, on several connections at once, and never a serial line."""
    is_addressed: ClassVar[bool] = False
    """Whether every request names a unit, also to one that is alone on its line."""
    is_binary: ClassVar[bool] = False
    """Whether files hold its frames as hexadecimal digits, and not as text."""

    @abstractmethod
    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes. `transaction` 0-65535 is used by Modbus TCP alone."""

    @abstractmethod
    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The first verdict on what lies at the start of `buffer`. Never raises, whatever the bytes."""

    @abstractmethod
    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """A simulated unit's view: the first request in `buffer`, for whichever unit. Never raises."""

    @abstractmethod
    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer to `request`."""

    @abstractmethod
    def exchange_size(self, query: Query, content: int) -> int:
        """Characters on the wire, request and reply.

        `content`: those of the reply's text with its end, or of its data, in a language whose queries do not fix them.
        """

    def gap_s(self, baud: int | None) -> float:
        """The silence this language itself wants between frames; 0 where it wants none or the line has no baud."""
        return 0.0

    def may_be_request(self, query: Query) -> bool:
        """Whether what `scan_request` found in traffic of both directions can be a request, and not a reply."""
        return True

    def with_transaction(self, data: bytes, recorded: Request, request: Request) -> bytes:
        """A piece of the answer that `recorded` got, as the answer to `request`, which asks the same."""
        return data
