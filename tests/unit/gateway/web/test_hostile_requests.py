"""What hostile clients and other sites' pages try against every route of the page: files, hosts, origins, sign-ins."""

import re
from itertools import product
from pathlib import Path

import pytest
from starlette.routing import Route

from gateway.config.roles import Role
from gateway.ledger.access import Actor
from gateway.web.accounts import Account, read_accounts, write_accounts
from gateway.web.app import PageApp
from gateway.web.screens import STATIC, assets
from tests.unit.gateway.web.asgi import called
from tests.unit.gateway.web.page_app import ELSEWHERE, HASHED, cookie_of, page_app, serving
from tests.unit.gateway.web.page_client import Answered, ask

SIGN_IN = b"name=m.curie&secret=correct+horse"
CANARY = "QZCANARY"
PUBLIC = {"/", "/sign-in", "/static/{version}/{name:path}", "/texts/{version}/{language}.json", "/language/{language}"}
NOT_CONFIGURED = {"/sign-in/sso", "/sign-in/sso/return"}
NAMED = {"{token}": "9RX2M7KQ4", "{line}": "net-1", "{version}": "1", "{name:path}": "x.js", "{language}": "en"}


def with_admin(folder: Path) -> None:
    admin = Account(name="a.dmin", role=Role.ADMIN, password=HASHED)
    write_accounts(folder, read_accounts(folder).with_account(admin))


async def signed_in(app: PageApp, name: str = "m.curie") -> str:
    answer = await called(app.application, "POST", "/sign-in", SIGN_IN.replace(b"m.curie", name.encode()))
    assert answer.status == 303
    return cookie_of(answer)


def filled(route: Route) -> str:
    path = route.path
    for name, value in NAMED.items():
        path = path.replace(name, value)
    return path


def methods(route: Route) -> list[str]:
    return sorted((route.methods or set()) - {"HEAD"})


DOTS = ["..", "%2e%2e", "%252e%252e", "..%00", ".%2e", "%c0%ae%c0%ae", "%u002e%u002e", "..;"]
SLASHES = ["/", "%2f", "%5c", "\\\\", "//", "%252f"]
STARTS = [f"/static/{assets()}/", "/static/", "/capture/", f"/texts/{assets()}/", "/record/"]
FILES = ["accounts.json", "secrets/oidc", "/etc/passwd"]


async def test_no_path_leads_to_a_file_that_is_not_the_pages(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    (folder / "secrets").mkdir(parents=True)
    for name in ("accounts.json.old", "secrets/oidc", "gateway.toml", "ledger.db"):
        (folder / name).write_text(CANARY)
    app = page_app(folder)
    with_admin(folder)
    cookie = await signed_in(app, "a.dmin")
    forms = [f"{start}{(dots + slash) * deep}{file}" for start, dots, slash, file, deep in
             product(STARTS, DOTS, SLASHES, FILES, (1, 6))]  # fmt: skip
    forms += [f"/static/{assets()}/{folder}/secrets/oidc", f"/static/{assets()}//etc/passwd", "/capture/net-1%00.x"]
    assert len(forms) > 300
    for form in forms:
        answer = await called(app.application, "GET", form, headers={"cookie": cookie})
        assert answer.status in (303, 404), form
        assert not re.search(f"{CANARY}|root:|badge_key", answer.body), form
    app.ledger.close()


async def test_without_a_sign_in_nothing_is_shown_but_how_to_sign_in(tmp_path: Path) -> None:
    app = page_app(tmp_path, ELSEWHERE)
    for route in app.routes:
        for method in methods(route):
            answer = await called(app.application, method, filled(route), b"{}" if method == "POST" else None)
            if route.path in NOT_CONFIGURED:
                assert answer.status == 404
            elif route.path in PUBLIC or (route.path, method) == ("/sign-out", "POST"):
                assert answer.status in (200, 303, 403, 404), route.path
            else:
                assert answer.status == 401, route.path
            assert (
                "set-cookie" not in answer.headers
                or "capgate-language" in answer.headers["set-cookie"]
                or (route.path == "/sign-out")
            )
    app.ledger.close()


async def test_no_host_and_no_origin_but_its_own_reaches_any_route(tmp_path: Path) -> None:
    app = page_app(tmp_path)
    cookie = await signed_in(app)
    for route in app.routes:
        for method in methods(route):
            body = b"{}" if method == "POST" else None
            for forged in ("evil.example", "localhost.evil.example", "10.20.0.5:9480", "localhost@evil.example"):
                sent = {"host": forged, "origin": f"http://{forged}" if body is not None else "", "cookie": cookie}
                assert (await called(app.application, method, filled(route), body, headers=sent)).status == 403
            for origin in ("http://evil.example", "null", "", "https://localhost") if body is not None else ():
                sent = {"origin": origin, "cookie": cookie}
                assert (await called(app.application, method, filled(route), body, headers=sent)).status == 403
    app.ledger.close()


async def refuses(line: bytes, by: Actor) -> bytes:
    """A control service that takes nothing."""
    return b'{"ok":false,"error":"no","accepted":""}'


async def test_no_other_site_is_told_anything(tmp_path: Path) -> None:
    app = page_app(tmp_path, tell=refuses)
    cookie = await signed_in(app)
    for route in app.routes:
        if route.path in ("/events", "/diagnose"):  # an endless answer, and one that takes a minute; their heads below
            continue
        for method in methods(route):
            asked = {"origin": "http://evil.example", "cookie": cookie} if method == "GET" else {"cookie": cookie}
            answer = await called(
                app.application, method, filled(route), b"" if method == "POST" else None, headers=asked
            )
            assert not [name for name in answer.headers if name.startswith("access-control")], route.path
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["x-content-type-options"] == "nosniff"
        preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        assert (await called(app.application, "OPTIONS", filled(route), headers=preflight)).status == 405
    app.ledger.close()


@pytest.mark.parametrize("path", ["/acts", "/touch", "/sign-out", "/api/days/charted?from=2026-03-09&to=2026-03-09"])
async def test_nothing_is_told_without_the_token_of_this_sign_in(tmp_path: Path, path: str) -> None:
    app = page_app(tmp_path)
    cookie, other = await signed_in(app), await signed_in(app)
    page = await called(app.application, "GET", "/chairs", headers={"cookie": other})
    of_another = page.body.partition('data-form-token="')[2].partition('"')[0]
    for token in ("", "x", of_another, of_another.swapcase()):
        sent = {"cookie": cookie, "x-form-token": token}
        assert (await called(app.application, "POST", path, b"{}", headers=sent)).status in (401, 403)
    still = await called(app.application, "GET", "/chairs", headers={"cookie": cookie})
    assert "m.curie" in still.body
    app.ledger.close()


async def test_a_web_socket_is_none_and_needs_the_sign_in_as_well(tmp_path: Path) -> None:
    wanted = {
        "upgrade": "websocket",
        "connection": "Upgrade, close",
        "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec_websocket_version": "13",
    }
    async with serving(tmp_path, ELSEWHERE) as server:
        for path in ("/events", "/api/session/9RX2M7KQ4", "/acts"):
            answer: Answered = await ask(server, "GET", path, None, **wanted)
            assert answer.status in (401, 405)


def test_no_page_has_a_script_or_a_style_within() -> None:
    """The policy forbids them; a page that had some would not work, and one that needs them would be a hole."""
    for template in (STATIC.parent / "templates").glob("*.html"):
        html = template.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:|<style|\|\s*safe\b", html), template
    for script in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script.read_text()
        )
