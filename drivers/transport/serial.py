"""A local serial port: pyserial opens and configures it, then the event loop waits on its descriptor, without a thread.

A pseudo-terminal has no parity and no 7-bit mode, and refuses such settings, so tests on one do not cover them.
"""

import asyncio
import contextlib
import errno
import os
import termios

import serial

from drivers.errors import LineDown, SettingsRefused
from drivers.transport.base import ByteLink, Handshake, Parity, SerialSettings

_PARITY = {Parity.NONE: serial.PARITY_NONE, Parity.EVEN: serial.PARITY_EVEN, Parity.ODD: serial.PARITY_ODD}
_READ_SIZE = 4096


class SerialLink(ByteLink):
    """One open port."""

    def __init__(self, path: str, port: serial.Serial, descriptor: int) -> None:
        super().__init__()
        self._path = path
        self._port = port
        self._descriptor = descriptor
        self._unsent = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._readable)

    def write(self, data: bytes) -> None:
        """Send at once. Raises LineDown if broken or stuck (the unit holds a handshake line)."""
        self.inbox.check()
        if self._unsent:
            raise LineDown(f"{self._path}: the request before could not be sent")
        self._unsent = data
        self._send()
        self.inbox.check()

    def close(self) -> None:
        """Close the port; output that the unit does not accept is discarded, so that closing never blocks."""
        self._give_up("closed")

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return
        if data:
            self.inbox.received(data)
        else:
            self._give_up("hung up")

    def _send(self) -> None:
        try:
            sent = os.write(self._descriptor, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._descriptor, self._send)
        else:
            self._loop.remove_writer(self._descriptor)

    def _give_up(self, reason: str) -> None:
        """Close at once, also after an unplug: an open descriptor would block the reuse of the device's name."""
        if self._port.is_open:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            with contextlib.suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCOFLUSH)
            self._port.close()
        self.inbox.lost(f"{self._path}: {reason}")


async def open_serial(path: str, settings: SerialSettings) -> SerialLink:
    """Open the port exclusively. Raises LineDown, which names what the port refused."""
    opening = asyncio.get_running_loop().run_in_executor(None, _opened, path, settings)
    try:
        port, descriptor = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    return SerialLink(path, port, descriptor)


def _opened(path: str, settings: SerialSettings) -> tuple[serial.Serial, int]:
    try:
        port = serial.Serial(
            path,
            baudrate=settings.baud,
            bytesize=settings.bits,
            parity=_PARITY[settings.parity],
            stopbits=settings.stop,
            rtscts=settings.handshake is Handshake.RTSCTS,
            xonxoff=settings.handshake is Handshake.XONXOFF,
            timeout=0,
            exclusive=True,
        )
        if settings.parity is not Parity.NONE:
            _reject_bad_parity(port.fileno())
    except (termios.error, ValueError) as error:
        raise SettingsRefused(
            f"{path}: the port does not take {settings} ({error}); "
            "a pseudo-terminal takes 8N1 alone: override baud, bits, parity and stop for this line"
        ) from error
    except OSError as error:  # includes pyserial's SerialException
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            raise LineDown(f"{path}: already open in another program, which `fuser {path}` names") from error
        raise LineDown(f"{path}: {error.strerror or error}") from error
    with contextlib.suppress(ValueError, OSError):  # else USB adapters delay bytes by 16 ms; not all support it
        port.set_low_latency_mode(True)
    return port, port.fileno()


def _reject_bad_parity(descriptor: int) -> None:
    """Enable the parity check on input, which pyserial does not: a damaged character becomes NUL, which no text has."""
    attributes = termios.tcgetattr(descriptor)
    attributes[0] = attributes[0] & ~(termios.IGNPAR | termios.PARMRK) | termios.INPCK
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _close_unwanted(opening: asyncio.Future[tuple[serial.Serial, int]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()
