"""TLS handshakes with clients, bounded: how many at once, how many of one address, and how long each may take.

Theory of operation. A server of the event loop tells of a connection once its handshake is over, so clients that never
end theirs cannot be counted. So connections are accepted here, counted, and only then given to the loop. Where too many
are under way the oldest is ended: an honest one takes far less time than others need to fill all places.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

import msgspec

ACCEPT_AGAIN_S = 1.0  # where there is no free file descriptor


class HandshakeLimits(msgspec.Struct, frozen=True):
    """What clients may take before they are heard of."""

    at_once: int
    per_address: int  # of these
    timeout_s: float


class Handshakes:
    """Accepts clients that come by TLS; `make` makes the protocol of each that ended its handshake."""

    def __init__(self, context: ssl.SSLContext, limits: HandshakeLimits, make: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._limits = limits
        self._make = make
        self._under_way: dict[asyncio.Task[None], str] = {}  # with the client's address; the oldest first

    async def accept(self, listening: socket.socket) -> None:
        """Accept clients until cancelled; then all handshakes that are under way end."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    client, peer = await loop.sock_accept(listening)
                except OSError:
                    await asyncio.sleep(ACCEPT_AGAIN_S)
                else:
                    self._begin(client, peer[0])
        finally:
            for each in self._under_way:
                each.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way)

    def _begin(self, client: socket.socket, address: str) -> None:
        if list(self._under_way.values()).count(address) >= self._limits.per_address:
            client.close()
            return
        if len(self._under_way) >= self._limits.at_once:
            oldest = next(iter(self._under_way))
            del self._under_way[oldest]
            oldest.cancel()
        task = asyncio.get_running_loop().create_task(self._shake(client))
        self._under_way[task] = address
        task.add_done_callback(lambda done: self._under_way.pop(done, None))

    async def _shake(self, client: socket.socket) -> None:
        client.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                client,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.timeout_s,
                ssl_shutdown_timeout=self._limits.timeout_s,
            )
        except OSError:  # what a client does wrongly is no event of the gateway's
            client.close()
