"""What is refused before any page is asked: foreign hosts and origins, other methods, bodies that are too large, and
the headers by which a reverse proxy says who asks, from anybody but the proxy.

Every answer gets the headers that keep a browser from doing what the page does not need: no script or style but our
own files, no frame around it, nothing kept, nothing guessed.
"""

from http import HTTPStatus
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config.web import PagePlan
from gateway.runtime.addresses import is_loopback
from gateway.runtime.http import host_of
from gateway.web.proxied import claims_of, comes_by

MAX_BODY_BYTES = 16 * 1024
POLICY_HEADER = "content-security-policy"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer a browser hides the origin of its own forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_OVER_TLS = {"strict-transport-security": "max-age=31536000"}


class Guard:
    """Stands before the application `app`."""

    def __init__(self, app: ASGIApp, plan: PagePlan) -> None:
        self._app = app
        self._is_private = plan.listen is None or is_loopback(plan.listen[0])
        self._names = frozenset(plan.names)
        self._proxy = plan.proxy
        self._tls = plan.tls is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it. One that came by the proxy is one of the scheme that browsers see."""
        proxied = self._proxy is not None and comes_by(self._proxy, scope)
        if self._proxy and proxied:
            scope = {**scope, "scheme": self._proxy.scheme}
        more = _OVER_TLS if self._tls or scope["scheme"] == "https" else {}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", "no-store")
                headers.setdefault(POLICY_HEADER, policy())
                headers.update(_HEADERS | more)
            await send(message)

        refused = self._refused(scope, proxied=proxied)
        answer = self._app if refused is None else PlainTextResponse(f"{refused.value} {refused.phrase}\n", refused)
        await answer(scope, receive, guarded)

    def _refused(self, scope: Scope, *, proxied: bool) -> HTTPStatus | None:
        host = host_of(scope)
        claimed = claims_of(self._proxy, scope) if self._proxy else []
        if host is None or scope["http_version"] not in ("1.0", "1.1") or len(claimed) > len(set(claimed)):
            return HTTPStatus.BAD_REQUEST
        if not proxied and (claimed or not self._serves(host)):
            return HTTPStatus.FORBIDDEN
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        return _posting(scope)

    def _serves(self, host: str) -> bool:
        """Whether the page goes by that name. A name that is not the site's may be one that was rebound to us."""
        if is_loopback(host) or host.lower() in self._names:
            return True
        try:
            ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return not self._is_private


def policy(style: str = "'self'") -> str:
    """What a browser may load for a page of ours; `style` is the source of its style sheets."""
    return (
        f"default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _posting(scope: Scope) -> HTTPStatus | None:
    """Why a POST is refused: it comes from another site's page, or its body has no length or is too long."""
    headers = Headers(scope=scope)
    if headers.get("origin") != f"{scope['scheme']}://{headers['host']}":
        return HTTPStatus.FORBIDDEN
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length.isascii() or not length.isdigit():  # chunks have any length
        return HTTPStatus.LENGTH_REQUIRED
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(length) > MAX_BODY_BYTES else None
