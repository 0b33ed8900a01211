"""Signing in at the hospital's OpenID provider, as a browser goes through it.

Theory of operation. A browser that begins gets a cookie with all that has to be known when it comes back, sealed with
a key that this process alone has, so that nobody who begins sign-ins without end takes anything from the others. The
provider sends the browser back with a state, which has to be the cookie's own, and a code, which this gateway redeems.
The sign-in's cookie is never sent along with a request that another site caused: so a page of ours, not a redirect,
leads on from the return. Who cannot be vouched for lands on the sign-in page, where the gateway's own accounts are.
"""

import asyncio
import logging
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.config.single_sign_on import OidcPlan
from gateway.session.wording import Language
from gateway.web.people import People, SignedIn
from gateway.web.screens import page_onward
from gateway.web.signing import Signing, Trouble, local_page
from gateway.web.vouching import Attempt, Clocks, NoRole, ProviderUnavailable, Vouched, VouchingRefused, person_of

if TYPE_CHECKING:
    from gateway.web.provider import Provider

_log = logging.getLogger("capgate.web")

RETURN = "/sign-in/sso/return"
BEGUN_FOR_S = 600
MOST_AT_ONCE = 8  # browsers for which the provider is being asked


class SingleSignOn:
    """Begins sign-ins at the provider and takes them back."""

    def __init__(self, plan: OidcPlan, signing: Signing, people: People, clocks: Clocks) -> None:
        self._plan = plan
        self._signing = signing
        self._people = people
        self._clocks = clocks
        self._seal = Fernet(Fernet.generate_key())
        self._provider: Provider | None = None
        self._asking = 0
        self._reported = ""

    async def begin(self, request: Request, language: Language) -> Response:
        """Send the browser to the provider."""
        attempt = Attempt(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            onward=local_page(request.query_params.get("next", "")),
        )
        try:
            provider = await self._its_provider()
            answer = RedirectResponse(await provider.sign_in_address(attempt, _address(request, RETURN)), 303)
        except ProviderUnavailable as unavailable:
            return self._turned_away(request, language, Trouble.UNAVAILABLE, str(unavailable))
        sealed = self._seal.encrypt_at_time(msgspec.json.encode(attempt), int(self._clocks.steady_s()))
        self._signing.set_begun(request, answer, sealed.decode(), BEGUN_FOR_S)
        return answer

    async def returned(self, request: Request, language: Language) -> Response:
        """Sign in who comes back from the provider."""
        attempt, query = self._begun(request), request.query_params
        if attempt is None or not secrets.compare_digest(attempt.state.encode(), query.get("state", "").encode()):
            return self._turned_away(request, language, Trouble.STALE)
        code = query.get("code", "")
        if not code:
            return self._turned_away(request, language, Trouble.REFUSED, f"error {query.get('error', '')[:64]!r}")
        try:
            vouched = await self._redeemed(attempt, request, code, query.get("iss"))
            person = person_of(self._plan, vouched.claims)
        except ProviderUnavailable as unavailable:
            return self._turned_away(request, language, Trouble.UNAVAILABLE, str(unavailable))
        except VouchingRefused as refused:
            return self._turned_away(request, language, Trouble.REFUSED, str(refused))
        except NoRole as unknown:
            await self._signing.note_refusal(request, str(unknown))
            return self._turned_away(request, language, Trouble.NO_ROLE, f"no role of {unknown} is one of [web.oidc]")
        token = self._people.sign_in_vouched(person, vouched.id_token, self._plan.lasts_s)
        self._reported = ""
        answer = page_onward(attempt.onward, language)
        await self._signing.let_in(request, answer, token)
        return answer

    async def sign_out(self, person: SignedIn, request: Request, language: Language) -> Response | None:
        """A page that leads on to the provider's end of the sign-in; None if there is none."""
        try:
            provider = await self._its_provider()
        except ProviderUnavailable:
            return None
        onward = await provider.sign_out_address(person.id_token, _address(request, "/sign-in"))
        return None if onward is None else page_onward(onward, language)

    async def _redeemed(self, attempt: Attempt, request: Request, code: str, issuer: str | None) -> Vouched:
        if self._asking >= MOST_AT_ONCE:
            raise ProviderUnavailable("too many sign-ins at once")
        self._asking += 1
        try:
            provider = await self._its_provider()
            return await provider.vouched(attempt, _address(request, RETURN), code, issuer)
        finally:
            self._asking -= 1

    def _begun(self, request: Request) -> Attempt | None:
        sealed = self._signing.begun(request)
        if sealed is None:
            return None
        try:
            opened = self._seal.decrypt_at_time(sealed, BEGUN_FOR_S, int(self._clocks.steady_s()))
        except InvalidToken:
            return None
        return msgspec.json.decode(opened, type=Attempt)

    def _turned_away(self, request: Request, language: Language, trouble: Trouble, reason: str = "") -> Response:
        """The sign-in page with what went wrong; the reason goes to the log, once as long as it stays the same."""
        if reason and reason != self._reported:
            _log.warning("no sign-in by the provider", extra={"reason": reason})
            self._reported = reason
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble is Trouble.UNAVAILABLE else HTTPStatus.FORBIDDEN
        answer = self._signing.form(request, language, trouble, status=status)
        self._signing.forget_begun(request, answer)
        return answer

    async def _its_provider(self) -> "Provider":
        """The provider. What it needs is imported in a thread, so that no poll waits for it."""
        if self._provider is None:
            try:
                self._provider = await asyncio.to_thread(self._made)
            except OSError as error:
                raise ProviderUnavailable(f"{self._plan.client_secret}: {error.strerror}") from error
        return self._provider

    def _made(self) -> "Provider":
        from gateway.web.provider import Provider

        return Provider(self._plan, self._clocks)


def _address(request: Request, path: str) -> str:
    """A page of ours as the browser names it; the guard knows the host."""
    return f"{request.url.scheme}://{request.headers['host']}{path}"
