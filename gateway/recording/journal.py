"""What came while nothing could be counted, in files beside the ledger: answers of the units, messages of the engine.

Both are fed to the pipeline at the next start, as if they had just come; each answer has the stamp of its own poll, by
the boot clock: one of the same boot gets the UTC of the clock as it is then. A
message is acknowledged once it is here, so none is dropped: where there is no room, it stays at the broker. Of the
answers the oldest are dropped beyond MOST_BYTES; what they showed is a silence. Messages name patients: where the site
has a key for its ledger, they are encrypted with it.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from drivers.reading import ReadFault, Reading, RunState, Stamp, stamp_of
from gateway.ledger.codec import codec_with
from gateway.ledger.errors import LedgerDamaged, LedgerLocked
from gateway.ledger.key_ring import read_ring
from gateway.session.fact_types import CapRef

_log = logging.getLogger("capgate")

MOST_BYTES = 64 << 20  # of each kind; answers of eight units for some days
_ANSWERS, _MESSAGES = "kept-answers.jsonl", "kept-messages.jsonl"

_CONTEXT = "kept message"

T = TypeVar("T")


class JournalFull(Exception):
    """There are as many messages as may be kept."""


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    reading: Reading | None = None
    fault: ReadFault | None = None
    doubted: bool = False  # its UTC is of a clock that was not believed


class _Message(msgspec.Struct, frozen=True, omit_defaults=True):
    topic: str
    payload: bytes
    key: str = ""  # by which it is encrypted


class Journal:
    """The journal in `directory`, with the site's keys in `key_file`.

    Its methods block; those that write raise OSError with nothing lost of before.
    """

    def __init__(self, directory: Path, key_file: Path | None = None) -> None:
        self._key_file = key_file
        self._answers = directory / _ANSWERS
        self._older = directory / f"{_ANSWERS}.old"
        self._messages = directory / _MESSAGES

    def add_answers(self, answers: list[Reading | ReadFault], *, doubted: bool = False) -> None:
        """Append answers, on the disk when it returns. `doubted`: their UTC is of a clock that is not believed."""
        lines = [
            _Answer(reading=each, doubted=doubted)
            if isinstance(each, Reading)
            else _Answer(fault=each, doubted=doubted)
            for each in answers
        ]
        _append(self._answers, lines)
        if self._answers.stat().st_size > MOST_BYTES // 2:
            self._answers.replace(self._older)

    def add_message(self, topic: str, payload: bytes) -> None:
        """Append a message, on the disk when it returns. Raises JournalFull, LedgerLocked."""
        if self._messages.exists() and self._messages.stat().st_size > MOST_BYTES:
            raise JournalFull
        codec = codec_with(read_ring(self._key_file).first, _CONTEXT)
        locked = codec.lock(payload, _CONTEXT, topic)
        _append(self._messages, [_Message(topic, locked, codec.key_id)])

    def answers(self, now: Stamp) -> Iterator[Reading | ReadFault]:
        """The answers that are kept, the oldest first, without those of which nobody knows when they came."""
        for answer, doubted in self._kept():
            at = stamp_of(answer)
            if now.boot and at.boot == now.boot:
                yield _stamped(answer, msgspec.structs.replace(at, utc_us=now.utc_us - now.boot_us + at.boot_us))
            elif not doubted:
                yield answer

    def timeless(self, now: Stamp) -> set[CapRef]:
        """The caps that cooled by answers of another boot, whose clock was wrong: nobody knows when that was."""
        return {
            CapRef(answer.unit, cap.cap)
            for answer, doubted in self._kept()
            if doubted and isinstance(answer, Reading) and not (now.boot and answer.observed_at.boot == now.boot)
            for cap in answer.caps
            if cap.run_state in (RunState.RUNNING, RunState.READY)
        }

    def _kept(self) -> Iterator[tuple[Reading | ReadFault, bool]]:
        for file in (self._older, self._answers):
            for each in _read(file, _Answer):
                answer = each.fault if each.reading is None else each.reading
                if answer is not None:
                    yield answer, each.doubted

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """The messages that are kept, in the order of their arrival. Raises LedgerLocked."""
        ring = read_ring(self._key_file)
        for each in _read(self._messages, _Message):
            key = ring.find(each.key)
            if each.key and key is None:
                raise LedgerLocked(f"{self._messages} {ring.lacking(each.key)}")
            try:
                yield each.topic, codec_with(key, _CONTEXT).open(each.payload, _CONTEXT, each.topic)
            except LedgerDamaged as error:
                _log.error("a kept message was altered, and is left out", extra={"reason": str(error)})

    def clear(self) -> None:
        """Delete it: everything is in the ledger."""
        for file in (self._older, self._answers, self._messages):
            file.unlink(missing_ok=True)


def _stamped(answer: Reading | ReadFault, at: Stamp) -> Reading | ReadFault:
    if isinstance(answer, Reading):
        return msgspec.structs.replace(answer, observed_at=at)
    return msgspec.structs.replace(answer, at=at)


def _append(path: Path, lines: Sequence[msgspec.Struct]) -> None:
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0) as file:
        size_bytes = file.seek(0, os.SEEK_END)
        content = b"".join(msgspec.json.encode(each) + b"\n" for each in lines)
        try:
            written = file.write(content)
            if written != len(content):
                raise OSError(f"{path} took {written} of {len(content)} bytes")
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size_bytes)
            raise


def _read(path: Path, of: type[T]) -> Iterator[T]:
    """The whole lines; a power failure may leave a part of the last."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                with suppress(msgspec.MsgspecError):
                    yield msgspec.json.decode(line, type=of)
