"""Selects the transport for a line's URL."""

from functools import partial
from urllib.parse import parse_qsl, urlsplit

from drivers.transport import serial, tcp
from drivers.transport.base import ByteLink, Connector, SerialSettings

_ACCEPTED = "accepted: /dev/..., socket://host:port, rfc2217://host:port"
_IGNORED_OPTIONS = {"ign_set_control"}  # pyserial's; line control is never waited for here


def connector(url: str, settings: SerialSettings) -> Connector:
    """The connector for `url`; `settings` apply to serial ports, local or by RFC 2217.

    Raises ValueError with the accepted forms.
    """
    if url.startswith("/"):
        return partial(serial.open_serial, url, settings)
    scheme, host, port = _network_address(url)
    if scheme == "socket":
        return partial(tcp.connect, host, port, tcp.TcpLink)
    return partial(_open_rfc2217, host, port, settings)


async def _open_rfc2217(host: str, port: int, settings: SerialSettings) -> ByteLink:
    from drivers.transport.rfc2217 import open_rfc2217  # imported here, since serialx is slow to import

    return await open_rfc2217(host, port, settings)


def _network_address(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    if parts.scheme not in ("socket", "rfc2217"):
        raise ValueError(f"line {url!r}, {_ACCEPTED}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"line {url!r}: {error}, {_ACCEPTED}") from error
    if not host or not port or parts.path not in ("", "/") or parts.username is not None or parts.fragment:
        raise ValueError(f"line {url!r}, {_ACCEPTED}")
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    allowed = _IGNORED_OPTIONS if parts.scheme == "rfc2217" else set[str]()
    if options - allowed:
        raise ValueError(f"line {url!r}: unknown option {', '.join(sorted(options - allowed))}, {_ACCEPTED}")
    return parts.scheme, host, port
