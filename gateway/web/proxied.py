"""People whom a reverse proxy signed in: it says in headers of each request who asks.

The headers count only where the request comes from the proxy's address and asks for the page by the proxy's name. From
anybody else a request that has one of them is refused, so that nobody takes an attempt for a sign-in.
"""

import hashlib
import secrets

from starlette.requests import Request
from starlette.types import Scope

from gateway.config.single_sign_on import ProxyPlan
from gateway.web.people import OWN_IDLE_S, SignedIn
from gateway.web.vouching import NoRole, VouchingRefused, person_known


def comes_by(plan: ProxyPlan, scope: Scope) -> bool:
    """Whether the proxy passed this request on."""
    hosts = [value.decode("latin-1").strip().lower() for name, value in scope["headers"] if name == b"host"]
    return scope["client"] is not None and plan.is_at(scope["client"][0]) and hosts == [plan.host]


def claims_of(plan: ProxyPlan, scope: Scope) -> list[str]:
    """The proxy's headers that the request has, as often as it has them."""
    names = [name.decode("latin-1") for name, _ in scope["headers"]]
    return [name for name in names if name in plan.headers]


class Proxied:
    """Who the proxy says is signed in."""

    def __init__(self, plan: ProxyPlan) -> None:
        self._plan = plan
        self._key = secrets.token_bytes(32)

    def names_somebody(self, request: Request) -> bool:
        """Whether the proxy says who asks."""
        return comes_by(self._plan, request.scope) and self._plan.login_header in request.headers

    @property
    def sign_out(self) -> str:
        """Where the proxy ends a sign-in."""
        return self._plan.sign_out

    def person(self, request: Request) -> SignedIn | None:
        """Who asks, by the proxy's word; None: it names nobody, or nobody who may be here."""
        plan, said = self._plan, request.headers
        if not self.names_somebody(request):
            return None
        groups = [each.strip() for each in _text(said.get(plan.groups_header, "")).split(plan.separator)]
        name = _text(said.get(plan.name_header, ""))
        try:
            person = person_known("proxy", _text(said[plan.login_header]), name, plan.roles.of(groups))
        except (VouchingRefused, NoRole):
            return None
        token = hashlib.blake2b(person.login.encode(), key=self._key, digest_size=32).hexdigest()
        return SignedIn(
            name=person.name,
            login=person.login,
            role=person.role,
            form_token=token,
            idle_s=OWN_IDLE_S,
            since_s=0.0,
            touched_s=0.0,
        )


def _text(value: str) -> str:
    """A header as text: UTF-8 where it is that."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value
