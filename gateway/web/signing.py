"""The sign-in page, and who stands behind a request."""

import secrets
from enum import StrEnum
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from gateway.config.tables import Language
from gateway.config.web import PagePlan
from gateway.web.people import People, SignedIn, SignInRefused
from gateway.web.screens import page

FORM_TOKEN_HEADER = "x-form-token"


class Trouble(StrEnum):
    """Why nobody is signed in, as the sign-in page says it."""

    WRONG = "wrong"  # what was typed or scanned
    UNAVAILABLE = "unavailable"  # the provider
    REFUSED = "refused"  # by the provider, or what it said is not accepted
    STALE = "stale"  # begun too long ago, or in another browser
    NO_ROLE = "no-role"


class Signing:
    """Signs people in and out."""

    def __init__(self, plan: PagePlan, people: People) -> None:
        self._plan = plan
        self._people = people
        # A browser takes a __Host- cookie over TLS alone, and from no other host of the domain.
        self._cookie = "__Host-capgate" if plan.tls else "capgate"
        self._begun_cookie = f"{self._cookie}-begun"

    @property
    def _secure(self) -> bool:
        return self._plan.tls is not None

    def person(self, request: Request) -> SignedIn | None:
        """Who is signed in at the browser that asks."""
        token = request.cookies.get(self._cookie)
        return self._people.of(token) if token else None

    def may_look(self, request: Request) -> bool:
        """Whether the browser is a screen of the suite's, or somebody is signed in at it."""
        screen = request.client is not None and self._plan.may_look(request.client.host)
        return screen or self.person(request) is not None

    def touch(self, request: Request) -> None:
        """Somebody did something at the browser."""
        if token := request.cookies.get(self._cookie):
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
        return page(
            "sign-in.html",
            language,
            status,
            screen="sign-in",
            person=self.person(request),
            next=local_page(request.query_params.get("next", "")),
            by_provider=self._plan.oidc is not None,
            trouble=trouble,
            wait_s=round(wait_s),
        )

    async def sign_in(self, request: Request, language: Language) -> Response:
        """Take the form: a badge, or a name with a password or PIN."""
        form, address = await _form(request), request.client.host if request.client else ""
        try:
            if badge := form.get("badge", ""):
                token = self._people.sign_in_by_badge(address, badge)
            else:
                token = await self._people.sign_in(address, form.get("name", ""), form.get("secret", ""))
        except SignInRefused as refused:
            return self.form(request, language, Trouble.WRONG, refused.wait_s, 403)
        answer = RedirectResponse(local_page(form.get("next", "")), 303)
        self.let_in(request, answer, token)
        return answer

    def let_in(self, request: Request, answer: Response, token: str) -> None:
        """Give the browser a new sign-in's token with the answer; what it had before ends."""
        self._forget(request)
        self.forget_begun(answer)
        answer.set_cookie(self._cookie, token, httponly=True, samesite="strict", secure=self._secure)

    def begun(self, request: Request) -> str | None:
        """What the browser was given when it went to the provider."""
        return request.cookies.get(self._begun_cookie)

    def set_begun(self, answer: Response, sealed: str, lasts_s: int) -> None:
        """Give it that. It comes back by way of the provider, so strict cookies would not be sent."""
        answer.set_cookie(self._begun_cookie, sealed, lasts_s, httponly=True, samesite="lax", secure=self._secure)

    def forget_begun(self, answer: Response) -> None:
        """Take that back."""
        answer.delete_cookie(self._begun_cookie, httponly=True, samesite="lax", secure=self._secure)

    async def sign_out(self, request: Request, onward: Response | None = None) -> Response:
        """Take the form that ends a sign-in; the answer is `onward`, if anything."""
        person = self.person(request)
        if person is not None and not await self.has_form_token(request, person):
            return PlainTextResponse("this form is of another sign-in\n", 403)
        self._forget(request)
        answer = onward or RedirectResponse("/chairs", 303)
        answer.delete_cookie(self._cookie, httponly=True, samesite="strict", secure=self._secure)
        return answer

    def _forget(self, request: Request) -> None:
        if token := request.cookies.get(self._cookie):
            self._people.sign_out(token)


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
