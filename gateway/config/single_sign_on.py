"""Resolves [web.oidc] and [web.proxy]: who vouches for people on the page, beside its own accounts."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import cast

import msgspec

from gateway.config.problems import Problems
from gateway.config.roles import Role
from gateway.config.tables import OidcTable, ProxyTable, RolesTable

Network = IPv4Network | IPv6Network

_WIDEST = {4: 24, 6: 64}  # bits: each machine in it can be anybody


class RoleMap(msgspec.Struct, frozen=True):
    """A group or role of those who vouch, and ours; `otherwise` is that of who has none of them, None: no sign-in."""

    rows: tuple[tuple[str, Role], ...]
    otherwise: Role | None

    def of(self, claimed: object) -> Role | None:
        """The first of the rows that is among what is claimed, one or a list."""
        known = cast("list[object]", claimed) if isinstance(claimed, list) else [claimed]
        return next((role for theirs, role in self.rows if theirs in known), self.otherwise)


class OidcPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The provider, what this gateway is to it, and what is taken of what it says about a person. Times are seconds."""

    issuer: str
    client_id: str
    client_secret: Path
    scopes: tuple[str, ...]
    login_claim: str
    name_claim: str
    roles_claim: str
    roles: RoleMap
    max_age_s: int | None  # how long ago a person may have signed in at the provider; None: it decides
    lasts_s: int  # of a sign-in here, before the provider is asked anew
    leeway_s: int  # by how much the provider's clock may differ


class ProxyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The reverse proxy that says who is signed in. Names of headers are in lower case; "" for none."""

    addresses: tuple[Network, ...]
    scheme: str  # of the page as browsers ask for it
    host: str  # with its port, where that is not the scheme's
    login_header: str
    name_header: str
    groups_header: str
    separator: str  # between groups
    sign_out: str  # where the proxy ends a sign-in
    roles: RoleMap

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that nobody else may send."""
        return tuple(filter(None, (self.login_header, self.name_header, self.groups_header)))

    def is_at(self, address: str) -> bool:
        """Whether the proxy has that address."""
        try:
            asking = ip_address(address)
        except ValueError:
            return False
        return any(asking in network for network in self.addresses)


def resolve_oidc(problems: Problems, table: OidcTable) -> OidcPlan | None:
    """The plan; None if it has an error."""
    secret = problems.file(("web", "oidc", "client_secret_file"), table.client_secret_file, secret=True)
    roles = _roles(problems, "oidc", table)
    if secret is None or roles is None:
        return None
    return OidcPlan(
        issuer=table.issuer,
        client_id=table.client_id,
        client_secret=secret,
        scopes=table.scopes,
        login_claim=table.login_claim,
        name_claim=table.name_claim,
        roles_claim=table.roles_claim,
        roles=roles,
        max_age_s=table.max_age_s,
        lasts_s=table.lasts_s,
        leeway_s=table.leeway_s,
    )


def resolve_proxy(problems: Problems, table: ProxyTable) -> ProxyPlan | None:
    """The plan; None if it has an error. Warns of whoever can pass for the proxy."""
    addresses = [_address(problems, index, text) for index, text in enumerate(table.addresses)]
    roles = _roles(problems, "proxy", table)
    scheme, _, host = table.origin.partition("://")
    headers = tuple(each.lower() for each in (table.login_header, table.name_header, table.groups_header))
    if len(set(filter(None, headers))) < len(list(filter(None, headers))):
        problems.error(("web", "proxy"), "two headers have one name, accepted: different names")
    if roles is None or not all(addresses):
        return None
    login, name, groups = headers
    return ProxyPlan(
        addresses=tuple(each for each in addresses if each),
        scheme=scheme,
        host=host,
        login_header=login,
        name_header=name,
        groups_header=groups,
        separator=table.separator,
        sign_out=table.sign_out,
        roles=roles,
    )


def _roles(problems: Problems, table: str, named: RolesTable) -> RoleMap | None:
    if not named.roles and named.otherwise is None:
        accepted = 'accepted: names of groups or roles = one of ours, or otherwise = "viewer"'
        problems.error(("web", table), f"roles is missing, nobody could sign in, {accepted}")
        return None
    return RoleMap(tuple(named.roles.items()), Role(named.otherwise) if named.otherwise else None)


def _address(problems: Problems, index: int, text: str) -> Network | None:
    where = ("web", "proxy", "addresses", index)
    try:
        network = ip_network(text)
    except ValueError:
        problems.error(where, "not an address, accepted: that of the proxy, as in 10.20.0.9")
        return None
    if network.prefixlen < _WIDEST[network.version]:
        accepted = f"networks from /{_WIDEST[network.version]} on"
        problems.error(
            where, f"everybody in this network could be anybody, accepted: the proxy's address, or {accepted}"
        )
        return None
    if network.is_loopback:
        problems.warn(where, "every program on this machine can pass for the proxy, and so for any person")
    elif network.num_addresses > 1:
        problems.warn(where, f"each of {network.num_addresses} addresses can pass for the proxy, and so for any person")
    return network
