"""The master of a line: one request outstanding at a time, for every dialect, with draining after a missed reply.

Theory of operation. Most dialects have no transaction number, so a reply that arrives after its deadline would be taken
for the answer to the next request. So each request sets a pending drain of `drain_s` (the longest reply time), which
only its answer clears; after a time-out, an unusable reply, a cancelled caller or a broken link it stays set. The next
request waits until the line has been silent for that long since the last byte in either direction, which mostly passes
while the line is idle anyway. A line that never falls silent is used again after twice that time, when every earlier
reply must have passed. Modbus TCP needs no drain, since it has transaction numbers; where a server does not return
them, its connection is closed after a miss as well, so that what comes late has nowhere to come.

Some servers close the connection after each answer, or after some idle seconds. A line that is in step (its last
request was answered, and not a byte came since) is then opened again and asked again at once: that is no fault, and
owes no silence beyond what a request on the wire owes.

Time. The gap between frames is measured from the last byte on the wire; only its remainder is slept, rounded up to the
event loop's resolution of 1 ms. An exchange thus costs its two frames, the unit's own delay, the gap, and 1 to 2 ms of
overhead: 1 to 2 % for 64 registers at 9600 or 19200 baud, up to 10 % for a single register (measured by
tests/bench/serial_line.py). The request's time on the wire (from `baud`) is added to the deadline, so that `timeout_s`
concerns the unit alone.
"""

import asyncio
import logging
import math
from collections import deque
from dataclasses import dataclass, field

import msgspec

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    ModbusQuery,
    NeedMore,
    Query,
    Raw,
    Reject,
    RejectKind,
    Reply,
)
from drivers.errors import Garbled, LineDown, NoReply, ShortAnswer, UnitRefused
from drivers.transport.base import ByteLink, Connector, Inbox

_log = logging.getLogger(__name__)

_BACKOFF_MIN_S = 0.2
_BACKOFF_MAX_S = 4.0
_SILENT_EXCHANGES_BEFORE_REOPEN = 3
_BITS_A_CHARACTER = 11  # start, 8 data, parity or second stop, stop
_LOOP_RESOLUTION_S = 0.001
_MAX_TRANSACTION = 0xFFFF
_MOST_UNANSWERED = 16  # transactions of a connection that are remembered, to know a late reply for one
_UNREADABLE = frozenset({RejectKind.BAD_CHECK, RejectKind.WRONG_FUNCTION, RejectKind.WRONG_COUNT})


class _ClosedBetween(Exception):
    """The far end closed the connection between two answers."""


class LineTiming(msgspec.Struct, frozen=True):
    """The timing that a unit needs, from its profile."""

    gap_s: float  # silence before a request
    timeout_s: float  # from the request's end to the reply's
    drain_s: float  # the longest time after which a reply may still come
    settle_after_open_s: float = 0.0


@dataclass(slots=True)
class LineCounters:
    """The counters of a line, since it was created."""

    requests: int = 0
    replies: int = 0
    timeouts: int = 0  # exchanges without a usable answer, garbled ones included
    exceptions: dict[int, int] = field(default_factory=dict[int, int])  # by Modbus exception code
    rejects: dict[RejectKind, int] = field(default_factory=lambda: dict.fromkeys(RejectKind, 0))
    came: dict[RejectKind, str] = field(default_factory=dict[RejectKind, str])  # the last reject: "unit id 255 for 1"
    idle_bytes: int = 0  # bytes received while no request was outstanding
    reopens: int = 0
    closings: int = 0  # of the connection by the far end, between two answers
    failed_openings: int = 0
    drains: int = 0  # requests that waited for a drain first


