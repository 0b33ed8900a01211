"""Network addresses, as configurations and requests name them."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host, in brackets or not, is a loopback address or localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
