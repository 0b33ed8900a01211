"""What others say of a person, and who that is at the suite."""

from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from gateway.config.roles import Role
from gateway.config.single_sign_on import OidcPlan
from gateway.web.people import Person

MAX_NAME = 64


class ProviderUnavailable(Exception):
    """The provider cannot be asked; the text says why, for the log."""


class VouchingRefused(Exception):
    """What came from the provider is not accepted; the text says why, for the log."""


class NoRole(Exception):
    """The provider knows the person, and none of its roles is one of ours; the text is the login."""


class Clocks(msgspec.Struct, frozen=True):
    """What tells the time, in seconds: of the machine's wall clock, UTC, and steadily."""

    wall_s: Callable[[], float]
    steady_s: Callable[[], float]


class Attempt(msgspec.Struct, frozen=True):
    """A sign-in that was begun at one browser. All but `onward`, a page of ours to go to, are random."""

    state: str
    nonce: str
    verifier: str
    onward: str


class Vouched(msgspec.Struct, frozen=True):
    """A token whose signature and audience were checked, and what it claims."""

    claims: Mapping[str, object]
    id_token: str


def person_of(plan: OidcPlan, claims: Mapping[str, object]) -> Person:
    """Who the provider's claims name. Raises VouchingRefused, or NoRole."""
    login, name = _claim(claims, plan.login_claim), _claim(claims, plan.name_claim)
    return person_known("sso", login, name, plan.roles.of(_claim(claims, plan.roles_claim)))


def person_known(by: str, login: object, name: object, role: Role | None) -> Person:
    """Who that is at the suite, as those vouch who are recorded as `by`. Raises VouchingRefused, or NoRole."""
    known = _name(login)
    if known is None:
        raise VouchingRefused(f"no login of 1 to {MAX_NAME} printable characters is given")
    if role is None:
        raise NoRole(known)
    return Person(name=_name(name) or known, login=f"{by}:{known}", role=role)


def _claim(claims: Mapping[str, object], name: str) -> object:
    """A claim by its name, which may lead into others, as in `realm_access.roles`; None if there is none."""
    if name in claims:
        return claims[name]
    outer, _, inner = name.partition(".")
    within = claims.get(outer)
    return _claim(cast("dict[str, object]", within), inner) if inner and isinstance(within, dict) else None


def _name(claimed: object) -> str | None:
    if not isinstance(claimed, str) or not claimed.isprintable():
        return None
    return claimed.strip() if 0 < len(claimed.strip()) <= MAX_NAME else None
