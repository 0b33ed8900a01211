"""A TCP proxy before a broker that cuts, drops or delays traffic."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Proxy:
    """The proxy's faults, which can be changed at any time."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.connections = 0
        self.swallow = False  # drop the broker's bytes, keep the connection
        self.hole = False  # drop bytes in both directions, keep the connection
        self.bytes_per_s = 0  # 0: unlimited
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        self.connections += 1
        try:
            upstream, up = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, up}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, up, down=False))
            group.create_task(self._copy(upstream, writer, down=True))
        self._writers -= {writer, up}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        try:
            while data := await reader.read(1460):
                if self.hole or (down and self.swallow):
                    continue
                if self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort() if self.swallow else writer.close()


@asynccontextmanager
async def proxy(upstream: int) -> AsyncGenerator[Proxy]:
    """A proxy before the broker at `upstream`."""
    made = Proxy(upstream)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            server.close()
            made.cut()
            await asyncio.sleep(0)