class Line:
    """One serial port or connection. `baud` is None where the time of bytes on the wire is neglected (TCP)."""

    def __init__(
        self, name: str, connector: Connector, dialect: Dialect, timing: LineTiming, baud: int | None = None
    ) -> None:
        self.name = name
        self.counters = LineCounters()
        self._connector = connector
        self._dialect = dialect
        self._timing = timing
        self._baud = baud
        self._lock = asyncio.Lock()
        self._link: ByteLink | None = None
        self._opened_before = False
        self._is_in_step = False  # the last request was answered, and no byte came since
        self._seems_hung = False  # and the log says so
        self._backoff_s = 0.0
        self._reopen_at = 0.0
        self._settled_at = 0.0
        self._sent_until = 0.0
        self._pending_drain_s = 0.0
        self._silent_exchanges = 0
        self._transaction = 0
        self._unanswered: deque[int] = deque(maxlen=_MOST_UNANSWERED)  # transactions of this connection

    @property
    def is_open(self) -> bool:
        """Whether the port or connection is open, as far as known."""
        return self._link is not None and not self._link.inbox.is_lost

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        """Send `query` and return its answer; `timing` overrides that of the line.

        Raises NoReply, Garbled (bytes came that are not the answer), UnitRefused, LineDown (at once while the line
        waits for its next attempt to open), or ValueError if the query cannot be encoded.
        """
        timing = timing or self._timing
        async with self._lock:
            try:
                return await self._exchange(query, timing)
            except _ClosedBetween:
                return await self._exchange(query, timing)

    def close(self) -> None:
        """Close the port or connection; the next exchange opens it again."""
        self._is_in_step = False
        self.rest()

    def rest(self) -> None:
        """Close the connection between two polls; a line that is in step remains so."""
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _exchange(self, query: Query, timing: LineTiming) -> Raw:
        link = await self._open_link(timing)
        try:
            await self._await_silence(link.inbox, timing)
            return await self._ask(link, query, timing)
        except LineDown as error:
            if self._is_closed_between(link):
                self.counters.closings += 1
                self.rest()
                raise _ClosedBetween from error
            self._drop(link, error.detail)
            raise

    def _is_closed_between(self, link: ByteLink) -> bool:
        """Whether the far end closed the connection while the line was in step."""
        return self._is_in_step and link.inbox.is_closed

    async def _open_link(self, timing: LineTiming) -> ByteLink:
        if self._link is not None and not self._link.inbox.is_lost:
            return self._link
        if self._link is not None:  # it broke while idle: no fault yet
            self._is_in_step = self._is_closed_between(self._link)
            self.counters.closings += self._is_in_step
        self.rest()
        loop = asyncio.get_running_loop()
        if loop.time() < self._reopen_at:
            raise LineDown(f"{self.name}: waits to be opened again")
        try:
            link = self._link = await self._connector()
        except LineDown as error:
            self.counters.failed_openings += 1
            self._back_off(error.detail)
            raise
        if self._opened_before:
            self.counters.reopens += 1
        else:
            _log.info("line %s is open", self.name)
        self._opened_before = True
        self._silent_exchanges = 0
        self._unanswered.clear()
        self._settled_at = loop.time() + timing.settle_after_open_s
        if not self._is_in_step:  # adapters emit garbage when opened, and an earlier request may still be answered
            self._require_drain(timing)
        self._is_in_step = False
        return link

    async def _await_silence(self, inbox: Inbox, timing: LineTiming) -> None:
        """Wait, discarding received bytes, until the line has been silent long enough for a request."""
        loop = asyncio.get_running_loop()
        silence_s = max(self._gap_s(timing), self._pending_drain_s)
        if self._pending_drain_s:
            self.counters.drains += 1
        latest = loop.time() + 2 * silence_s
        while True:
            inbox.check()
            silent_at = max(inbox.last_byte_at, self._sent_until) + silence_s
            left_s = max(min(silent_at, latest), self._settled_at) - loop.time()
            if left_s <= 0:
                break
            await asyncio.sleep(math.ceil(left_s / _LOOP_RESOLUTION_S) * _LOOP_RESOLUTION_S)
        self._pending_drain_s = 0.0
        self._count_unasked(inbox)

    async def _ask(self, link: ByteLink, query: Query, timing: LineTiming) -> Raw:
        self._transaction = self._transaction % _MAX_TRANSACTION + 1
        request = self._dialect.encode(query, self._transaction)
        inbox = link.inbox
        sent_at = asyncio.get_running_loop().time()
        self._require_drain(timing)
        self._unanswered.append(self._transaction)
        inbox.listening = True
        try:
            inbox.asked(request)
            link.write(request)
            self.counters.requests += 1
            self._sent_until = sent_at + (len(request) * _BITS_A_CHARACTER / self._baud if self._baud else 0.0)
            answer = await self._answer(link, query, self._sent_until + timing.timeout_s)
        finally:
            inbox.listening = False
            inbox.unasked_bytes += len(inbox.buffer)
            inbox.buffer.clear()
            self._count_unasked(inbox)
            if self._unanswered and self._dialect.is_networked and self._dialect.needs_drain:
                self.close()  # its reply, if it still comes, could not be told from the next one
        if isinstance(answer, Exceptional):
            self.counters.exceptions[answer.code] = self.counters.exceptions.get(answer.code, 0) + 1
            raise UnitRefused(answer.code)
        self.counters.replies += 1
        return answer.raw

    async def _answer(self, link: ByteLink, query: Query, deadline: float) -> Reply | Exceptional:
        buffer = link.inbox.buffer
        rejected: dict[RejectKind, Reject | None] = {}
        while True:
            self._is_in_step &= not buffer
            verdict = self._dialect.scan(buffer, query, self._transaction) if buffer else NeedMore()
            if isinstance(verdict, NeedMore):
                if not await link.inbox.more(deadline):
                    raise self._missed(link, query, rejected)
                continue
            del buffer[: verdict.consumed]
            if isinstance(verdict, Reject):
                kind = self._kind_of(verdict)
                rejected[kind] = verdict
                self.counters.came[kind] = _what_came(verdict, query, self._transaction)
                self.counters.rejects[kind] += 1
                continue
            self._unanswered.pop()
            self._note_answer()
            second = self._second_answer(buffer, query)
            if second is None:
                self._pending_drain_s = 0.0
            elif not _say_the_same(verdict, second):
                self.counters.timeouts += 1
                raise Garbled(f"{self.name}: two answers came at once that differ")
            return verdict

    def _kind_of(self, reject: Reject) -> RejectKind:
        """The reject's kind; a transaction that was never asked here is not a late one, but the server's own."""
        if reject.kind is RejectKind.WRONG_TRANSACTION and reject.came not in self._unanswered:
            return RejectKind.FOREIGN_TRANSACTION
        return reject.kind

    def _second_answer(self, rest: bytearray, query: Query) -> Reply | Exceptional | None:
        """Another answer to `query` in `rest`: then replies and requests are out of step."""
        if not rest or not self._dialect.needs_drain:
            return None
        verdict = self._dialect.scan(rest, query, self._transaction)
        return verdict if isinstance(verdict, Reply | Exceptional) else None

    def _missed(self, link: ByteLink, query: Query, rejected: dict[RejectKind, Reject | None]) -> NoReply | Garbled:
        """Count an exchange without an answer, and close a connection whose far end seems to hang."""
        self.counters.timeouts += 1
        if link.inbox.buffer:  # an incomplete reply
            rejected[RejectKind.BAD_CHECK] = None
            self.counters.rejects[RejectKind.BAD_CHECK] += 1
        self._silent_exchanges = 0 if rejected else self._silent_exchanges + 1
        if link.silence_may_be_a_hang and self._silent_exchanges >= _SILENT_EXCHANGES_BEFORE_REOPEN:
            if not self._seems_hung:
                text = "line %s: not one byte in %d exchanges, opening it again"
                _log.warning(text, self.name, self._silent_exchanges)
            self._seems_hung = True
            self.close()
        texts = {kind: _what_came(reject, query, self._transaction) for kind, reject in sorted(rejected.items())}
        came = ", ".join(f"{kind} ({text})" if text else kind for kind, text in texts.items())
        if rejected.keys() == {RejectKind.WRONG_COUNT} and _is_short(rejected[RejectKind.WRONG_COUNT], query):
            return ShortAnswer(f"{self.name}: came, but is not the answer: {came}")
        if rejected.keys() & _UNREADABLE:
            return Garbled(f"{self.name}: came, but is not the answer: {came}")
        return NoReply(f"{self.name}: no answer in time{came and f', but there came: {came}'}")

    def _note_answer(self) -> None:
        self._is_in_step = True
        if self._backoff_s or self._seems_hung:
            _log.warning("line %s is back", self.name)
        self._silent_exchanges = 0
        self._backoff_s = 0.0
        self._seems_hung = False

    def _require_drain(self, timing: LineTiming) -> None:
        if self._dialect.needs_drain:
            self._pending_drain_s = max(self._pending_drain_s, self._gap_s(timing), timing.drain_s)

    def _gap_s(self, timing: LineTiming) -> float:
        return max(timing.gap_s, self._dialect.gap_s(self._baud))

    def _count_unasked(self, inbox: Inbox) -> None:
        if inbox.unasked_bytes:
            self.counters.idle_bytes += inbox.unasked_bytes
            inbox.unasked_bytes = 0
            self._silent_exchanges = 0  # a late answer shows that the far end does not hang

    def _drop(self, link: ByteLink, reason: str) -> None:
        link.close()
        if self._link is link:
            self.close()
        self._back_off(reason)

    def _back_off(self, reason: str) -> None:
        if not self._backoff_s:
            _log.warning("line %s is down: %s", self.name, reason)
        self._backoff_s = min(max(2 * self._backoff_s, _BACKOFF_MIN_S), _BACKOFF_MAX_S)
        self._reopen_at = asyncio.get_running_loop().time() + self._backoff_s


def _say_the_same(one: Reply | Exceptional, other: Reply | Exceptional) -> bool:
    """Whether two answers have the same content, so that it does not matter which of them is late."""
    if isinstance(one, Reply) and isinstance(other, Reply):
        return one.raw == other.raw
    return isinstance(one, Exceptional) and isinstance(other, Exceptional) and one.code == other.code


def _is_short(reject: Reject | None, query: Query) -> bool:
    """Whether a whole answer of fewer values came."""
    return isinstance(query, ModbusQuery) and reject is not None and 0 < (reject.came or 0) < query.count


def _what_came(reject: Reject | None, query: Query, transaction: int) -> str:
    """What came instead of what was asked, in the line's words; empty where its kind says it all."""
    if reject is None or reject.came is None or not isinstance(query, ModbusQuery):
        return ""
    match reject.kind:
        case RejectKind.WRONG_TRANSACTION:
            return f"transaction {reject.came} for {transaction}"
        case RejectKind.WRONG_UNIT:
            return f"unit id {reject.came} for {query.unit_id}"
        case RejectKind.WRONG_FUNCTION:
            return f"function {reject.came} for {query.function}"
        case RejectKind.WRONG_COUNT:
            return f"{reject.came} values for {query.count}"
        case _:
            return ""
