"""The brokers of the tests: mosquitto as a process, and the simulated broker in a thread."""

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from socketserver import TCPServer
from typing import Self

from simulators.broker.broker import Broker

MOSQUITTO = Path("/usr/sbin/mosquitto")
HANGS_S = 50.0  # time-out of every wait


def free_port() -> int:
    """A TCP port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def in_a_thread(server: TCPServer) -> Generator[int]:
    """Run a server of the standard library's kind in a thread of its own; yields its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = HANGS_S) -> None:
    """Poll `condition` in a test without an event loop. Fails with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.005)


class Mosquitto:
    """A mosquitto with a directory of its own; `kill` is SIGKILL, `start` again keeps port and directory."""

    def __init__(self, directory: Path, extra: Iterable[str] = (), anonymous: bool = True) -> None:
        self.port = free_port()
        self.directory = directory
        lines = [
            *(["user root"] if os.geteuid() == 0 else []),  # else it switches to a user that may not write here
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if anonymous else 'false'}",
            "persistence true",
            f"persistence_location {directory}/",
            *extra,
        ]
        self._config = directory / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Run it and wait until it accepts connections."""
        with (self.directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([MOSQUITTO, "-c", self._config], stdout=log, stderr=log)
        wait_until(self._accepts, f"mosquitto listens on {self.port}")

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reload(self) -> None:
        """SIGHUP: read access lists again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, after a pause."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _accepts(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError((self.directory / "mosquitto.log").read_text())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class BrokerThread:
    """The simulated broker with its event loop in a thread, for blocking clients."""

    def __init__(self) -> None:
        self.broker = Broker()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.broker.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.broker.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.broker.port

    def do(self, action: Callable[[], object]) -> None:
        """Run `action` in the broker's event loop."""

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = HANGS_S) -> None:
    """`wait_until` for tests in an event loop."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


@asynccontextmanager
async def only_3_1_1(port: int) -> AsyncGenerator[int]:
    """A proxy port before the broker at `port` that refuses MQTT 5 as a 3.1.1 broker does: return code 1."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        level = hello[hello.index(b"\x00\x04MQTT") + 6]
        if level != 4:
            writer.write(bytes.fromhex("20020001"))
            writer.close()
            return
        upstream, up = await asyncio.open_connection("127.0.0.1", port)
        up.write(hello)
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, up))
            group.create_task(_copy(upstream, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()
