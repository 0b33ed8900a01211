"""The page's application with one account, as its tests serve it, and the ways to sign in at it."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlencode

from gateway.config.roles import Role
from gateway.config.single_sign_on import OidcPlan, RoleMap
from gateway.config.web import PagePlan
from gateway.control.board import BoardAnswer
from gateway.control.requests import Board
from gateway.ledger.access import Actor
from gateway.ledger.store import LEDGER_FILE
from gateway.runtime.http import HttpServer
from gateway.web.accounts import Account, hash_secret, read_accounts, write_accounts
from gateway.web.app import PageApp
from gateway.web.control import Tell
from gateway.web.downloads import Downloads
from gateway.web.feed import AskBoard, BoardFeed
from gateway.web.ledger_thread import TIMEOUT_S, LedgerThread
from gateway.web.people import People
from gateway.web.server import LIMITS
from gateway.web.vouching import Clocks
from tests.unit.gateway.web.page_client import Answered, Listening, ask

HASHED = hash_secret("correct horse")
HERE = (ip_network("127.0.0.0/8"),)
SCREEN = PagePlan(("127.0.0.1", 9480), screens=HERE)
ELSEWHERE = PagePlan(("127.0.0.1", 9480))

PROVIDER = OidcPlan(
    issuer="https://login.example",
    client_id="capgate",
    client_secret=Path("secret"),
    scopes=("openid", "profile"),
    login_claim="preferred_username",
    name_claim="name",
    roles_claim="groups",
    roles=RoleMap((("deciders", Role.CHARGE), ("nurses", Role.NURSE)), None),
    max_age_s=None,
    lasts_s=3600,
    leeway_s=60,
)


async def no_board(request: Board) -> BoardAnswer:
    raise NotImplementedError


async def _takes_traces(line: bytes, by: Actor) -> bytes:
    """A control service that records who reads a record or takes an archive, and nothing else."""
    if not line.startswith((b'{"request":"looked"', b'{"request":"took"')):
        raise NotImplementedError
    return b'{"ok":true,"done":"recorded"}'


def page_app(
    folder: Path,
    plan: PagePlan = SCREEN,
    tell: Tell | None = None,
    board: AskBoard | None = None,
    ledger_timeout_s: float = TIMEOUT_S,
    now_s: Callable[[], float] = lambda: 0.0,
) -> PageApp:
    """The page, with the one account."""
    account = Account(name="m.curie", role=Role.NURSE, password=HASHED)
    write_accounts(folder, read_accounts(folder).with_account(account))
    return PageApp(
        plan,
        BoardFeed(board or no_board),
        People(folder, now_s),
        tell or _takes_traces,
        LedgerThread(folder / LEDGER_FILE, ledger_timeout_s),
        Downloads(folder, folder / "gateway.toml"),
        Clocks(time.time, now_s),
    )


@asynccontextmanager
async def serving(
    folder: Path,
    plan: PagePlan = SCREEN,
    tell: Tell | None = None,
    board: AskBoard | None = None,
    ledger_timeout_s: float = TIMEOUT_S,
    now_s: Callable[[], float] = lambda: 0.0,
) -> AsyncGenerator[HttpServer]:
    app = page_app(folder, plan, tell, board, ledger_timeout_s, now_s)
    async with HttpServer(app.application, ("127.0.0.1", 0), LIMITS) as server:
        yield server
    app.ledger.close()


async def sign_in(server: Listening, secret: str = "correct horse", **more: str) -> Answered:
    fields = {"name": "m.curie", "secret": secret, **more}
    return await ask(server, "POST", "/sign-in", urlencode(fields).encode())


def cookie_of(answer: Answered) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


async def form_token_of(server: Listening, cookie: str) -> str:
    """What each form of that sign-in carries."""
    page = (await ask(server, "GET", "/chairs", cookie=cookie)).body
    return page.partition('data-form-token="')[2].partition('"')[0]


@asynccontextmanager
async def signed_in(
    folder: Path, ledger: bytes, timeout_s: float = TIMEOUT_S
) -> AsyncGenerator[tuple[HttpServer, str]]:
    """The page beside that ledger, and the cookie of somebody who signed in."""
    (folder / LEDGER_FILE).write_bytes(ledger)
    async with serving(folder, ledger_timeout_s=timeout_s) as server:
        yield server, cookie_of(await sign_in(server))
