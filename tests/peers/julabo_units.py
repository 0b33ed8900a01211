"""Third-party simulated Julabo units, running and cooling: lewis, and sinstruments with julabo's own simulator."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.peers.processes import appears, free_port, listening, program, running


class Lewis:
    """A lewis Julabo on a TCP port, with its control connection."""

    def __init__(self, port: int, control_port: int) -> None:
        self.port = port
        self.url = f"socket://127.0.0.1:{port}"
        self._control = f"127.0.0.1:{control_port}"

    async def set_values(self, **attributes: str | float) -> None:
        """Set the unit's attributes."""
        await asyncio.gather(*(self._set(name, value) for name, value in attributes.items()))

    async def _set(self, name: str, value: str | float) -> None:
        text = f'"{value}"' if isinstance(value, str) else str(value)
        command = (program("lewis-control"), "-r", self._control, "device", name, "--", text)
        async with running(*command) as control:
            assert await control.wait() == 0, command


@asynccontextmanager
async def lewis(firmware: str) -> AsyncGenerator[Lewis]:
    """A lewis Julabo at -4.2 degC."""
    port, control_port = free_port(), free_port()
    protocol = f"{firmware}: {{bind_address: 127.0.0.1, port: {port}}}"
    async with running(program("lewis"), "julabo", "-p", protocol, "-r", f"127.0.0.1:{control_port}"):
        await listening(control_port)
        unit = Lewis(port, control_port)
        await unit.set_values(temperature=-4.2, status="03 REMOTE START", is_circulating=1)
        yield unit


@asynccontextmanager
async def sinstruments(folder: Path) -> AsyncGenerator[tuple[int, Path]]:
    """A running CF31 at -4.12 degC; yields its TCP port and its pseudo-terminal."""
    port, tty = free_port(), folder / "tty"
    (folder / "units.yml").write_text(f"""
devices:
- class: JulaboCF
  package: julabo.simulator
  name: cf31
  PV_00: "-4.12"
  PV_02: "-3.98"
  transports:
  - type: tcp
    url: 127.0.0.1:{port}
  - type: serial
    url: {tty}
""")
    async with running(program("sinstruments-server"), "-c", str(folder / "units.yml")):
        await listening(port)
        await appears(tty)
        _, operator = await asyncio.open_connection("127.0.0.1", port)
        operator.write(b"OUT_MODE_05 1\r")
        await operator.drain()
        operator.close()
        await operator.wait_closed()
        yield port, tty
