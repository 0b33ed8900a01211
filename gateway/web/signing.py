"""The sign-in page, and who stands behind a request."""

import secrets
from enum import StrEnum
from typing import Literal
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from gateway.config.web import PagePlan
from gateway.ledger.access import Took
from gateway.session.wording import Language
from gateway.web.control import SCREEN, Control
from gateway.web.people import People, SignedIn, SignInRefused
from gateway.web.proxied import Proxied, comes_by
from gateway.web.screens import page, page_onward

NOBODY = "?"  # who tried to sign in with a name or badge of no account
FORM_TOKEN_HEADER = "x-form-token"
_TOKEN, _BEGUN = "capgate", "capgate-begun"


class Trouble(StrEnum):
    """Why nobody is signed in, as the sign-in page says it."""

    WRONG = "wrong"  # what was typed or scanned
    UNAVAILABLE = "unavailable"  # the provider
    REFUSED = "refused"  # by the provider, or what it said is not accepted
    STALE = "stale"  # begun too long ago, or in another browser
    NO_ROLE = "no-role"


class Signing:
    """Signs people in and out."""

    def __init__(self, plan: PagePlan, people: People, control: Control) -> None:
        self._plan = plan
        self._people = people
        self._control = control
        self._proxied = plan.proxy and Proxied(plan.proxy)

    def person(self, request: Request) -> SignedIn | None:
        """Who is signed in at the browser that asks, by the proxy's word or by a token of ours."""
        if self._proxied and (person := self._proxied.person(request)):
            return self._people.linked(person)
        token = self._token(request)
        return self._people.of(token) if token else None

    def may_look(self, request: Request) -> bool:
        """Whether the browser is a screen of the suite's, or somebody is signed in at it. A proxy is no screen."""
        if self._is_screen(request) and not (self._plan.proxy and comes_by(self._plan.proxy, request.scope)):
            return True
        return self.person(request) is not None

    def touch(self, request: Request) -> None:
        """Somebody did something at the browser."""
        if token := self._token(request):
            self._people.touch(token)

    async def has_form_token(self, request: Request, person: SignedIn) -> bool:
        """Whether the request comes from a page that this person was given."""
        said = request.headers.get(FORM_TOKEN_HEADER) or (await _form(request)).get("form_token", "")
        return secrets.compare_digest(said.encode(), person.form_token.encode())

    def form(
        self,
        request: Request,
        language: Language,
        trouble: Trouble | None = None,
        wait_s: float = 0.0,
        status: int = 200,
    ) -> Response:
        """The sign-in page; `trouble` after a refusal, `wait_s` before the next try."""
        person = self.person(request)
        if person is None and self._proxied and self._proxied.names_somebody(request):
            trouble = trouble or Trouble.NO_ROLE
        return page(
            "sign-in.html",
            language,
            status,
            screen="sign-in",
            person=person,
            next=local_page(request.query_params.get("next", "")),
            by_provider=self._plan.oidc is not None,
            trouble=trouble,
            wait_s=round(wait_s),
        )

    async def sign_in(self, request: Request, language: Language) -> Response:
        """Take the form: a badge, or a name with a password or PIN."""
        form, address = await _form(request), _address(request)
        try:
            if badge := form.get("badge", ""):
                token = self._people.sign_in_by_badge(address, badge)
            else:
                token = await self._people.sign_in(address, form.get("name", ""), form.get("secret", ""))
        except SignInRefused as refused:
            if refused.tried is not None:  # what was typed for a name may be a password, so only known names are kept
                await self.note_refusal(request, refused.tried or NOBODY)
            return self.form(request, language, Trouble.WRONG, refused.wait_s, 403)
        answer = RedirectResponse(local_page(form.get("next", "")), 303)
        await self.let_in(request, answer, token)
        return answer

    async def note_refusal(self, request: Request, person: str) -> None:
        """Record that this person, as far as known, was not let in."""
        await self._control.took(Took.SIGN_IN_REFUSED, person, SCREEN, _address(request))

    async def let_in(self, request: Request, answer: Response, token: str) -> None:
        """Give the browser a new sign-in's token with the answer, and record it; what it had before ends.

        Who signs in where nothing can be recorded may still look.
        """
        if (person := self._people.of(token)) is not None:
            await self._control.took(Took.SIGN_IN, person.name, person.actor, _address(request))
        self._forget(request)
        self.forget_begun(request, answer)
        self._set(request, answer, token, _TOKEN, samesite="strict")

    def begun(self, request: Request) -> str | None:
        """What the browser was given when it went to the provider."""
        return request.cookies.get(self._cookie(request, _BEGUN))

    def set_begun(self, request: Request, answer: Response, sealed: str, lasts_s: int) -> None:
        """Give it that. It comes back by way of the provider, so strict cookies would not be sent."""
        self._set(request, answer, sealed, _BEGUN, samesite="lax", max_age=lasts_s)

    def forget_begun(self, request: Request, answer: Response) -> None:
        """Take that back."""
        self._set(request, answer, "", _BEGUN, samesite="lax", max_age=0)

    async def sign_out(self, request: Request, language: Language, onward: Response | None = None) -> Response:
        """Take the form that ends a sign-in; `onward` leads to where else it has to end."""
        person = self.person(request)
        if person is not None and not await self.has_form_token(request, person):
            return PlainTextResponse("this form is of another sign-in\n", 403)
        self._forget(request)
        if self._proxied and self._proxied.names_somebody(request):
            onward = page_onward(self._proxied.sign_out, language)
        answer = onward or RedirectResponse("/chairs", 303)
        self._set(request, answer, "", _TOKEN, samesite="strict", max_age=0)
        return answer

    def _forget(self, request: Request) -> None:
        if token := self._token(request):
            self._people.sign_out(token)

    def _token(self, request: Request) -> str | None:
        return request.cookies.get(self._cookie(request, _TOKEN))

    def _set(
        self,
        request: Request,
        answer: Response,
        value: str,
        name: str,
        *,
        samesite: Literal["strict", "lax"],
        max_age: int | None = None,
    ) -> None:
        """Set a cookie that no script sees and that goes over TLS alone where the page does."""
        cookie, secure = self._cookie(request, name), self._is_secure(request)
        answer.set_cookie(cookie, value, max_age, httponly=True, samesite=samesite, secure=secure)

    def _cookie(self, request: Request, name: str) -> str:
        """A browser takes a __Host- cookie over TLS alone, and from no other host of the domain."""
        return f"__Host-{name}" if self._is_secure(request) else name

    def _is_secure(self, request: Request) -> bool:
        return self._plan.tls is not None or request.url.scheme == "https"

    def _is_screen(self, request: Request) -> bool:
        return request.client is not None and self._plan.may_look(request.client.host)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name; what is no form has none. The guard bounds its length."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=16).items()}
    except ValueError:  # too many fields
        return {}


def local_page(target: str) -> str:
    """A page of ours to go to; never another host."""
    return (
        target
        if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
        else "/chairs"
    )
