"""What has to be kept up over months: room for the ledger, certificates, cables. Looked up each minute, in a thread."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.x509 import load_pem_x509_certificates

from gateway.monitoring.error_history import ErrorHistory
from gateway.monitoring.line_health import LinesReport

PERIOD_S = 60.0


class UpkeepState(msgspec.Struct, frozen=True):
    """The state as last looked up; what cannot be read is not there."""

    ledger_bytes: int | None = None  # with its write-ahead log
    expires_s: Mapping[str, float] = {}  # by what the certificate is for, Unix time: the first in its file to expire
    lines: LinesReport | None = None


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
        expires_s: dict[str, float] = {}
        for name, file in self._certificates.items():
            with suppress(OSError, ValueError):
                found = load_pem_x509_certificates(file.read_bytes())
                expires_s[name] = min(each.not_valid_after_utc.timestamp() for each in found)
        return UpkeepState(self._ledger_bytes(), expires_s, self._errors.report())

    def _ledger_bytes(self) -> int | None:
        size: int | None = None
        for file in (self._ledger, self._ledger.with_name(f"{self._ledger.name}-wal")):
            with suppress(OSError):
                size = (size or 0) + file.stat().st_size
        return size
