"""Segments captured traffic into frames: requests, their answers, and other bytes. Pure.

Theory of operation. In a capture of polling, each written chunk is one request; the bytes received until the next
request are scanned by the dialect's `scan`, as the line does, and bytes behind the answer are stray. In a capture of
listening, both directions are one stream: a request is what `scan_request` finds, the following bytes are scanned for
its answer, and the stream is split at silences longer than those within a frame.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from drivers.diagnose.capture import Capture, Chunk
from drivers.dialects.base import (
    Dialect,
    Exceptional,
    NeedMore,
    Query,
    Raw,
    Reject,
    RejectKind,
    Reply,
    Request,
)
from drivers.direction import Direction

SILENCE_S = 0.5  # an incomplete frame is not continued after this silence


class Role(StrEnum):
    """The kind of a frame."""

    REQUEST = "request"
    REPLY = "reply"
    EXCEPTION = "exception"
    REJECT = "reject"  # not the answer to the request; `kind` says why
    STRAY = "stray"  # received while no request was outstanding
    UNFINISHED = "unfinished"  # an incomplete answer


class Frame(msgspec.Struct, frozen=True):
    """The bytes of one frame. `query` is the request itself, or the one outstanding."""

    t_s: float  # of the first byte
    ends_s: float  # of the last
    direction: Direction
    data: bytes
    role: Role
    query: Query | None = None
    transaction: int = 0
    raw: Raw | None = None  # of a reply
    code: int | None = None  # of an exception
    kind: RejectKind | None = None  # of a reject
    after_s: float | None = None  # from the request to the end of its answer


class Exchange(msgspec.Struct, frozen=True):
    """One request, and all bytes received until the next one, as (seconds after the request, bytes)."""

    t_s: float
    request: Request
    answers: tuple[tuple[float, bytes], ...]


def frames(capture: Capture, dialect: Dialect) -> tuple[Frame, ...]:
    """Every byte of the capture, in order, as part of exactly one frame."""
    return tuple(_listened(capture, dialect) if capture.header.listened else _polled(capture, dialect))


def exchanges(capture: Capture, dialect: Dialect) -> tuple[Exchange, ...]:
    """The requests with their answers; in a capture of polling in the chunks in which they were received."""
    if capture.header.listened:
        pieces = [(each, each.role is Role.REQUEST) for each in _listened(capture, dialect)]
        pieces_in_order = [(each.t_s, each.ends_s, each.data, is_request) for each, is_request in pieces]
    else:
        pieces_in_order = [(each.t_s, each.t_s, each.data, each.direction is Direction.TX) for each in capture.chunks]
    found: list[Exchange] = []
    for t_s, ends_s, data, is_request in pieces_in_order:
        if is_request:
            request = dialect.scan_request(data)
            if isinstance(request, Request):
                found.append(Exchange(ends_s, request, ()))
        elif found:
            last = found[-1]
            answers = (*last.answers, (max(0.0, t_s - last.t_s), data))
            found[-1] = msgspec.structs.replace(last, answers=answers)
    return tuple(found)


class _Stream:
    """Received bytes with their times, in seconds."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._times: list[float] = []

    def add(self, chunk: Chunk) -> None:
        self.buffer += chunk.data
        self._times += [chunk.t_s] * len(chunk.data)

    def silent_since(self, now_s: float) -> bool:
        return bool(self._times) and now_s - self._times[-1] > SILENCE_S

    def take(self, count: int, role: Role, asked: Frame | None = None, **more: object) -> Frame:
        """Remove the first `count` bytes, and return them as a frame."""
        data, times = bytes(self.buffer[:count]), self._times[:count]
        del self.buffer[:count], self._times[:count]
        frame = Frame(times[0], times[-1], Direction.RX, data, role)
        if asked is not None:
            after_s = times[-1] - asked.ends_s
            frame = msgspec.structs.replace(
                frame, query=asked.query, transaction=asked.transaction, after_s=max(0.0, after_s)
            )
        return msgspec.structs.replace(frame, **more)


