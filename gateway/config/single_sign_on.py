"""Resolves [web.oidc]: the hospital's OpenID provider, by which people may sign in on the page."""

from pathlib import Path

import msgspec

from gateway.config.problems import Problems
from gateway.config.roles import Role
from gateway.config.tables import OidcTable


class OidcPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The provider, what this gateway is to it, and what is taken of what it says about a person.

    Times are seconds. `otherwise` is the role of who has none of `roles`; None: no sign-in.
    """

    issuer: str
    client_id: str
    client_secret: Path
    scopes: tuple[str, ...]
    login_claim: str
    name_claim: str
    roles_claim: str
    roles: tuple[tuple[str, Role], ...]  # a group or role of the provider's, and ours; the first that fits counts
    otherwise: Role | None
    max_age_s: int | None  # how long ago a person may have signed in at the provider; None: it decides
    lasts_s: int  # of a sign-in here, before the provider is asked anew
    leeway_s: int  # by how much the provider's clock may differ


def resolve_oidc(problems: Problems, table: OidcTable) -> OidcPlan | None:
    """The plan; None if it has an error."""
    secret = problems.file(("web", "oidc", "client_secret_file"), table.client_secret_file, secret=True)
    if not table.roles and table.otherwise is None:
        accepted = 'accepted: names of groups or roles = one of ours, or otherwise = "viewer"'
        problems.error(("web", "oidc"), f"roles is missing, nobody could sign in, {accepted}")
        return None
    if secret is None:
        return None
    return OidcPlan(
        issuer=table.issuer,
        client_id=table.client_id,
        client_secret=secret,
        scopes=table.scopes,
        login_claim=table.login_claim,
        name_claim=table.name_claim,
        roles_claim=table.roles_claim,
        roles=tuple(table.roles.items()),
        otherwise=Role(table.otherwise) if table.otherwise else None,
        max_age_s=table.max_age_s,
        lasts_s=table.lasts_s,
        leeway_s=table.leeway_s,
    )
