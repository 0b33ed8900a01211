"""The control socket: valid and invalid requests, and that no client can block the gateway."""

import asyncio
import json
import os
import socket
import stat
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.control import socket as control_socket
from gateway.control.peer import user
from gateway.control.requests import RequestRefused, read_request
from gateway.control.socket import MAX_CLIENTS, MAX_LINE_BYTES, SocketRefused, listen, serve_control
from gateway.ledger.access import Actor

# --- lines that are no request


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        (b"", "one JSON object a line"),
        (b"\xff\xfe\x00", "one JSON object a line"),
        (b"[" * 5000, "one JSON object a line"),
        (b"[]", "one JSON object a line"),
        (b"{}", "status, sessions, session, worklist, why, feed, confirm-clock, reload, swap"),
        (b'{"request": "drop"}', "status, sessions, session, worklist, why, feed, confirm-clock, reload, swap"),
        (b'{"request": "tell"}', "finalise"),
        (b'{"request": "tell", "act": "emit"}', "finalise"),
        (b'{"request": "status", "all": true}', "no further field"),
        (b'{"request": "session", "token": ""}', "a session's token, a visit's number"),
        (b'{"request": "sessions", "identify": "yes"}', "true or false"),
    ],
)
def test_a_line_that_is_no_request_is_refused_with_what_is(line: bytes, accepted: str) -> None:
    with pytest.raises(RequestRefused) as refusal:
        read_request(line)
    assert accepted in refusal.value.accepted


# --- the socket

NOBODY_LOGGED_IN = 2**32 - 1

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(line: bytes, by: Actor) -> bytes:
    return line.strip() + b" by " + by.login.encode()


@asynccontextmanager
async def serving(
    folder: Path, answer: Callable[[bytes, Actor], Awaitable[bytes]] = echo
) -> AsyncGenerator[Callable[[], Awaitable[Connection]]]:
    """Serve a control socket; yields a function that connects to it."""
    path = folder / control_socket.SOCKET_FILE
    task = asyncio.create_task(serve_control(folder, answer, asyncio.Event()))
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Connection:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(path)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0)
                continue
            writers.append(writer)
            return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.transport.abort()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert not path.exists()


@pytest.mark.parametrize(
    ("uid", "login_uid", "login"),
    [(0, None, "host:root:0"), (998, 0, "host:root:0"), (4_000_000, None, "host::4000000")],
)
def test_who_became_another_user_is_known_by_the_login(uid: int, login_uid: int | None, login: str) -> None:
    assert user(uid, login_uid) == Actor(login)


def who_i_am() -> bytes:
    logged_in = Path("/proc/self/loginuid")
    uid = int(logged_in.read_text()) if logged_in.exists() else NOBODY_LOGGED_IN
    uid = os.getuid() if uid == NOBODY_LOGGED_IN else uid
    name = subprocess.run(["id", "-un", str(uid)], check=True, capture_output=True).stdout.strip()
    return b"host:%s:%d" % (name, uid)


async def ask(connection: Connection, line: bytes) -> bytes:
    reader, writer = connection
    writer.write(line + b"\n")
    return await reader.readline()


async def test_a_line_is_answered_and_the_kernel_says_who_asked(tmp_path: Path) -> None:
    me = who_i_am()
    async with serving(tmp_path) as connect:
        first, second = await connect(), await connect()
        for n in range(3):
            assert await ask(first, b"a%d" % n) == b"a%d by %s\n" % (n, me)
            assert await ask(second, b"b%d" % n) == b"b%d by %s\n" % (n, me)


@pytest.mark.requirement("REQ-ACCESS-7")
async def test_only_the_owner_may_open_the_socket(tmp_path: Path) -> None:
    async with serving(tmp_path) as connect:
        await ask(await connect(), b"x")
        assert stat.S_IMODE((tmp_path / control_socket.SOCKET_FILE).stat().st_mode) == 0o600


