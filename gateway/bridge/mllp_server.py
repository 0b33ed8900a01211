"""Our MLLP listener: connections, at most `MAX_CONNECTIONS`, their frames in order, and an answer to each.

TLS begins after the connection is ours, so that a client that is refused is counted and named. When all places are
taken, the connection that has been idle the longest gives way: engines leave connections open, and half of a broken one
stays until the network has noticed.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

from gateway.bridge.config import MllpListen
from gateway.bridge.mllp import Deframer, Frame, frame
from gateway.bridge.notices import Happening, Notices, Trouble

_log = logging.getLogger("capgate.bridge")

READ_BYTES = 65_536
MAX_CONNECTIONS = 16
LARGEST_MESSAGE = 65_024  # bytes; what a gateway takes, and a broker with a limit of 64 KiB
WRITE_S = 10.0
HANDSHAKE_S = 10.0
TLS_HELLO = b"\x16\x03"  # RFC 8446, 5.1: a handshake record
KEEPALIVE = {  # a peer that is gone without a word is noticed after 120 s
    socket.TCP_KEEPIDLE: 60,
    socket.TCP_KEEPINTVL: 15,
    socket.TCP_KEEPCNT: 4,
}

Take = Callable[[Frame], Awaitable[bytes | None]]


class _Peer:
    """A connection of the engine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.task: asyncio.Task[None] | None = None
        self.active_s = asyncio.get_running_loop().time()
        self.busy = False  # with a message that is not answered yet

    @property
    def host(self) -> str:
        """Whence it comes."""
        name = self.writer.get_extra_info("peername")
        return str(name[0]) if name else ""


class MllpServer:
    """Serves the engine's connections; every one of them is a task of `group`."""

    def __init__(self, config: MllpListen, take: Take, notices: Notices, group: asyncio.TaskGroup) -> None:
        self.port = config.port
        self._config = config
        self._take = take
        self._notices = notices
        self._group = group
        self._tls: ssl.SSLContext | None = None
        self._peers: set[_Peer] = set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._peers)

    async def open(self) -> None:
        """Listen. Raises OSError, also for TLS files that cannot be used."""
        self._tls = await asyncio.to_thread(_server_context, self._config)
        self._server = await asyncio.start_server(self._accept, self._config.host, self._config.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more, and cut all connections."""
        if self._server is not None:
            self._server.close()
        for peer in self._peers:
            if peer.task is not None:
                peer.task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _Peer(reader, writer)
        if len(self._peers) >= MAX_CONNECTIONS and not self._make_room(peer):
            writer.transport.abort()
            return
        if self._tls is not None:
            cast(asyncio.Transport, writer.transport).pause_reading()  # what comes is for TLS, not for the reader
        keep_alive(writer)
        self._peers.add(peer)
        peer.task = self._group.create_task(self._serve(peer))
        peer.task.add_done_callback(lambda _: self._gone(peer))

    def _make_room(self, newcomer: _Peer) -> bool:
        """Let the connection that was idle the longest give way, if any is idle."""
        idle = [peer for peer in self._peers if not peer.busy]
        self._notices.begins(Trouble.FULL, f"{MAX_CONNECTIONS} connections")
        if not idle:
            self._notices.happened(Happening.TURNED_AWAY, "all connections are at work", host=newcomer.host)
            return False
        idlest = min(idle, key=lambda peer: peer.active_s)
        self._notices.happened(Happening.GAVE_WAY, "it was idle the longest", host=idlest.host)
        idlest.writer.transport.abort()
        self._peers.discard(idlest)
        return True

    def _gone(self, peer: _Peer) -> None:
        self._peers.discard(peer)
        if len(self._peers) < MAX_CONNECTIONS - 1:
            self._notices.ends(Trouble.FULL)

    async def _serve(self, peer: _Peer) -> None:
        deframer = Deframer(LARGEST_MESSAGE)
        try:
            if self._tls is not None:
                await peer.writer.start_tls(self._tls, ssl_handshake_timeout=HANDSHAKE_S)
            await self._converse(peer, deframer)
        except ssl.SSLError as error:
            self._notices.happened(Happening.TLS_REFUSED, error.reason or type(error).__name__, host=peer.host)
        except (OSError, TimeoutError) as error:
            if self._tls is not None and peer.writer.get_extra_info("cipher") is None:
                self._notices.happened(Happening.TLS_REFUSED, type(error).__name__, host=peer.host)
            else:
                _log.info("the engine's connection ended", extra={"cause": type(error).__name__})
        finally:
            if deframer.is_within:
                self._notices.happened(Happening.UNENDED, "the connection ended within a frame", host=peer.host)
            peer.writer.transport.abort() if deframer.dropped else peer.writer.close()

    async def _converse(self, peer: _Peer, deframer: Deframer) -> None:
        while data := await peer.reader.read(READ_BYTES):
            peer.active_s = asyncio.get_running_loop().time()
            before = (deframer.dropped, deframer.unended)
            frames = deframer.feed(data)
            self._note_oddities(peer, data, deframer.dropped - before[0], deframer.unended - before[1])
            peer.busy = True
            for each in frames:
                answer = await self._take(each)
                if answer is not None:
                    peer.writer.write(frame(answer))
                    async with asyncio.timeout(WRITE_S):
                        await peer.writer.drain()
            peer.busy = False

    def _note_oddities(self, peer: _Peer, data: bytes, stray_bytes: int, unended: int) -> None:
        if stray_bytes:
            what = "the client begins TLS" if data.startswith(TLS_HELLO) else "bytes outside frames"
            self._notices.happened(Happening.STRAY_BYTES, what, stray_bytes, host=peer.host)
        if unended:
            self._notices.happened(
                Happening.UNENDED, "a frame began before the last was ended", unended, host=peer.host
            )


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the network notice a peer that is gone without a word."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


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
