"""The capture file of raw traffic on a line: JSON lines, the first of which is the header.

    {"capgate_capture": 1, "line": "/dev/ttyUSB0", "dialect": "julabo", "profile": "julabo-cf", "unit_id": null,
     "settings": "4800 7E1", "listened": false, "started_at": "2026-11-24T10:00:00.000Z"}
    {"t_s": 0.512, "direction": "tx", "hex": "494e5f50565f30300d"}
    {"t_s": 0.598, "direction": "rx", "hex": "2d342e32300d0a"}

`t_s` counts from the start; `tx` are bytes written, `rx` bytes received, in the chunks in which they arrived. With
`listened` all traffic is `rx`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from drivers.dialects.registry import DialectName
from drivers.direction import Direction

FORMAT = 1
Hex = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-fA-F]{2})+$")]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the traffic was recorded. `dialect` and `profile` are None if they were not known."""

    capgate_capture: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    line: str
    dialect: DialectName | None
    profile: str | None
    unit_id: int | None
    settings: str | None  # None: not a serial port
    listened: bool
    started_at: str  # RFC 3339


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of one read or write."""

    t_s: Annotated[float, msgspec.Meta(ge=0)]
    direction: Direction
    hex: Hex

    @property
    def data(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self.hex)


class Capture(msgspec.Struct, frozen=True):
    """The content of a capture file."""

    header: Header
    chunks: tuple[Chunk, ...]


class NotACapture(Exception):
    """The file is not a capture; the text names file, line and what is accepted."""


def line_of(entry: Header | Chunk) -> bytes:
    """The entry as one line of the file."""
    return msgspec.json.encode(entry) + b"\n"


def load_capture(path: Path) -> Capture:
    """The capture in a file; a last line that was cut off is left out. Raises NotACapture, and OSError."""
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
        whole = len(lines)
    else:
        whole = len(lines) - 1  # an incomplete last line is ignored
    if not lines:
        raise NotACapture(f"{path}: empty, accepted: what capgate capture writes")
    header = _decoded(path, 1, lines[0], Header)
    return Capture(header, tuple(_chunks(path, lines[1 : max(whole, 1)])))


def _chunks(path: Path, lines: list[bytes]) -> Iterator[Chunk]:
    before_s = 0.0
    for number, line in enumerate(lines, start=2):
        chunk = _decoded(path, number, line, Chunk)
        if chunk.t_s < before_s:
            raise NotACapture(f"{path}:{number}: t_s is {chunk.t_s:g}, accepted: no time before {before_s:g}")
        before_s = chunk.t_s
        yield chunk


E = TypeVar("E", Header, Chunk)


def _decoded(path: Path, number: int, line: bytes, kind: type[E]) -> E:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise NotACapture(f"{path}:{number}: {error}, accepted: what capgate capture writes") from error
