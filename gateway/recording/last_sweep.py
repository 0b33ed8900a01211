"""When retention last swept, in a file of the state directory: a clock far beyond that may have been set ahead.

By the ledger's entries it cannot be told, for a wrong clock stamps those as well.
"""

import logging
from pathlib import Path

import msgspec

from gateway.runtime.clock import US_PER_S
from gateway.runtime.replace import replace_file

_log = logging.getLogger("capgate.retention")

LAST_SWEEP_FILE = "last-sweep.json"
LONGEST_GAP_DAYS = 31
_DAY_US = 86_400 * US_PER_S


class _Content(msgspec.Struct, frozen=True):
    swept_us: int


class LastSweep:
    """The instant of the last sweep, which a clock that was set back does not move."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LAST_SWEEP_FILE

    def days_since(self, now_us: int) -> int | None:
        """Whole days since the last sweep, if more than LONGEST_GAP_DAYS; None as well if there was none. Blocks."""
        swept_us = self._swept_us()
        days = 0 if swept_us is None else (now_us - swept_us) // _DAY_US
        return days if days > LONGEST_GAP_DAYS else None

    def note(self, now_us: int) -> None:
        """Keep that a sweep began. Blocks."""
        swept_us = max(now_us, self._swept_us() or 0)
        try:
            replace_file(self._path, msgspec.json.encode(_Content(swept_us)))
        except OSError as error:
            _log.error("the sweep is not noted", extra={"reason": str(error)})

    def _swept_us(self) -> int | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Content).swept_us
        except (OSError, msgspec.MsgspecError):
            return None
