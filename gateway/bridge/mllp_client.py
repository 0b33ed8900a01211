"""The connection to the engine's MLLP listener: one message outstanding, and its acknowledgement matched by id."""

import asyncio
import ssl
from collections import deque

from gateway.bridge.config import Target
from gateway.bridge.mllp import Deframer, Frame, Oversized, frame
from gateway.bridge.mllp_server import keep_alive
from gateway.bridge.notices import Happening, Notices
from gateway.messages.hl7v2 import Er7Error, parse
from gateway.messages.inbound.acks import read_ack
from gateway.messages.inbound.answers import Receipt
from gateway.mqtt.types import BadTls, TlsFiles

READ_BYTES = 65_536
CONNECT_S = 10.0
LARGEST_ACK = 65_536


class AckTimeout(Exception):
    """No acknowledgement came. `connected`: the engine was reached, but closed, stalled or sent other data."""

    def __init__(self, detail: str, *, connected: bool) -> None:
        super().__init__(detail)
        self.connected = connected


class Acknowledged:
    """The engine's acknowledgement: its bytes, and the receipt parsed from them."""

    def __init__(self, payload: bytes, receipt: Receipt) -> None:
        self.payload = payload
        self.receipt = receipt


class MllpClient:
    """An MLLP client: connects on demand, and aborts the connection after any protocol error."""

    def __init__(self, target: Target, notices: Notices) -> None:
        self._target = target
        self._notices = notices
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._deframer = Deframer(LARGEST_ACK)
        self._came: deque[Frame] = deque()
        self._came_instead = ""  # what was received instead of the acknowledgement

    async def exchange(self, message: bytes, control_id: str) -> Acknowledged:
        """Send a message, and wait for the acknowledgement with its `control_id` in MSA-2. Raises AckTimeout."""
        if not self._target.keep_connection:
            await self.close()
        is_fresh = self._writer is None
        try:
            return await self._exchange(message, control_id)
        except AckTimeout as timeout:
            if is_fresh or not timeout.connected:
                raise
        return await self._exchange(message, control_id)  # an engine may have closed an idle connection

    async def close(self) -> None:
        """Abort the connection, if there is one."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
        self._came.clear()
        self._deframer = Deframer(LARGEST_ACK)

    async def _exchange(self, message: bytes, control_id: str) -> Acknowledged:
        reader, writer = await self._open()
        self._came_instead = ""
        try:
            async with asyncio.timeout(self._target.ack_timeout_s):
                writer.write(frame(message))
                await writer.drain()
                return await self._acknowledgement(reader, control_id)
        except TimeoutError:
            detail = f"no acknowledgement within {self._target.ack_timeout_s:g} s"
        except (OSError, EOFError) as error:
            detail = str(error) or type(error).__name__
        except asyncio.CancelledError:
            await self.close()  # else its acknowledgement would be read as the next message's
            raise
        if not self._came_instead and self._deframer.is_within:
            self._came_instead = "an answer came that was not ended"
        elif not self._came_instead and self._deframer.dropped:
            self._came_instead = "bytes came outside any MLLP frame"
        await self.close()
        raise AckTimeout(f"{detail}; {self._came_instead}" if self._came_instead else detail, connected=True)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._writer is not None:
            return self._reader, self._writer
        target = self._target
        try:
            tls = None if target.tls is None else await asyncio.to_thread(_client_context, target.tls)
            async with asyncio.timeout(CONNECT_S):
                self._reader, self._writer = await asyncio.open_connection(target.host, target.port, ssl=tls)
        except TimeoutError:
            raise AckTimeout(f"no connection within {CONNECT_S:g} s", connected=False) from None
        except (OSError, BadTls) as error:
            raise AckTimeout(f"{type(error).__name__}: {error}", connected=False) from error
        keep_alive(self._writer.get_extra_info("socket"))
        return self._reader, self._writer

    async def _acknowledgement(self, reader: asyncio.StreamReader, control_id: str) -> Acknowledged:
        """Read until the acknowledgement of `control_id`; other frames are counted. Raises EOFError, OSError."""
        while True:
            while self._came:
                answer = _read(self._came.popleft(), control_id)
                if isinstance(answer, Acknowledged):
                    return answer
                self._came_instead = answer
                self._notices.happened(Happening.WRONG_ACKS, answer)
            data = await reader.read(READ_BYTES)
            if not data:
                raise EOFError("the engine closed the connection")
            self._came.extend(self._deframer.feed(data))


def _read(answer: Frame, control_id: str) -> Acknowledged | str:
    """The acknowledgement of `control_id`; else a text that says what the frame is, without its content."""
    if isinstance(answer, Oversized):
        return f"an answer came that is larger than {LARGEST_ACK} bytes"
    try:
        message = parse(answer, lossy=True)
    except Er7Error:
        return "an answer came that is no HL7"
    receipt = read_ack(message)
    if receipt is None:
        return "an answer came without a code and an id in MSA-1 and MSA-2"
    if receipt.for_id != control_id:
        return "an acknowledgement came whose MSA-2 is not the MSH-10 that was sent"
    return Acknowledged(answer, receipt)


def _client_context(files: TlsFiles) -> ssl.SSLContext:
    """The TLS context; files are read at every connect, so that they can be renewed. Raises BadTls."""
    try:
        context = ssl.create_default_context(cafile=str(files.ca))
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise BadTls(f"TLS files: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
