"""What has to be kept up over months: room for the ledger, certificates, cables. Looked up each minute, in a thread."""

import asyncio
import errno
import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.monitoring.error_history import ErrorHistory
from gateway.monitoring.line_health import LinesReport
from gateway.runtime.certificates import SOON_S, expiries, expiry_text

PERIOD_S = 60.0
FEW_DESCRIPTORS = 64  # what the page may take at once, and the lines beside it


class UpkeepState(msgspec.Struct, frozen=True):
    """The state as last looked up; what cannot be read is not there."""

    ledger_bytes: int | None = None  # with its write-ahead log
    expires_s: Mapping[str, float] = {}  # by what the certificate is for, Unix time: the first in its file to expire
    lines: LinesReport | None = None
    descriptors_left: int | None = None  # how many more files and connections the process may open, if they are few

    def expiring(self, now_s: float) -> Mapping[str, str]:
        """The certificates that expire within SOON_S of `now_s`, Unix time, or have expired: when."""
        soon = {name: at_s for name, at_s in self.expires_s.items() if at_s - now_s < SOON_S}
        return {name: expiry_text(at_s, now_s) for name, at_s in soon.items()}


class Upkeep:
    """Looks up the files of one gateway. `certificates` are PEM files by what they are for."""

    def __init__(self, ledger: Path, errors: ErrorHistory, certificates: Mapping[str, Path]) -> None:
        self.state = UpkeepState()
        self._ledger = ledger
        self._errors = errors
        self._certificates = certificates

    async def watch(self) -> None:
        """Look each minute until cancelled."""
        while True:  # ends with the task
            self.state = await asyncio.to_thread(self.look)
            await asyncio.sleep(PERIOD_S)

    def look(self) -> UpkeepState:
        """The state as of now. Blocks."""
        expires_s, lines = expiries(self._certificates), self._errors.report()
        return UpkeepState(self._ledger_bytes(), expires_s, lines, _descriptors_left())

    def _ledger_bytes(self) -> int | None:
        size: int | None = None
        for file in (self._ledger, self._ledger.with_name(f"{self._ledger.name}-wal")):
            with suppress(OSError):
                size = (size or 0) + file.stat().st_size
        return size


def _descriptors_left() -> int | None:
    """How many more the process may open, if they are few; None as well where that cannot be told."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        left = most - len(os.listdir("/proc/self/fd"))
    except OSError as error:
        return 0 if error.errno == errno.EMFILE else None
    return left if most != resource.RLIM_INFINITY and left < FEW_DESCRIPTORS else None
