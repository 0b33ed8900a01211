"""The drivers' exceptions; each has a FaultKind, so that handlers need not parse its text."""

from drivers.reading import FaultKind


class DriverError(Exception):
    """A poll or exchange failed: there is no usable answer."""

    kind: FaultKind = FaultKind.GARBLED

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class LineDown(DriverError):
    """The port or connection is not open, or broke during the exchange."""

    kind = FaultKind.LINE_DOWN


class SettingsRefused(LineDown):
    """The port exists, but does not support the line settings (a device server may lack a baud rate)."""


class NoReply(DriverError):
    """No answer to the request came before the deadline."""

    kind = FaultKind.TIMEOUT


class Garbled(DriverError):
    """Bytes came that are not a valid answer, or an answer that the profile cannot decode."""

    kind = FaultKind.GARBLED


class ShortAnswer(Garbled):
    """A whole answer came, with fewer values than were asked for."""


class NeedsConsent(DriverError):
    """The unit's communication watchdog is armed, and the site has not consented to polling it."""

    kind = FaultKind.NEEDS_CONSENT


class UnitRefused(DriverError):
    """The unit or the device server before it answered with a Modbus exception.

    `code` is 1-16 as on the wire without the 0x80 (Modbus Application Protocol V1.1b3, section 7); `asked` says for
    what, where the query alone does not.
    """

    def __init__(self, code: int, asked: str = "") -> None:
        super().__init__(f"{asked}: exception {code:02X}" if asked else f"exception {code:02X}")
        self.code = code
        self.kind = _kind_of_exception(code)


def _kind_of_exception(code: int) -> FaultKind:
    match code:
        case 1 | 2 | 3:
            return FaultKind.REFUSED
        case 5 | 6:
            return FaultKind.BUSY
        case code if 0x0A <= code <= 0x10:
            return FaultKind.UNREACHABLE
        case _:
            return FaultKind.DEVICE_FAILURE
