"""Our MLLP listener: each message of the engine is published, and acknowledged once the broker has it."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from gateway.bridge.config import AckCode, MllpListen
from gateway.bridge.mllp import Deframer, FrameTooLarge, frame
from gateway.messages.hl7v2 import Er7Error, Segment, parse, read_header
from gateway.messages.inbound.acks import ACCEPTED, Acknowledgement, Condition, build_ack, control_id
from gateway.runtime.clock import US_PER_S, Clock

_log = logging.getLogger("capgate.bridge")

READ_BYTES = 65_536
MAX_CONNECTIONS = 16
LARGEST_MESSAGE = 65_536  # what the broker and the gateway take
WRITE_S = 10.0

Publish = Callable[[bytes], Awaitable[str]]  # "" once the broker has it, otherwise why it has not


class MllpServer:
    """Serves the engine's connections; every one of them is a task of `group`."""

    def __init__(self, config: MllpListen, publish: Publish, clock: Clock, group: asyncio.TaskGroup) -> None:
        self.port = config.port
        self._config = config
        self._publish = publish
        self._clock = clock
        self._group = group
        self._count = 0
        self._serial = 0

    async def open(self) -> asyncio.Server:
        """Listen. Raises OSError, also for TLS files that cannot be used."""
        tls = await asyncio.to_thread(_server_context, self._config)
        server = await asyncio.start_server(self._accept, self._config.host, self._config.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._count >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._count += 1
        self._group.create_task(self._serve(reader, writer)).add_done_callback(self._gone)

    def _gone(self, _: asyncio.Task[None]) -> None:
        self._count -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deframer = Deframer(LARGEST_MESSAGE)
        try:
            while data := await reader.read(READ_BYTES):
                for payload in deframer.feed(data):
                    answer = await self._take(payload)
                    if answer is not None:
                        writer.write(frame(answer))
                        async with asyncio.timeout(WRITE_S):
                            await writer.drain()
        except (OSError, TimeoutError) as error:
            _log.info("the engine's connection ended", extra={"cause": type(error).__name__})
        except FrameTooLarge as error:
            _log.error("the engine sends no HL7", extra={"cause": str(error)})
        finally:
            writer.transport.abort() if deframer.dropped else writer.close()

    async def _take(self, payload: bytes) -> bytes | None:
        """Publish one message; the acknowledgement of it. An acknowledgement is not acknowledged."""
        header = _NAMELESS
        try:
            header = read_header(payload)
            message = parse(payload, lossy=header.get(9).upper() == "ACK")
        except Er7Error as error:
            return self._answer(header, Acknowledgement("AR", str(error), Condition.DATA_TYPE, "not-hl7"))
        trouble = await self._publish(payload)
        if message.first("MSA").fields:
            if trouble:
                _log.error("an acknowledgement was lost", extra={"cause": trouble})
            return None
        if not trouble:
            return self._answer(header, Acknowledgement(self._config.ack))
        refusal = "AE" if self._config.ack is AckCode.AA else "CE"
        return self._answer(header, Acknowledgement(refusal, trouble, Condition.PASSING))

    def _answer(self, header: Segment, answer: Acknowledgement) -> bytes:
        if answer.code not in ACCEPTED:
            notes = {"id": control_id(header), "cause": answer.text}
            _log.warning("a message of the engine was not taken", extra=notes)
        self._serial += 1
        now_us = self._clock.now().utc_us
        at = datetime.fromtimestamp(now_us / US_PER_S, UTC).strftime("%Y%m%d%H%M%S+0000")
        return build_ack(header, answer, f"CB{now_us // 1000 % 10**13:013d}{self._serial % 1000:03d}", at)


_NAMELESS = read_header(b"MSH|^~\\&|")


def _server_context(listen: MllpListen) -> ssl.SSLContext | None:
    if listen.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listen.certificate, listen.key)
    if listen.ca is not None:
        context.load_verify_locations(listen.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
