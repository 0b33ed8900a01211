"""The page while nothing is counted: what is the matter, and what a person must do.

Whoever reaches the page reads it, so it names no unit, no patient and no place in the program. Acts are refused, and
none is kept for later. A screen that is open says the same in place of "live".
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.config.web import PagePlan
from gateway.monitoring.health import Uncounted
from gateway.runtime.http import Application
from gateway.web.feed import HEARTBEAT_S, event
from gateway.web.files import PageFiles
from gateway.web.guard import Guard
from gateway.web.screens import page
from gateway.web.server import serve


class _Said(msgspec.Struct, frozen=True):
    """What screens that are open are told."""

    uncounted: Uncounted


def uncounted_app(plan: PagePlan, why: Uncounted, refuse: Callable[[], bytes]) -> Application:
    """The page, as an ASGI application; `refuse` gives the answer to each act."""
    files = PageFiles(plan)

    async def screen(request: Request) -> Response:
        language = files.language(request)
        return page(
            "uncounted.html", language, HTTPStatus.SERVICE_UNAVAILABLE, screen="uncounted", person=None, why=why
        )

    async def acts(_request: Request) -> Response:
        return Response(refuse(), HTTPStatus.SERVICE_UNAVAILABLE, media_type="application/json")

    async def events(_request: Request) -> Response:
        return StreamingResponse(_events(why), media_type="text/event-stream")

    routes = [
        Route("/acts", acts, methods=["POST"]),
        Route("/events", events),
        *files.routes,
        Route("/{path:path}", screen, methods=["GET", "POST"]),
    ]
    return Guard(Starlette(routes=routes), plan)


async def serve_uncounted(plan: PagePlan, state_dir: Path, why: Uncounted, refuse: Callable[[], bytes]) -> None:
    """Serve the page until cancelled; without it where its address cannot be bound."""
    await serve(plan, state_dir, uncounted_app(plan, why, refuse), asyncio.Event().wait)


async def _events(why: Uncounted) -> AsyncGenerator[bytes]:
    while True:  # ends with the connection
        yield event(_Said(why))
        await asyncio.sleep(HEARTBEAT_S)