def _polled(capture: Capture, dialect: Dialect) -> Iterator[Frame]:
    """The frames of a capture of polling."""
    stream = _Stream()
    asked: Frame | None = None
    is_answered = False
    for chunk in capture.chunks:
        if chunk.direction is Direction.RX:
            stream.add(chunk)
            continue
        yield from _received(stream, dialect, None if is_answered else asked)
        asked, is_answered = _written(chunk, dialect), False
        yield asked
    yield from _received(stream, dialect, asked)


def _written(chunk: Chunk, dialect: Dialect) -> Frame:
    request = dialect.scan_request(chunk.data)
    frame = Frame(chunk.t_s, chunk.t_s, Direction.TX, chunk.data, Role.REQUEST)
    if not isinstance(request, Request):
        return msgspec.structs.replace(frame, role=Role.STRAY)
    return msgspec.structs.replace(frame, query=request.query, transaction=request.transaction)


def _received(stream: _Stream, dialect: Dialect, asked: Frame | None) -> Iterator[Frame]:
    """The frames received between two requests."""
    is_open = asked is not None and asked.query is not None
    while stream.buffer:
        found = _scanned(stream, dialect, asked) if asked is not None and is_open else None
        if found is None:
            role = Role.UNFINISHED if is_open else Role.STRAY
            yield stream.take(len(stream.buffer), role, asked if is_open else None)
            return
        yield found
        is_open = found.role not in (Role.REPLY, Role.EXCEPTION)


def _scanned(stream: _Stream, dialect: Dialect, asked: Frame) -> Frame | None:
    """The first frame, scanned as the answer to `asked`; None if it is incomplete."""
    if asked.query is None:
        return None
    match dialect.scan(stream.buffer, asked.query, asked.transaction):
        case Reply(consumed, raw):
            return stream.take(consumed, Role.REPLY, asked, raw=raw)
        case Exceptional(consumed, code):
            return stream.take(consumed, Role.EXCEPTION, asked, code=code)
        case Reject(consumed, kind):
            return stream.take(consumed, Role.REJECT, asked, kind=kind)
        case NeedMore():
            return None


def _listened(capture: Capture, dialect: Dialect) -> Iterator[Frame]:
    """The frames of a capture of listening."""
    stream = _Stream()
    asked: Frame | None = None
    for chunk in capture.chunks:
        if stream.silent_since(chunk.t_s):
            yield stream.take(len(stream.buffer), Role.UNFINISHED, asked)
            asked = None
        stream.add(chunk)
        while stream.buffer:
            found = _next_listened(stream, dialect, asked)
            if found is None:
                break
            yield found
            match found.role:
                case Role.REQUEST:
                    asked = found if _is_read(found, dialect) else None
                case Role.REPLY | Role.EXCEPTION:
                    asked = None
                case _:
                    pass
    if stream.buffer:
        yield stream.take(len(stream.buffer), Role.UNFINISHED, asked)


def _next_listened(stream: _Stream, dialect: Dialect, asked: Frame | None) -> Frame | None:
    """The next frame: an answer to `asked`, another request, or neither; None while it is incomplete."""
    answer = dialect.scan(stream.buffer, asked.query, asked.transaction) if asked and asked.query else None
    if asked is not None and isinstance(answer, Reply | Exceptional):
        return _scanned(stream, dialect, asked)
    request = dialect.scan_request(stream.buffer)
    if isinstance(request, Request) and dialect.may_be_request(request.query):
        return stream.take(
            request.consumed, Role.REQUEST, query=request.query, transaction=request.transaction, after_s=None
        )
    if isinstance(answer, NeedMore) or (answer is None and isinstance(request, NeedMore)):
        return None
    if isinstance(answer, Reject):
        return stream.take(answer.consumed, Role.REJECT, asked, kind=answer.kind)
    consumed = len(stream.buffer) if isinstance(request, NeedMore) else request.consumed
    return stream.take(consumed, Role.STRAY)


def _is_read(request: Frame, dialect: Dialect) -> bool:
    """Whether the request is a read; the dialects cannot scan for the answer to another master's write."""
    try:
        return request.query is not None and bool(dialect.encode(request.query, request.transaction))
    except ValueError:
        return False
