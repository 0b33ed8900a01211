"""Renames what is damaged or in the way in the state directory, so that the gateway goes on and nothing is deleted."""

import logging
from collections.abc import Sequence
from itertools import count
from pathlib import Path

_log = logging.getLogger("capgate")

_SUFFIX = ".set-aside-"


def set_aside(path: Path, why: str, companions: Sequence[str] = ()) -> None:
    """Rename `path`, whatever it is, and with it the files whose names only add one of `companions`. Raises OSError."""
    aside = next(each for number in count(1) if not (each := path.with_name(f"{path.name}{_SUFFIX}{number}")).exists())
    for companion in companions:
        beside = path.with_name(path.name + companion)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + companion))
    path.rename(aside)
    _log.error("set aside", extra={"file": path.name, "as": aside.name, "reason": why})


def lying_aside(directory: Path) -> tuple[str, ...]:
    """The names of what was set aside in `directory` and is still there. Raises OSError."""
    return tuple(sorted(each.name for each in directory.glob(f"*{_SUFFIX}*")))
