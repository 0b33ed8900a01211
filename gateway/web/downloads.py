"""Files that somebody takes from the page: the last capture of a line, the diagnose archive.

The archive is made by `capgate diagnose` in a process of its own, at low priority and one at a time: a ledger is
verified for it, and no poll waits for that. Both processes have to fit into the memory that the service may take.
"""

import asyncio
import logging
import re
import sys
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.polling.captures import capture_file

_log = logging.getLogger("capgate.web")

DIAGNOSE_TIMEOUT_S = 120.0
_LINE = re.compile(r"[a-z0-9-]{1,32}")


class Downloads:
    """Serves captures from the state directory, each bounded by who writes it, and archives of this configuration."""

    def __init__(self, state_dir: Path, config_file: Path) -> None:
        self._state_dir = state_dir
        self._config_file = config_file
        self._making = asyncio.Lock()

    async def capture(self, request: Request) -> Response:
        """The last capture of a line."""
        line = request.path_params["line"]
        if not _LINE.fullmatch(line):
            return _not_there()
        try:
            content = await asyncio.to_thread(capture_file(self._state_dir, line).read_bytes)
        except OSError:
            return _not_there()
        return _file(content, "application/jsonl", f"{line}.jsonl")

    async def diagnose(self, request: Request) -> Response:
        """What whoever looks for a fault has to know."""
        if self._making.locked():
            return PlainTextResponse("an archive is being made; try again in a minute\n", 503)
        async with self._making:
            packed = await self._packed()
        if not packed:
            return PlainTextResponse("no archive can be made; capgate diagnose says why\n", 500)
        return _file(packed, "application/zip", "capgate-diagnose.zip")

    async def _packed(self) -> bytes:
        """What the command writes; nothing if it fails or takes too long."""
        command = (sys.executable, "-P", "-m", "gateway", "diagnose", "--config", self._config_file, "--out", "-")
        quiet, out = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=out, stderr=quiet)
        try:
            async with asyncio.timeout(DIAGNOSE_TIMEOUT_S):
                packed, _ = await process.communicate()
        except TimeoutError:
            _log.error("an archive takes too long", extra={"timeout_s": DIAGNOSE_TIMEOUT_S})
            return b""
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # closes its pipe
        return packed if process.returncode == 0 else b""


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


def _not_there() -> Response:
    return PlainTextResponse("no such file\n", 404)
