"""People whom a reverse proxy signed in: its headers count from it alone, and from nobody who forges them."""

from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from gateway.config.roles import Role
from gateway.config.single_sign_on import ProxyPlan, RoleMap
from gateway.config.web import PagePlan
from gateway.ledger.access import Actor
from gateway.web.accounts import Account, no_accounts, write_accounts
from tests.unit.gateway.web.page_app import SCREEN, cookie_of, serving, sign_in
from tests.unit.gateway.web.page_client import Answered, Listening, ask

PROXY = ProxyPlan(
    addresses=(ip_network("127.0.0.0/24"),),
    scheme="https",
    host="capgate.north.example",
    login_header="x-forwarded-user",
    name_header="x-forwarded-name",
    groups_header="x-forwarded-groups",
    separator=",",
    sign_out="https://login.north.example/out",
    roles=RoleMap((("deciders", Role.CHARGE), ("nurses", Role.NURSE)), None),
)
BY_PROXY = msgspec.structs.replace(SCREEN, proxy=PROXY)
ELSEWHERE = msgspec.structs.replace(
    SCREEN, proxy=msgspec.structs.replace(PROXY, addresses=(ip_network("10.20.0.9/32"),))
)
LINKED = Account(name="marie", role=Role.VIEWER, password="", provider_login="m.curie")
CURIE = {"x_forwarded_user": "m.curie", "x_forwarded_groups": "staff, nurses", "x_forwarded_name": "Marie Curie"}


async def by_proxy(
    server: Listening, headers: dict[str, str], method: str = "GET", path: str = "/chairs", body: bytes | None = None
) -> Answered:
    """What the proxy passes on; browsers see it at its own address."""
    named = {"host": PROXY.host, "origin": f"https://{PROXY.host}" if body is not None else ""}
    return await ask(server, method, path, body, **{**named, **headers})


async def test_whom_it_names_is_signed_in_and_recorded_as_its(tmp_path: Path) -> None:
    told: list[tuple[bytes, Actor]] = []

    async def tell(line: bytes, by: Actor) -> bytes:
        told.append((line, by))
        return b'{"ok":true,"done":"recorded"}'

    async with serving(tmp_path, BY_PROXY, tell) as server:
        page = (await by_proxy(server, CURIE)).body
        assert "Marie Curie · nurse" in page
        token = page.partition('data-form-token="')[2].partition('"')[0]
        act = b'{"act":"note","place":"c01","text":"calm"}'
        assert (await by_proxy(server, CURIE | {"x_form_token": token}, "POST", "/acts", act)).status == 200
        other = CURIE | {"x_forwarded_user": "p.curie"}
        assert (await by_proxy(server, other | {"x_form_token": token}, "POST", "/acts", act)).status == 403
        write_accounts(tmp_path, no_accounts().with_account(LINKED))
        assert (await by_proxy(server, CURIE | {"x_form_token": token}, "POST", "/acts", act)).status == 200
    assert [by for _, by in told] == [Actor("proxy:m.curie", "nurse"), Actor("page:marie", "nurse")]
    assert all(b'"person":"Marie Curie"' in line for line, _ in told)


async def test_names_in_utf_8_are_read(tmp_path: Path) -> None:
    async with serving(tmp_path, BY_PROXY) as server:
        assert "Zoë Müller · nurse" in (await by_proxy(server, CURIE | {"x_forwarded_name": "Zoë Müller"})).body


SPOOFS: dict[str, tuple[PagePlan, dict[str, str], int]] = {
    "from another address": (ELSEWHERE, {"host": PROXY.host, **CURIE}, 403),
    "from another address, by our own name": (ELSEWHERE, CURIE, 403),
    "from the proxy's machine, by our own name": (BY_PROXY, CURIE, 403),
    "groups alone": (ELSEWHERE, {"x_forwarded_groups": "deciders"}, 403),
    "an empty login": (ELSEWHERE, {"X_FORWARDED_USER": " "}, 403),
    "in other letters": (ELSEWHERE, {"X_Forwarded_USER": "m.curie"}, 403),
    "twice through the proxy": (BY_PROXY, {"host": PROXY.host, **CURIE, "X_Forwarded_User": "a.dmin"}, 400),
    "groups twice through the proxy": (BY_PROXY, {"host": PROXY.host, **CURIE, "X_Forwarded_Groups": "deciders"}, 400),
}


