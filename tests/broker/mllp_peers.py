"""Third-party MLLP peers: python-hl7, hl7apy (which disconnects after each message), and three of npm."""

import asyncio
import importlib
import json
import ssl
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

from tests.broker.harness import HANGS_S, free_port, in_a_thread, wait_until

NODE = Path(__file__).parents[1] / "node"
Mllp = Any  # a stream of an untyped library
_streams = cast(Any, importlib.import_module("hl7.mllp"))
_client = cast(Any, importlib.import_module("hl7.client"))
_hl7apy = cast(Any, importlib.import_module("hl7apy.mllp"))


class EngineLog:
    """The messages that an engine received, and the code with which it answers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.code = "AA"

    @property
    def ids(self) -> list[str]:
        """The control ids, in the order of arrival."""
        return [message.split("|")[9] for message in self.messages]


@asynccontextmanager
async def engine(heard: EngineLog, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """python-hl7's server on a free port, which keeps connections open; yields the port."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: Mllp, writer: Mllp) -> None:
        task = asyncio.current_task()
        connections.add(cast(asyncio.Task[None], task))
        try:
            while True:
                message = await reader.readmessage()
                heard.messages.append(str(message))
                writer.writemessage(message.create_ack(heard.code))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await _streams.start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8", ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in connections:
            each.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@contextmanager
def single_message_engine(heard: EngineLog) -> Generator[int]:
    """hl7apy's server on a free port, with one message for each connection; yields the port."""

    class Handler:
        def __init__(self, message: str) -> None:
            heard.messages.append(message)
            self._id = message.split("|")[9]

        def reply(self) -> str:
            text = f"MSH|^~\\&|EHR|H|CAPGATE|S|20260310||ACK^P03^ACK|E{self._id}|T|2.5.1\rMSA|{heard.code}|{self._id}\r"
            return f"\x0b{text}\x1c\r"

    server = _hl7apy.MLLPServer("127.0.0.1", 0, {"DFT^P03^DFT_P03": (Handler,)})
    with in_a_thread(server) as port:
        yield port


def send(port: int, message: bytes, segment: str = "MSA") -> str:
    """Send `message` with python-hl7's client; returns the `segment` of the acknowledgement."""
    with _client.MLLPClient("127.0.0.1", port) as client:
        answer = cast(bytes, client.send_message(message)).decode()
    return next(line for line in answer.strip("\x0b\x1c\r").split("\r") if line.startswith(segment))


@asynccontextmanager
async def scripted_engine(answer: Callable[[bytes], bytes | None]) -> AsyncGenerator[int]:
    """An engine that calls `answer` for each packet: bytes to write, or None to disconnect; yields the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                reply = answer(data)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def node_engine(package: str) -> Generator[tuple[int, Callable[[], list[str]]]]:
    """An npm server on a free port; yields the port, and a function for the control ids received so far."""
    port = free_port()
    program = subprocess.Popen(
        ["node", NODE / "mllp_engine.mjs", package, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines: list[str] = []
    assert program.stdout is not None
    output = program.stdout
    reader = threading.Thread(target=lambda: [lines.append(line.strip()) for line in output])
    with program:
        reader.start()
        wait_until(lambda: "ready" in lines, f"{package} listens")
        yield port, lambda: [line for line in lines if line != "ready"]
        program.kill()
        reader.join()


def node_send(package: str, port: int, message: bytes) -> dict[str, str]:
    """Send `message` with an npm client; returns {"code": MSA-1, "for": MSA-2} of the acknowledgement."""
    run = subprocess.run(
        ["node", NODE / "mllp_sender.mjs", package, str(port)],
        input=message,
        capture_output=True,
        timeout=HANGS_S,
        check=True,
    )
    return json.loads(run.stdout)
