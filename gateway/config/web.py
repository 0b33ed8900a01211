"""Resolves the [web] table: where the suite's page is served, and who may look without signing in."""

import ssl
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import msgspec

from gateway.config.price import Price
from gateway.config.problems import Problems
from gateway.config.single_sign_on import OidcPlan, ProxyPlan, resolve_oidc, resolve_proxy
from gateway.config.tables import WebTable, listen_address
from gateway.runtime.addresses import is_loopback
from gateway.session.wording import Language

Network = IPv4Network | IPv6Network

_WIDEST = {4: 16, 6: 48}  # bits: whoever names more than a site's own network lets everybody look


class PageFiles(msgspec.Struct, frozen=True):
    """The page's certificate and its key."""

    cert: Path
    key: Path


class PagePlan(msgspec.Struct, frozen=True):
    """The suite's page. `listen` None: there is none."""

    listen: tuple[str, int] | None = None
    names: tuple[str, ...] = ()  # beside addresses, by which browsers may ask for it
    tls: PageFiles | None = None
    screens: tuple[Network, ...] = ()  # may look without signing in
    language: Language = Language.ENGLISH
    price: Price | None = None
    oidc: OidcPlan | None = None  # where people may sign in, beside the accounts
    proxy: ProxyPlan | None = None  # who says who is signed in

    def may_look(self, address: str) -> bool:
        """Whether whoever asks from this address may look without signing in."""
        try:
            asking = ip_address(address)
        except ValueError:
            return False
        return any(asking in network for network in self.screens)


def resolve_page(problems: Problems, table: WebTable) -> PagePlan | None:
    """The plan; None if it has an error."""
    screens = [_network(problems, index, text) for index, text in enumerate(table.screens)]
    tls = _tls(problems, table)
    if not table.listen:
        return PagePlan()
    listen = listen_address(table.listen)
    if not is_loopback(listen[0]) and table.cert_file is None and table.key_file is None:
        message = "the page would go over the network in clear, accepted: 127.0.0.1:port, or cert_file and key_file"
        problems.error(("web", "listen"), message)
    price = Price(*table.unit_price.split()) if table.unit_price else None
    oidc = table.oidc and resolve_oidc(problems, table.oidc)
    proxy = table.proxy and resolve_proxy(problems, table.proxy)
    looking = tuple(each for each in screens if each)
    return PagePlan(listen, table.names, tls, looking, table.language, price, oidc, proxy)


def _network(problems: Problems, index: int, text: str) -> Network | None:
    where = ("web", "screens", index)
    try:
        network = ip_network(text)
    except ValueError:
        problems.error(where, "not an address, accepted: 10.20.0.7, or a network such as 10.20.0.0/28")
        return None
    if network.prefixlen < _WIDEST[network.version]:
        problems.error(where, f"not a suite's own screens, accepted: networks from /{_WIDEST[network.version]} on")
        return None
    return network


def _tls(problems: Problems, table: WebTable) -> PageFiles | None:
    if (table.cert_file is None) != (table.key_file is None):
        lacking = "key_file" if table.key_file is None else "cert_file"
        problems.error(("web",), f"{lacking} is missing, accepted: cert_file and key_file, or neither")
        return None
    if table.cert_file is None or table.key_file is None:
        return None
    cert = problems.file(("web", "cert_file"), table.cert_file)
    key = problems.file(("web", "key_file"), table.key_file, secret=True)
    if cert is None or key is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError):
        message = f"{key} is not the key of {cert}, accepted: a PEM certificate and its key without password"
        problems.error(("web", "key_file"), message)
        return None
    return PageFiles(cert, key)
