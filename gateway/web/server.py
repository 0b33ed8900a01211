"""Serves the suite's page beside the polling: bounded, and never in its way."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.config.web import PageFiles, PagePlan
from gateway.ledger.store import LEDGER_FILE
from gateway.monitoring.health import why_unserved
from gateway.runtime.certificates import take_up_renewed
from gateway.runtime.clock import US_PER_S, SystemClock
from gateway.runtime.http import Application, HttpLimits, HttpServer
from gateway.web.app import PageApp
from gateway.web.control import Tell
from gateway.web.downloads import Downloads
from gateway.web.exposure import exposure_refused
from gateway.web.feed import AskBoard, BoardFeed
from gateway.web.ledger_thread import LedgerThread
from gateway.web.people import People
from gateway.web.vouching import Clocks

_log = logging.getLogger("capgate.web")

LIMITS = HttpLimits(connections=96, per_address=64, head_bytes=16 * 1024, timeout_s=lambda: 10.0)


async def serve_page(plan: PagePlan, state_dir: Path, config_file: Path, board: AskBoard, tell: Tell) -> str:
    """Serve the page until cancelled; `state_dir` has the accounts' file and the ledger, `config_file` is gateway.toml.

    Raises LedgerError, in a group, where recording is no longer possible. If its address cannot be bound, or nobody
    could sign in there, the gateway runs without the page; returns why the address could not be bound.
    """
    feed = BoardFeed(board)
    clocks = _clocks()
    people = People(state_dir, clocks.steady_s)
    ledger = LedgerThread(state_dir / LEDGER_FILE)
    app = PageApp(plan, feed, people, tell, ledger, Downloads(state_dir, config_file), clocks)

    async def live() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run())
            group.create_task(app.control.failed())

    try:
        return await serve(plan, state_dir, app.application, live)
    finally:
        ledger.close()


async def serve(plan: PagePlan, state_dir: Path, app: Application, live: Callable[[], Awaitable[object]]) -> str:
    """Serve the application while `live` runs; if it cannot be served returns why its address cannot be bound."""
    if plan.listen is None:
        return ""
    if refused := exposure_refused(plan, state_dir):
        _log.error("no page", extra={"listen": plan.listen, "reason": refused})
        return ""
    tls = plan.tls and _context(plan.tls)
    server = HttpServer(app, plan.listen, LIMITS, tls)
    try:
        await server.__aenter__()
    except OSError as error:
        _log.error("no page", extra={"listen": plan.listen, "reason": str(error)})
        return why_unserved(plan.listen, error)
    try:
        async with asyncio.TaskGroup() as group:
            if plan.tls and tls:
                group.create_task(take_up_renewed(tls, plan.tls.cert, plan.tls.key))
            group.create_task(_until_over(live))
        return ""
    finally:
        await server.__aexit__(None, None, None)


async def _until_over(live: Callable[[], Awaitable[object]]) -> None:
    await live()


def _clocks() -> Clocks:
    """The machine's wall clock as it is now, for it is compared with the provider's; not the gateway's stamps."""
    clock = SystemClock()
    return Clocks(lambda: (clock.now().utc_us + clock.step_us()) / US_PER_S, asyncio.get_running_loop().time)


def _context(files: PageFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.cert, files.key)
    return context