@pytest.mark.parametrize(("plan", "headers", "status"), SPOOFS.values(), ids=SPOOFS.keys())
async def test_from_anybody_else_they_are_refused(
    tmp_path: Path, plan: PagePlan, headers: dict[str, str], status: int
) -> None:
    async with serving(tmp_path, plan) as server:
        answer = await ask(server, "GET", "/chairs", None, **headers)
        assert (answer.status, "m.curie" in answer.body) == (status, False)
        assert (await ask(server, "GET", "/chairs")).status == 200, "without them it is a screen like any other"


@pytest.mark.parametrize("x_forwarded_for", ["10.20.0.9", "127.0.0.1, 10.20.0.9"])
async def test_no_header_says_where_a_request_comes_from(tmp_path: Path, x_forwarded_for: str) -> None:
    async with serving(tmp_path, ELSEWHERE) as server:
        headers = {"host": PROXY.host, "x_forwarded_for": x_forwarded_for, "forwarded": "for=10.20.0.9"}
        assert (await ask(server, "GET", "/chairs", None, **headers, **CURIE)).status == 403
        assert (await ask(server, "GET", "/chairs", None, **headers)).status == 403, "the proxy's name is not ours"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_forwarded_groups": "nurses"},
        {"x_forwarded_user": "m.curie", "x_forwarded_groups": "staff"},
        {"x_forwarded_user": "m.curie"},
        {"x_forwarded_user": "m" * 65, "x_forwarded_groups": "nurses"},
        {"x_forwarded_user": "m\u202ecurie", "x_forwarded_groups": "nurses"},
    ],
)
async def test_whom_it_does_not_name_or_has_no_role_may_not_even_look(tmp_path: Path, headers: dict[str, str]) -> None:
    async with serving(tmp_path, BY_PROXY) as server:
        assert (await by_proxy(server, headers)).status == 401, "the proxy is no screen, though its address is one's"
        refused = await by_proxy(server, headers, path="/sign-in")
        assert ("you have no role here" in refused.body) == ("x_forwarded_user" in headers)


async def test_one_may_sign_in_by_name_through_it(tmp_path: Path) -> None:
    async with serving(tmp_path, BY_PROXY) as server:
        body = b"name=m.curie&secret=correct+horse"
        answer = await by_proxy(server, {}, "POST", "/sign-in", body)
        assert answer.headers["set-cookie"].startswith("__Host-capgate=")
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "strict-transport-security" in answer.headers
        assert "m.curie · nurse" in (await by_proxy(server, {"cookie": cookie_of(answer)})).body
        here = await sign_in(server)
        assert here.headers["set-cookie"].startswith("capgate="), "a browser on this machine is not behind it"


@pytest.mark.parametrize("origin", ["http://capgate.north.example", "https://evil.example", "null", ""])
async def test_a_form_of_another_site_is_refused_behind_it_too(tmp_path: Path, origin: str) -> None:
    async with serving(tmp_path, BY_PROXY) as server:
        assert (await by_proxy(server, CURIE | {"origin": origin}, "POST", "/sign-out", b"")).status == 403


async def test_signing_out_leads_to_where_the_proxy_ends_it(tmp_path: Path) -> None:
    async with serving(tmp_path, BY_PROXY) as server:
        page = (await by_proxy(server, CURIE)).body
        token = page.partition('name="form_token" value="')[2].partition('"')[0]
        answer = await by_proxy(server, CURIE, "POST", "/sign-out", f"form_token={token}".encode())
        assert 'content="0; url=https://login.north.example/out"' in answer.body
