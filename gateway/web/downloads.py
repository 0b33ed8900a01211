"""Files that somebody takes from the page: the last capture of a line."""

import asyncio
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.polling.captures import capture_file

_LINE = re.compile(r"[a-z0-9-]{1,32}")


class Downloads:
    """Serves files from the state directory; each is bounded by whoever writes it."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

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


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


def _not_there() -> Response:
    return PlainTextResponse("no such file\n", 404)
