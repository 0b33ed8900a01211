"""Ledger files that are set aside beside the one in use, by name: whole, and for what reason.

The next start begins a new epoch with what the last of them proves, where there is no ledger (opening.py).
"""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path


class Aside(StrEnum):
    """Why a file was set aside; the value ends its name."""

    DAMAGED = ""
    BEHIND = "-behind"  # it lost its last entries
    LATER = "-later"  # it is a later version's, and this version took over from it
    RESTORED = "-restored"  # it is a copy, and a new ledger was begun from it


def name_aside(path: Path, at_us: int, why: Aside) -> Path:
    """The name by which the ledger at `path` is to be set aside at that instant; no file has it yet."""
    stamp = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}{why.value}")
    return (
        aside.with_name(f"{path.name}.damaged-{stamp}-{secrets.token_hex(2)}{why.value}") if aside.exists() else aside
    )


def why_of(name: str) -> Aside:
    """The reason that a file's name tells."""
    return next((why for why in Aside if why.value and name.endswith(why.value)), Aside.DAMAGED)


def copies_beside(path: Path) -> list[Path]:
    """The files with an older state of the ledger at `path`: of before a migration or set aside, and their logs."""
    return sorted(copy for kind in ("before-*", "damaged-*") for copy in path.parent.glob(f"{path.name}.{kind}"))


def set_aside_before(path: Path) -> Path | None:
    """The ledger file that was set aside last from `path`."""
    found = {each.name.removesuffix("-wal").removesuffix("-shm") for each in path.parent.glob(f"{path.name}.damaged-*")}
    return path.with_name(max(found)) if found else None
