"""The control socket: request/response over a unix stream socket, one JSON object a line each way.

Theory of operation. The gateway is the ledger's only writer, so commands ask it to record what a person did. The socket
lies in the state directory, and only the gateway's user and root can open it. The number of clients, the length of a
line and the time for one are limited, so that a client cannot slow the gateway. The acting person is the one whom the
request names; the user at the other end, by the kernel's word, is recorded beside it.
"""

import asyncio
import logging
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from gateway.control.answers import RefusalAnswer
from gateway.control.peer import peer_of
from gateway.ledger.access import Actor
from gateway.runtime.set_aside import set_aside

_log = logging.getLogger("capgate.control")

SOCKET_FILE = "control.sock"
MAX_LINE_BYTES = 8192
MAX_CLIENTS = 4
IDLE_S = 30.0  # time-out for a client's next line
WRITE_S = 5.0  # time-out for a client to read an answer

Answer = Callable[[bytes, Actor], Awaitable[bytes]]


class SocketRefused(Exception):
    """The socket cannot be opened; the text says what to mend."""


async def serve_control(directory: Path, answer: Answer, opened: asyncio.Event) -> None:
    """Serve `answer(line, user)` on the socket in `directory` until cancelled. Raises what `answer` raises.

    A socket that cannot be opened is logged and no more: recording goes on without commands. `opened` is set in either
    case.
    """
    path = directory / SOCKET_FILE
    try:
        listening = listen(path)
    except SocketRefused as refused:
        _log.error("no control socket", extra={"reason": str(refused)})
        opened.set()
        return
    try:
        async with asyncio.TaskGroup() as group:
            clients = _Clients(group, answer)
            server = await asyncio.start_unix_server(clients.accept, sock=listening, limit=MAX_LINE_BYTES)
            opened.set()
            try:
                await asyncio.get_running_loop().create_future()  # ends with the task
            finally:
                server.close()
    finally:
        path.unlink(missing_ok=True)
        listening.close()


def listen(path: Path) -> socket.socket:
    """A socket bound to `path` with mode 0600; one that nobody listens on is replaced, anything else set aside.

    Raises SocketRefused.
    """
    try:
        if path.parent.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise SocketRefused(f"{path.parent} can be written by others; chmod go-w mends that")
        _remove_stale(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(str(path))
            path.chmod(0o600)  # before it listens, nobody can connect
        except OSError:
            bound.close()
            raise
    except OSError as error:  # also when the path is too long for a unix socket
        raise SocketRefused(f"{path}: {error}") from error
    return bound


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        set_aside(path, "it is in the way and no socket")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # another process listens, and is busy
    raise SocketRefused(f"{path} is served by another process")


class _Clients:
    """The connections, each a task of `group`."""

    def __init__(self, group: asyncio.TaskGroup, answer: Answer) -> None:
        self._group = group
        self._answer = answer
        self._count = 0

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; refuse it if MAX_CLIENTS are connected."""
        if self._count >= MAX_CLIENTS:
            writer.write(_refusal("too many clients", f"{MAX_CLIENTS} at a time; try again"))
            writer.close()
            return
        self._count += 1
        self._group.create_task(self._serve(reader, writer)).add_done_callback(self._gone)

    def _gone(self, _: asyncio.Task[None]) -> None:
        self._count -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user = await asyncio.to_thread(peer_of, writer.get_extra_info("socket"))
        try:
            while True:  # ends when the client disconnects or exceeds a time-out
                line = await _line(reader)
                if line is None:
                    await _send(writer, _refusal("the line is too long", f"up to {MAX_LINE_BYTES} bytes"))
                    return
                await _send(writer, await self._answer(line, user) + b"\n")
        except (OSError, TimeoutError, EOFError):
            pass  # the client disconnected or exceeded a time-out
        finally:
            writer.transport.abort()


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """The next line; None if it is longer than MAX_LINE_BYTES. Raises EOFError, TimeoutError, OSError."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return None


async def _send(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    async with asyncio.timeout(WRITE_S):
        await writer.drain()


def _refusal(error: str, accepted: str) -> bytes:
    return msgspec.json.encode(RefusalAnswer(error=error, accepted=accepted)) + b"\n"
