"""ser2net, a third-party device server, in front of a terminal."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.processes import free_port, listening, program, running


@dataclass
class Server:
    rfc2217_port: int
    tcp_port: int


@asynccontextmanager
async def ser2net(folder: Path, tty: Path) -> AsyncGenerator[Server]:
    """The device server before the serial line `tty`."""
    rfc2217_port, tcp_port, ready_port = free_port(), free_port(), free_port()
    configuration = folder / "ser2net.yaml"
    configuration.write_text(f"""
connection: &rfc2217
  accepter: telnet(rfc2217),tcp,127.0.0.1,{rfc2217_port}
  connector: serialdev,{tty},9600n81,local
connection: &bare
  accepter: tcp,127.0.0.1,{tcp_port}
  connector: serialdev,{tty},9600n81,local
connection: &ready
  accepter: tcp,127.0.0.1,{ready_port}
  connector: echo
""")
    async with running(program("ser2net"), "-n", "-d", "-c", str(configuration)):
        await listening(ready_port)
        yield Server(rfc2217_port, tcp_port)
