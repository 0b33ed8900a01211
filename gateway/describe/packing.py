"""Makes the diagnose archive in a process of its own, at low priority and one at a time: a ledger is verified for it.

No poll waits for that. Both processes have to fit into the memory that the service may take.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("capgate")

TIMEOUT_S = 120.0


class Packing:
    """Archives of the gateway of this configuration file."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._making = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether an archive is being made."""
        return self._making.locked()

    async def packed(self) -> bytes:
        """What `capgate diagnose` writes; nothing if it fails or takes too long."""
        async with self._making:
            return await self._packed()

    async def _packed(self) -> bytes:
        command = (sys.executable, "-P", "-m", "gateway", "diagnose", "--config", self._config_file, "--out", "-")
        quiet, out = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=out, stderr=quiet)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                made, _ = await process.communicate()
        except TimeoutError:
            _log.error("an archive takes too long", extra={"timeout_s": TIMEOUT_S})
            return b""
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # closes its pipe
        return made if process.returncode == 0 else b""
