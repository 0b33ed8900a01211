"""A raw HTTP client of the page: what a browser would never send must be sent too."""

import asyncio
from typing import NamedTuple, Protocol


class Listening(Protocol):
    """A server."""

    @property
    def address(self) -> tuple[str, int]: ...


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


async def ask(server: Listening, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
    """One request on a connection of its own; `host` and others replace what is sent otherwise."""
    sent = {"host": "localhost", "connection": "close"}
    if body is not None:
        sent |= {"content-length": str(len(body)), "origin": f"http://{headers.get('host', 'localhost')}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b""))
    answer = await reader.read()
    writer.transport.abort()
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Answered(int(first.split()[1]), found, rest.decode())