async def test_one_client_too_many_is_turned_away_and_the_next_is_taken_when_one_has_gone(tmp_path: Path) -> None:
    async with serving(tmp_path) as connect:
        connections = [await connect() for _ in range(MAX_CLIENTS)]
        for connection in connections:
            await ask(connection, b"x")
        reader, _ = await connect()
        assert json.loads(await reader.readline())["error"] == "too many clients"
        connections[0][1].close()
        async with asyncio.timeout(5):
            while b"by" not in await (late := await connect())[0].read(0) + await ask(late, b"y"):
                await asyncio.sleep(0.01)


async def test_a_line_without_end_is_refused_not_collected(tmp_path: Path) -> None:
    async with serving(tmp_path) as connect:
        reader, writer = await connect()
        writer.write(b"x" * (MAX_LINE_BYTES * 4))
        assert json.loads(await reader.readline())["error"] == "the line is too long"
        assert await ask(await connect(), b"x")


async def test_a_client_that_says_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "IDLE_S", 0.02)
    async with serving(tmp_path) as connect:
        reader, writer = await connect()
        writer.write(b"half a li")
        assert await reader.read() == b""


@pytest.mark.requirement("REQ-INPUT-3")
async def test_a_client_that_never_reads_is_dropped_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "WRITE_S", 0.05)

    async def much(line: bytes, by: Actor) -> bytes:
        return b"x" * 4_000_000 if line == b"much\n" else line.strip()

    async with serving(tmp_path, much) as connect:
        deaf = socket.socket(socket.AF_UNIX)
        await ask(await connect(), b"x")
        deaf.connect(str(tmp_path / control_socket.SOCKET_FILE))
        deaf.send(b"much\n")
        other = await connect()
        async with asyncio.timeout(1):
            assert await ask(other, b"hello") == b"hello\n"
        await asyncio.sleep(0.1)
        received = 0
        while chunk := deaf.recv(1 << 20):
            received += len(chunk)
        deaf.close()
        assert received < 4_000_000, "it was dropped in the middle of the answer"


async def test_what_the_answer_raises_ends_the_serving(tmp_path: Path) -> None:
    async def broken(line: bytes, by: Actor) -> bytes:
        raise ZeroDivisionError

    task = asyncio.create_task(serve_control(tmp_path, broken, asyncio.Event()))
    while not (tmp_path / control_socket.SOCKET_FILE).exists():
        await asyncio.sleep(0)
    reader, writer = await asyncio.open_unix_connection(tmp_path / control_socket.SOCKET_FILE)
    writer.write(b"x\n")
    with pytest.raises(ExceptionGroup):
        await task
    assert await reader.read() == b""
    writer.close()


def test_the_socket_of_a_dead_gateway_is_replaced_and_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket.sock"
    dead = listen(path)
    dead.close()
    with listen(path) as live:
        live.listen()
        with pytest.raises(SocketRefused, match="another process"):
            listen(path)
        assert path.exists()


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_in_the_way_is_set_aside_and_kept(tmp_path: Path, is_folder: bool) -> None:
    for number in (1, 2):
        path = tmp_path / control_socket.SOCKET_FILE
        if is_folder:
            path.mkdir()
            (path / "what").write_text("somebody's")
        else:
            path.write_text("somebody's")
        listen(path).close()
        path.unlink()
        aside = tmp_path / f"{path.name}.set-aside-{number}"
        assert (aside / "what" if is_folder else aside).read_text() == "somebody's"


def test_a_directory_that_others_can_write_holds_no_socket(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(SocketRefused, match="chmod"):
        listen(tmp_path / "socket.sock")


async def test_a_socket_that_cannot_be_had_is_logged_and_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    opened = asyncio.Event()
    await serve_control(deep, echo, opened)
    assert opened.is_set(), "nobody waits for it"
    assert "no control socket" in caplog.text


@pytest.mark.parametrize("visit", ["chair four", "the lady in c12", "V1\u00a0V2"])
def test_free_text_is_no_visit(visit: str) -> None:
    request = {"request": "tell", "act": "bind", "place": "c12", "visit": visit, "person": "Curie", "reason": "heard"}
    with pytest.raises(RequestRefused) as refused:
        read_request(json.dumps(request).encode())
    assert refused.value.accepted == "visit: the visit's number, 1 to 64 characters without blanks"
    assert read_request(json.dumps({**request, "visit": " V1 "}).encode()), "around it they do not matter"
