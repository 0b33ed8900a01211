"""The MLLP listener: at most `MAX_CONNECTIONS` connections, each frame answered in order.

It accepts sockets itself, since asyncio's server does not report a failed TLS handshake. When all connections are in
use, the one idle for longest is closed for the new one: engines leave connections open, and a half-open one lasts until
the keep-alive ends it.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

from gateway.bridge.config import MllpListen
from gateway.bridge.mllp import Deframer, Frame, frame
from gateway.bridge.notices import Happening, Notices, Trouble
from gateway.runtime.certificates import take_up_renewed

_log = logging.getLogger("capgate.bridge")

READ_BYTES = 65_536
MAX_CONNECTIONS = 16
LARGEST_MESSAGE = 65_024  # bytes; the gateways' limit, and what fits a broker with a limit of 64 KiB
WRITE_S = 10.0
HANDSHAKE_S = 10.0
BACKLOG = 100
ACCEPT_RETRY_S = 1.0
TLS_HELLO = b"\x16\x03"  # RFC 8446, 5.1: a handshake record
KEEPALIVE = {  # a vanished peer is detected after 120 s
    socket.TCP_KEEPIDLE: 60,
    socket.TCP_KEEPINTVL: 15,
    socket.TCP_KEEPCNT: 4,
}

Take = Callable[[Frame], Awaitable[bytes | None]]


class _Peer:
    """A connection of the engine."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self.connection = connection
        self.host = host  # the peer's IP address
        self.task: asyncio.Task[None] | None = None
        self.active_s = asyncio.get_running_loop().time()
        self.busy = False  # a message of it is not answered yet

    def cut(self) -> None:
        """Cancel its task, which closes the connection."""
        if self.task is not None:
            self.task.cancel()


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
        self._socket: socket.socket | None = None

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._peers)

    async def open(self) -> None:
        """Start listening. Raises OSError if the address cannot be bound or the TLS files cannot be used."""
        self._tls = await asyncio.to_thread(_server_context, self._config)
        host, port = self._config.host, self._config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._tasks = [self._group.create_task(self._accept(self._socket))]
        certificate, key = self._config.certificate, self._config.key
        if self._tls is not None and certificate is not None and key is not None:
            self._tasks.append(self._group.create_task(take_up_renewed(self._tls, certificate, key)))

    def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._socket is not None:
            for task in self._tasks:
                task.cancel()
            self._socket.close()
        for peer in self._peers:
            peer.cut()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:  # ends with the task
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:  # out of file descriptors, or the client has already closed
                self._notices.happened(Happening.TURNED_AWAY, type(error).__name__)
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            peer = _Peer(connection, str(address[0]))
            if len(self._peers) >= MAX_CONNECTIONS and not self._make_room(peer):
                connection.close()
                continue
            keep_alive(connection)
            self._peers.add(peer)
            peer.task = self._group.create_task(self._serve(peer))
            peer.task.add_done_callback(partial(self._gone, peer))

    def _make_room(self, newcomer: _Peer) -> bool:
        """Close the connection that was idle for longest. False if none is idle."""
        idle = [peer for peer in self._peers if not peer.busy]
        self._notices.begins(Trouble.FULL, f"{MAX_CONNECTIONS} connections")
        if not idle:
            self._notices.happened(Happening.TURNED_AWAY, "all connections are at work", host=newcomer.host)
            return False
        idlest = min(idle, key=lambda peer: peer.active_s)
        self._notices.happened(Happening.GAVE_WAY, "it was idle the longest", host=idlest.host)
        idlest.cut()
        self._peers.discard(idlest)
        return True

    def _gone(self, peer: _Peer, _: asyncio.Task[None]) -> None:
        self._peers.discard(peer)
        if len(self._peers) < MAX_CONNECTIONS - 1:
            self._notices.ends(Trouble.FULL)

    async def _serve(self, peer: _Peer) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                peer.connection,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except OSError as error:  # SSLError is one
            cause = error.reason if isinstance(error, ssl.SSLError) and error.reason else type(error).__name__
            self._notices.happened(Happening.TLS_REFUSED, cause, host=peer.host)
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        deframer = Deframer(LARGEST_MESSAGE)
        try:
            await self._converse(peer, reader, writer, deframer)
        except (OSError, TimeoutError) as error:
            _log.info("the engine's connection ended", extra={"cause": type(error).__name__})
        finally:
            if deframer.is_within:
                self._notices.happened(Happening.UNENDED, "the connection ended within a frame", host=peer.host)
            transport.abort() if deframer.dropped else writer.close()

    async def _converse(
        self, peer: _Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deframer: Deframer
    ) -> None:
        while data := await reader.read(READ_BYTES):
            peer.active_s = asyncio.get_running_loop().time()
            before = (deframer.dropped, deframer.unended)
            frames = deframer.feed(data)
            self._note_oddities(peer, data, deframer.dropped - before[0], deframer.unended - before[1])
            peer.busy = True
            for each in frames:
                answer = await self._take(each)
                if answer is not None:
                    writer.write(frame(answer))
                    async with asyncio.timeout(WRITE_S):
                        await writer.drain()
            peer.busy = False

    def _note_oddities(self, peer: _Peer, data: bytes, stray_bytes: int, unended: int) -> None:
        if stray_bytes:
            what = "the client begins TLS" if data.startswith(TLS_HELLO) else "bytes outside frames"
            self._notices.happened(Happening.STRAY_BYTES, what, stray_bytes, host=peer.host)
        if unended:
            self._notices.happened(
                Happening.UNENDED, "a frame began before the last was ended", unended, host=peer.host
            )


def keep_alive(connection: socket.socket) -> None:
    """Enable TCP keep-alive, so that a vanished peer is detected."""
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
