"""Starts peers (third-party programs) as child processes on free ports. A missing one fails its test."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.bus.recorder import recorded_capgate

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin"
CAPGATE = recorded_capgate()
PATIENCE_S = 50  # time-out for a peer, on a busy machine


class Point(msgspec.Struct, forbid_unknown_fields=True):
    """A point as `capgate probe` prints it."""

    name: str
    cap: int | None
    raw: int | str | None
    value: float | str | bool | None
    unit: str
    quality: str
    reason: str | None


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """A fault as `capgate probe` prints it."""

    kind: str
    detail: str
    hint: str


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What `capgate probe --json` prints; anything more or less fails the test."""

    profile: str
    line: str
    unit_id: int | None
    identity: dict[str, str | bool | None]
    run_state: str
    alarms: list[str]
    points: list[Point]
    faults: list[Fault]
    findings: dict[str, dict[str, str | None]]
    next: str | None
    likely: list[str]

    def value(self, name: str, cap: int | None = None) -> float | str | bool | None:
        """The value of a point."""
        return next(point.value for point in self.points if (point.name, point.cap) == (name, cap))

    @property
    def fault_kinds(self) -> list[str]:
        """The kinds of the faults."""
        return [fault.kind for fault in self.faults]


def free_port() -> int:
    """A loopback port that is not in use."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def program(name: str) -> str:
    """The path of a peer's program: from the peers' environment, else from the system. Fails the test without it."""
    search = os.pathsep.join([str(PEERS), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=search)
    if found is None:
        pytest.fail(f"the peer {name} is not installed: run `make test`, which installs it")
    return found


@contextlib.asynccontextmanager
async def running(*command: str, cwd: Path | None = None) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a peer while the context lasts."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def announced(*command: str) -> AsyncGenerator[None]:
    """Run a peer while the context lasts; enters when the peer has printed its first line."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    if process.stdout is None or process.stderr is None:
        raise AssertionError("it has pipes")
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = await process.stdout.readline()
        assert said == b"ready\n", (await process.stderr.read()).decode()
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def pty_pair(near: Path, far: Path) -> AsyncGenerator[None]:
    """Run socat between two pseudo-terminals, as a null modem."""
    async with running(program("socat"), *(f"pty,link={end},raw,echo=0" for end in (near, far))):
        await appears(near)
        await appears(far)
        yield


async def listening(port: int) -> None:
    """Wait until something accepts on the port."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def appears(path: Path) -> None:
    """Wait until the path exists."""
    async with asyncio.timeout(PATIENCE_S):
        while not path.exists():  # noqa: ASYNC240  (its creator gives no notice)
            await asyncio.sleep(0.02)


async def probe(*arguments: str) -> tuple[int, Answer]:
    """`capgate probe ... --json` as the installed command: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        str(CAPGATE), "probe", *arguments, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        output, complaints = await process.communicate()
    assert process.returncode in (0, 1), complaints.decode()
    return process.returncode, msgspec.json.decode(output, type=Answer)


async def probe_once_up(*arguments: str) -> tuple[int, Answer]:
    """Probe until the line can be opened, for servers that accept only one connection."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            code, answer = await probe(*arguments)
            if answer.fault_kinds != ["line-down"]:
                return code, answer


def settings(**values: str | int) -> list[str]:
    """`--set` for each line setting."""
    return [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]


def pty_settings() -> Sequence[str]:
    """Overrides of the line settings that a pseudo-terminal lacks: parity, 7-bit characters, modem lines."""
    return settings(bits=8, parity="none", handshake="none")
