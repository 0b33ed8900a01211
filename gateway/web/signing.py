"""The sign-in page, and who stands behind a request."""

import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from gateway.config.tables import Language
from gateway.config.web import PagePlan
from gateway.web.people import People, SignedIn, SignInRefused
from gateway.web.screens import page

FORM_TOKEN_HEADER = "x-form-token"


class Signing:
    """Signs people in and out."""

    def __init__(self, plan: PagePlan, people: People) -> None:
        self._plan = plan
        self._people = people
        # A browser takes a __Host- cookie over TLS alone, and from no other host of the domain.
        self._cookie = "__Host-capgate" if plan.tls else "capgate"

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

    def form(self, request: Request, language: Language, wait_s: float | None = None, status: int = 200) -> Response:
        """The sign-in page; `wait_s` after a refusal."""
        return page(
            "sign-in.html",
            language,
            status,
            screen="sign-in",
            person=self.person(request),
            next=_local(request.query_params.get("next", "")),
            refused=wait_s is not None,
            wait_s=round(wait_s or 0),
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
            return self.form(request, language, refused.wait_s, 403)
        self._forget(request)
        answer = RedirectResponse(_local(form.get("next", "")), 303)
        answer.set_cookie(self._cookie, token, httponly=True, samesite="strict", secure=self._plan.tls is not None)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Take the form that ends a sign-in."""
        person = self.person(request)
        if person is not None and not await self.has_form_token(request, person):
            return PlainTextResponse("this form is of another sign-in\n", 403)
        self._forget(request)
        answer = RedirectResponse("/chairs", 303)
        answer.delete_cookie(self._cookie, httponly=True, samesite="strict", secure=self._plan.tls is not None)
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


def _local(target: str) -> str:
    """A page of ours to go to; never another host."""
    return (
        target
        if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
        else "/chairs"
    )
