"""The page's routes: screens, their scripts and texts, and the events that keep them live."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.audit.shadow import Charted, ChartUnreadable, read_chart
from gateway.config.web import PagePlan
from gateway.control.answers import Answer
from gateway.control.session_finder import TOKEN
from gateway.ledger.access import Looked, Took
from gateway.runtime.http import Application
from gateway.web.activity import asked, found_in, rows
from gateway.web.acts import Acts
from gateway.web.control import SCREEN, Control, Tell
from gateway.web.days import MAX_DAYS, DaysAnswer, Period, days_answer, days_table, period_of
from gateway.web.downloads import Downloads
from gateway.web.feed import BoardFeed
from gateway.web.files import PageFiles
from gateway.web.guard import Guard
from gateway.web.ledger_thread import LedgerThread
from gateway.web.people import People, SignedIn
from gateway.web.privacy import without_identifiers, without_message_ids, without_staff
from gateway.web.records import record_page
from gateway.web.screens import page
from gateway.web.shared_reads import SharedReads
from gateway.web.signing import Signing
from gateway.web.single_sign_on import RETURN, SingleSignOn
from gateway.web.vouching import Clocks

Endpoint = Callable[[Request], Awaitable[Response]]


class PageApp:
    """The page, as an ASGI application."""

    def __init__(
        self,
        plan: PagePlan,
        feed: BoardFeed,
        people: People,
        tell: Tell,
        ledger: LedgerThread,
        downloads: Downloads,
        clocks: Clocks,
    ) -> None:
        self._plan = plan
        self._feed = feed
        self.control = Control(tell)
        self.ledger = ledger
        self._shared = SharedReads[DaysAnswer](ledger, clocks.steady_s)
        self._signing = Signing(plan, people, self.control)
        self._sso = plan.oidc and SingleSignOn(plan.oidc, self._signing, people, clocks)
        acts = Acts(self._signing, self.control)
        self._files = PageFiles(plan)
        self._downloads = downloads
        self.routes = [
            Route("/", self._start),
            Route("/chairs", self._for_lookers(self._chairs)),
            Route("/session/{token}", self._for_lookers(self._session)),
            Route("/record/{token}", self._record),
            Route("/todo", self._for_lookers(self._todo)),
            Route("/equipment", self._for_lookers(self._equipment)),
            Route("/days", self._for_lookers(self._days)),
            Route("/days.csv", self._days_table),
            Route("/delivery", self._for_lookers(self._delivery)),
            Route("/activity", self._for_act("activity", self._activity)),
            Route("/capture/{line}", self._for_act("capture", downloads.capture)),
            Route("/diagnose", self._for_act("diagnose", self._diagnose)),
            Route("/api/session/{token}", self._for_lookers(self._session_data)),
            Route("/api/todo", self._for_lookers(self._todo_data)),
            Route("/api/visits", self._for_act("bind", self._visits_data)),
            Route("/api/equipment", self._for_lookers(self._equipment_data)),
            Route("/api/days", self._for_lookers(self._days_data)),
            Route("/api/days/charted", self._charted_data, methods=["POST"]),
            Route("/api/delivery", self._for_lookers(self._delivery_data)),
            Route("/api/status", self._for_lookers(self._status_data)),
            Route("/api/feed", self._for_lookers(self._feed_data)),
            Route("/events", self._for_lookers(self._events)),
            Route("/sign-in", self._sign_in, methods=["GET", "POST"]),
            Route("/sign-in/sso", self._sign_in_elsewhere),
            Route(RETURN, self._signed_in_elsewhere),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route("/acts", acts.take, methods=["POST"]),
            Route("/touch", self._touch, methods=["POST"]),
            *self._files.routes,
        ]
        pages = Starlette(routes=self.routes)
        pages.router.redirect_slashes = False  # no address is nearly one of these
        self.application: Application = Guard(pages, plan)

    def _for_lookers(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, for those alone who may look."""

        async def answer(request: Request) -> Response:
            if self._signing.may_look(request):
                return await endpoint(request)
            return _sign_in_first(request)

        return answer

    def _for_act(self, act: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint, for those alone who signed in in a role that may do the act."""

        async def answer(request: Request) -> Response:
            person = self._signing.person(request)
            if person is None:
                return _sign_in_first(request)
            if act not in person.may:
                return PlainTextResponse(f"not for the role {person.role}\n", 403)
            self._signing.touch(request)
            return await endpoint(request)

        return answer

    async def _start(self, request: Request) -> Response:
        return RedirectResponse("/chairs", 303)

    async def _chairs(self, request: Request) -> Response:
        return self._screen(request, "chairs")

    async def _session(self, request: Request) -> Response:
        return self._screen(request, "session")

    async def _todo(self, request: Request) -> Response:
        return self._screen(request, "todo")

    async def _equipment(self, request: Request) -> Response:
        return self._screen(request, "equipment")

    async def _days(self, request: Request) -> Response:
        return self._screen(request, "days")

    async def _delivery(self, request: Request) -> Response:
        return self._screen(request, "delivery")

    async def _activity(self, request: Request) -> Response:
        """Who did what and who looked at whom; it names no patient."""
        wanted = asked(request.query_params)
        found = await self.ledger.read(lambda ledger: found_in(ledger, wanted))
        return page(
            "activity.html",
            self._files.language(request),
            screen="activity",
            person=self._signing.person(request),
            wanted=wanted,
            found=found,
            rows=[] if found is None else list(rows(found)),
        )

    def _screen(self, request: Request, name: str) -> Response:
        """A screen, opened by a person, which counts as a touch."""
        self._signing.touch(request)
        person = self._signing.person(request)
        return page(f"{name}.html", self._files.language(request), screen=name, person=person, price=self._plan.price)

    async def _record(self, request: Request) -> Response:
        """The session's record, for whoever signed in: it tells throughout of whom, and by whom it was told."""
        person = self._signing.person(request)
        if person is None:
            return _sign_in_first(request)
        self._signing.touch(request)
        token = request.path_params["token"]
        if not TOKEN.fullmatch(token):
            return _no_session()
        if not await self.control.leave_trace(Looked.RECORD, [token], person.actor):
            return _json(None)
        return await self.ledger.answer(partial(record_page, token, language=self._files.language(request)))

    async def _ask(self, request: Request, line: bytes) -> bytes | None:
        """The control service's answer, in the name of who is signed in."""
        person = self._signing.person(request)
        return await self.control.ask(line, SCREEN if person is None else person.actor)

    async def _session_data(self, request: Request) -> Response:
        """What the session's screen shows; what identifies the patient to those alone who signed in."""
        token = request.path_params["token"]
        if not TOKEN.fullmatch(token):  # a visit's number would find its session, too
            return _no_session()
        person = self._signing.person(request)
        identify = person is not None
        asked = msgspec.json.encode({"request": "screen", "token": token, "identify": identify})
        answer = await self._ask(request, asked)
        if answer is not None and not msgspec.json.decode(answer, type=Answer).ok:
            return _no_session()
        return _json(without_identifiers(answer) if answer is not None and not identify else answer)

    async def _todo_data(self, request: Request) -> Response:
        """What waits; who sees to it to those alone who signed in."""
        answer = await self._ask(request, b'{"request":"todo"}')
        if answer is not None and self._signing.person(request) is None:
            answer = without_staff(answer)
        return _json(answer)

    async def _days_data(self, request: Request) -> Response:
        """The sessions of some days; people and what they said to those alone who signed in."""
        period = period_of(request.query_params)
        return _no_period() if period is None else await self._days_of(period, (), self._signing.person(request))

    async def _charted_data(self, request: Request) -> Response:
        """The same beside the minutes charted by hand in the CSV that is sent, of which nothing is kept."""
        person, period = self._signing.person(request), period_of(request.query_params)
        if person is None or not await self._signing.has_form_token(request, person):
            return PlainTextResponse("sign in first\n", 401)
        self._signing.touch(request)
        if period is None:
            return _no_period()
        try:
            charted = read_chart((await request.body()).decode("utf-8-sig"))
        except UnicodeDecodeError:
            return PlainTextResponse("not UTF-8\n", 400)
        except ChartUnreadable as unreadable:
            return PlainTextResponse(f"{unreadable}\n", 400)
        return await self._days_of(period, charted, person)

    async def _days_of(self, period: Period, charted: Sequence[Charted], person: SignedIn | None) -> Response:
        made = partial(days_answer, period, charted, identify=person is not None)
        found = await (self._shared.read(period, made) if person is None else self.ledger.read(made))
        if found is None:
            return _unread()
        tokens = [row.session for row in found.sessions]
        if person is not None and not await self.control.leave_trace(Looked.LIST, tokens, person.actor):
            return _json(None)
        return _json(msgspec.json.encode(found))

    async def _days_table(self, request: Request) -> Response:
        """The sessions of some days as CSV, for whoever signed in."""
        person, period = self._signing.person(request), period_of(request.query_params)
        if person is None:
            return _sign_in_first(request)
        self._signing.touch(request)
        if period is None:
            return _no_period()
        found = await self.ledger.read(partial(days_answer, period, (), identify=True))
        if found is None:
            return _unread()
        if not await self.control.leave_trace(Looked.EXPORT, [row.session for row in found.sessions], person.actor):
            return _json(None)
        return days_table(period, found.sessions)

    async def _diagnose(self, request: Request) -> Response:
        """The diagnose archive, given away once it is recorded who takes it."""
        person, answer = self._signing.person(request), await self._downloads.diagnose(request)
        if person is None or answer.status_code != HTTPStatus.OK:
            return answer
        return answer if await self.control.took(Took.DIAGNOSE, person.name, person.actor) else _json(None)

    async def _visits_data(self, request: Request) -> Response:
        """Today's visits, for whoever may bind one."""
        person = self._signing.person(request)
        return _json(None if person is None else await self.control.ask(b'{"request":"visits"}', person.actor))

    async def _equipment_data(self, request: Request) -> Response:
        return _json(await self._ask(request, b'{"request":"equipment"}'))

    async def _delivery_data(self, request: Request) -> Response:
        return _json(await self._ask(request, b'{"request":"delivery"}'))

    async def _status_data(self, request: Request) -> Response:
        return _json(await self._ask(request, b'{"request":"status"}'))

    async def _feed_data(self, request: Request) -> Response:
        """What became of the engine's messages; their ids for those alone who signed in."""
        answer = await self._ask(request, b'{"request":"feed"}')
        if answer is not None and self._signing.person(request) is None:
            answer = without_message_ids(answer)
        return _json(answer)

    async def _sign_in(self, request: Request) -> Response:
        language = self._files.language(request)
        if request.method == "POST":
            return await self._signing.sign_in(request, language)
        return self._signing.form(request, language)

    async def _sign_in_elsewhere(self, request: Request) -> Response:
        return await self._sso.begin(request, self._files.language(request)) if self._sso else _no_provider()

    async def _signed_in_elsewhere(self, request: Request) -> Response:
        return await self._sso.returned(request, self._files.language(request)) if self._sso else _no_provider()

    async def _sign_out(self, request: Request) -> Response:
        person, language, onward = self._signing.person(request), self._files.language(request), None
        if self._sso and person and person.id_token and await self._signing.has_form_token(request, person):
            onward = await self._sso.sign_out(person, request, language)
        return await self._signing.sign_out(request, language, onward)

    async def _touch(self, request: Request) -> Response:
        person = self._signing.person(request)
        if person is None or not await self._signing.has_form_token(request, person):
            return PlainTextResponse("sign in first\n", 401)
        self._signing.touch(request)
        return Response(status_code=204)

    async def _events(self, request: Request) -> Response:
        if self._feed.full:
            return PlainTextResponse("too many screens\n", 503)
        events = self._feed.events(lambda: self._signing.may_look(request))
        return StreamingResponse(events, media_type="text/event-stream")


def _sign_in_first(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(asked)}", 303)
    return PlainTextResponse("sign in first\n", 401)


def _no_provider() -> Response:
    return PlainTextResponse("no provider is configured\n", 404)


def _unread() -> Response:
    return PlainTextResponse("the ledger could not be read in time: ask for fewer days, or see the log\n", 503)


def _no_period() -> Response:
    return PlainTextResponse(f"accepted: from and to, two dates of at most {MAX_DAYS} days\n", 400)


def _no_session() -> Response:
    return PlainTextResponse("no such session\n", 404)


def _json(body: bytes | None) -> Response:
    if body is None:
        return PlainTextResponse("the gateway cannot record any more\n", 503)
    return Response(body, media_type="application/json")
