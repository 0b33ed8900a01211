"""The serial port of a device server, configured over Telnet (RFC 2217).

serialx supplies the protocol engine, which is free of I/O. Its own transport is not used, since it waits for the
acknowledgement of a modem-state mask, which ser2net never sends. The acknowledgement of line control is not awaited
either: a server whose port has no modem lines sends none (pyserial has the option `ign_set_control` for this).
"""

import asyncio

from serialx import Parity as SerialxParity
from serialx import StopBits
from serialx.common import PortSettingsUpdate
from serialx.platforms.serial_rfc2217 import Rfc2217
from serialx.platforms.serial_rfc2217.types import (
    DoCmd,
    DontCmd,
    Rfc2217Command,
    SetControlCmd,
    TelnetCommand,
    TelnetOption,
    WillCmd,
    encode_command,
    iac_escape,
)

from drivers.errors import LineDown, SettingsRefused
from drivers.transport import tcp
from drivers.transport.base import CONNECT_TIMEOUT_S, Handshake, Parity, SerialSettings

_PARITY = {Parity.NONE: SerialxParity.NONE, Parity.EVEN: SerialxParity.EVEN, Parity.ODD: SerialxParity.ODD}
_STOP = {1: StopBits.ONE, 2: StopBits.TWO}


class Rfc2217Link(tcp.TcpLink):
    """One connection; data is escaped, Telnet commands are removed from received data."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self._engine = Rfc2217()
        self._progress = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Process received data and commands; called by the loop."""
        try:
            received, answers = self._engine.feed(data)
        except ValueError as error:
            self.close()
            self.inbox.lost(f"{self._peer}: does not speak RFC 2217: {error}")
            return
        for answer in answers:
            self._command(answer)
        if received:
            self.inbox.received(received)
        self._progress.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark the link as broken; called by the loop."""
        super().connection_lost(exc)
        self._progress.set()

    def write(self, data: bytes) -> None:
        """Send at once. Raises LineDown if broken or stuck."""
        super().write(iac_escape(data))

    async def set_up(self, settings: SerialSettings) -> None:
        """Negotiate binary transfer and port control, then configure the port. Raises LineDown."""
        self._command(WillCmd(option=TelnetOption.BINARY))
        self._command(DoCmd(option=TelnetOption.BINARY))
        self._command(WillCmd(option=TelnetOption.COM_PORT_OPTION))
        agreed = DoCmd(option=TelnetOption.COM_PORT_OPTION)
        refused = DontCmd(option=TelnetOption.COM_PORT_OPTION)
        while (answer := self._engine.pop_matching_telnet([agreed, refused])) is None:
            await self._next()
        if answer == refused:
            raise LineDown(f"{self._peer}: the server refuses to set its port; use socket:// and set it there")
        self._engine.mark_negotiated()
        for command in self._engine.build_port_config_commands(_as_update(settings)):
            self._command(command)
            if not isinstance(command, SetControlCmd):
                await self._acknowledged(command, settings)

    async def _acknowledged(self, command: Rfc2217Command, settings: SerialSettings) -> None:
        while (answer := self._engine.pop_pending_rfc2217(command.CMD_ID)) is None:
            await self._next()
        if answer != command:
            raise SettingsRefused(f"{self._peer}: the server's port does not take {settings} (it answers {answer})")

    async def _next(self) -> None:
        self._progress.clear()
        await self._progress.wait()
        self.inbox.check()

    def _command(self, command: TelnetCommand | Rfc2217Command) -> None:
        if self._transport is not None:
            self._transport.write(encode_command(command))


async def open_rfc2217(host: str, port: int, settings: SerialSettings) -> Rfc2217Link:
    """Connect, and configure the server's port. Raises LineDown."""
    link = await tcp.connect(host, port, Rfc2217Link)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await link.set_up(settings)
    except TimeoutError as error:
        link.close()
        raise LineDown(f"{host}:{port}: the server does not answer RFC 2217 commands") from error
    except BaseException:
        link.close()
        raise
    return link


def _as_update(settings: SerialSettings) -> PortSettingsUpdate:
    return PortSettingsUpdate(
        baudrate=settings.baud,
        byte_size=settings.bits,
        parity=_PARITY[settings.parity],
        stopbits=_STOP[settings.stop],
        rtscts=settings.handshake is Handshake.RTSCTS,
        xonxoff=settings.handshake is Handshake.XONXOFF,
    )
