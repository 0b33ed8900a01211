"""What every page is made of: scripts, style sheets and texts, and the language that a person chose for them."""

from mimetypes import guess_type

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.config.web import PagePlan
from gateway.session.wording import Language
from gateway.web.catalogue import language_of, texts_of
from gateway.web.screens import STATIC, assets

LANGUAGE_COOKIE = "capgate-language"
_YEAR_S = 365 * 86_400
_FOREVER = {"cache-control": f"public, max-age={_YEAR_S}, immutable"}  # the version stands in the address


class PageFiles:
    """The routes to these files."""

    def __init__(self, plan: PagePlan) -> None:
        self._plan = plan
        self._files = {str(path.relative_to(STATIC)): path for path in STATIC.rglob("*") if path.is_file()}
        self.routes = [
            Route("/static/{version}/{name:path}", self._static),
            Route("/texts/{version}/{language}.json", self._texts),
            Route("/language/{language}", self._choose_language),
        ]

    def language(self, request: Request) -> Language:
        """The person's language, else the browser's, else the site's."""
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        return language_of(chosen, request.headers.get("accept-language", ""), self._plan.language)

    async def _static(self, request: Request) -> Response:
        path = self._files.get(request.path_params["name"])
        if path is None or request.path_params["version"] != assets():
            return PlainTextResponse("no such file\n", 404)
        return Response(path.read_bytes(), media_type=guess_type(path.name)[0], headers=_FOREVER)

    async def _texts(self, request: Request) -> Response:
        language = request.path_params["language"]
        if language not in list(Language):
            return PlainTextResponse("no such file\n", 404)
        texts = texts_of(Language(language))
        return Response(msgspec.json.encode(texts), media_type="application/json", headers=_FOREVER)

    async def _choose_language(self, request: Request) -> Response:
        chosen = language_of(request.path_params["language"], "", self._plan.language)
        answer = RedirectResponse("/chairs", 303)
        answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="strict")
        return answer
