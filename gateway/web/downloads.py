"""Files that somebody takes from the page: the last capture of a line, the diagnose archive."""

import asyncio
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.describe.packing import Packing
from gateway.polling.captures import capture_file

_LINE = re.compile(r"[a-z0-9-]{1,32}")


class Downloads:
    """Serves captures from the state directory, each bounded by who writes it, and archives of this configuration."""

    def __init__(self, state_dir: Path, config_file: Path) -> None:
        self._state_dir = state_dir
        self._packing = Packing(config_file)

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
        if self._packing.busy:
            return PlainTextResponse("an archive is being made; try again in a minute\n", 503)
        packed = await self._packing.packed()
        if not packed:
            return PlainTextResponse("no archive can be made; capgate diagnose says why\n", 500)
        return _file(packed, "application/zip", "capgate-diagnose.zip")


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


def _not_there() -> Response:
    return PlainTextResponse("no such file\n", 404)
