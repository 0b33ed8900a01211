"""Requests to the page's application in the test's own process, without a server and a socket between them."""

from typing import Any, cast
from urllib.parse import unquote

from gateway.runtime.http import Application, Message
from tests.unit.gateway.web.page_client import Answered


async def called(
    app: Application,
    method: str,
    target: str,
    body: bytes | None = None,
    *,
    client: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> Answered:
    """What the application answers to one request, which is told to it as uvicorn would; `headers` replace its own."""
    sent = {"host": "localhost"}
    if body is not None:
        sent |= {"content-length": str(len(body)), "origin": "http://localhost"}
    sent |= headers or {}
    path, _, query = target.partition("?")
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 9480),
    }
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    await app(scope, receive, send)
    start, *parts = answer
    pairs = cast("list[tuple[bytes, bytes]]", start["headers"])
    text = b"".join(cast("dict[str, Any]", each).get("body", b"") for each in parts).decode("utf-8", "replace")
    return Answered(start["status"], {name.decode().lower(): value.decode() for name, value in pairs}, text)
