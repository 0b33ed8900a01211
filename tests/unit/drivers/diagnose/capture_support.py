"""Captures written by hand: bytes from documents, times chosen here."""

from pathlib import Path

from drivers.diagnose.capture import Capture, Chunk, Direction, Header, line_of
from drivers.dialects.registry import DialectName

TX, RX = Direction.TX, Direction.RX
Piece = tuple[float, Direction, bytes]


def capture(
    dialect: DialectName, *pieces: Piece, profile: str | None = None, listened: bool = False, unit_id: int | None = None
) -> Capture:
    """A capture of those pieces."""
    header = Header(
        line="/dev/ttyUSB0",
        dialect=dialect,
        profile=profile,
        unit_id=unit_id,
        settings="9600 8N1",
        listened=listened,
        started_at="2026-11-24T10:00:00.000Z",
    )
    return Capture(header, tuple(Chunk(t_s, direction, data.hex()) for t_s, direction, data in pieces))


def saved(kept: Capture, path: Path) -> Path:
    """The capture as a file."""
    path.write_bytes(b"".join(map(line_of, (kept.header, *kept.chunks))))
    return path
