"""Signing in at the hospital's OpenID provider: a certified one from npm, in a browser, with hostile answers too."""

import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote, urlencode

import msgspec
import pytest
from playwright.async_api import expect

from gateway.config.roles import Role
from gateway.config.web import PagePlan
from gateway.ledger.access import Actor
from gateway.runtime.http import HttpServer
from gateway.web.single_sign_on import BEGUN_FOR_S
from tests.broker.harness import free_port
from tests.support.pipeline import facts_of
from tests.unit.gateway.web.page_app import ELSEWHERE, cookie_of, form_token_of, serving, sign_in
from tests.unit.gateway.web.page_client import Answered, ask
from tests.web.browser import screen
from tests.web.openid import CURIE, OpenId, asked_of, provider, signs_in
from tests.web.site import page_of

BACK = "/sign-in/sso/return"
NOT_ACCEPTED = "The hospital&#39;s sign-in was not accepted."
TOO_OLD = "This sign-in was begun too long ago"
OUT_OF_REACH = "The hospital&#39;s sign-in cannot be reached."


@pytest.fixture(scope="module")
def running_provider() -> Generator[OpenId]:
    with provider(free_port()) as found:
        yield found


@pytest.fixture
def openid(running_provider: OpenId) -> OpenId:
    running_provider.says()
    return running_provider


def at(openid: OpenId, **plan: object) -> PagePlan:
    return msgspec.structs.replace(ELSEWHERE, oidc=openid.plan(**plan))  # type: ignore[arg-type]


async def begun(server: HttpServer, onward: str = "/todo") -> tuple[str, str]:
    """Where the provider is, and the cookie of who goes there."""
    answer = await ask(server, "GET", f"/sign-in/sso?next={quote(onward)}")
    assert answer.status == 303, answer.body
    return answer.headers["location"], cookie_of(answer)


async def returned(server: HttpServer, path: str, cookie: str) -> Answered:
    return await ask(server, "GET", path, cookie=cookie)


async def signed_in(server: HttpServer) -> str:
    """The cookie of who went all the way."""
    where, cookie = await begun(server)
    answer = await returned(server, await signs_in(where), cookie)
    assert answer.status == 200, answer.body
    return cookie_of(answer)


def turned_away(answer: Answered, words: str, status: int = 403) -> None:
    assert (answer.status, words in answer.body) == (status, True), answer.body
    assert "capgate=" not in answer.headers.get("set-cookie", "")


async def test_what_is_sent_along_to_the_provider(openid: OpenId, tmp_path: Path) -> None:
    async with serving(tmp_path, at(openid, max_age_s=0)) as server:
        asked = asked_of((await begun(server))[0])
        again = asked_of((await begun(server))[0])
    assert asked["redirect_uri"] == "http://localhost/sign-in/sso/return"
    assert (asked["response_type"], asked["code_challenge_method"], asked["max_age"]) == ("code", "S256", "0")
    for secret in ("state", "nonce", "code_challenge"):
        assert len(asked[secret]) >= 43
        assert asked[secret] != again[secret]


async def test_who_comes_back_is_signed_in_by_name_and_tells_as_who_the_provider_knows(
    openid: OpenId, tmp_path: Path
) -> None:
    told: list[tuple[bytes, Actor]] = []

    async def tell(line: bytes, by: Actor) -> bytes:
        told.append((line, by))
        return b'{"ok":true,"done":"recorded"}'

    async with serving(tmp_path, at(openid, max_age_s=3600), tell) as server:
        where, cookie = await begun(server)
        answer = await returned(server, await signs_in(where), cookie)
        assert 'content="0; url=/todo"' in answer.body
        flags = {flag.strip().lower() for flag in answer.headers["set-cookie"].split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= flags
        signed = cookie_of(answer)
        page = await ask(server, "GET", "/chairs", cookie=signed)
        assert "Marie Curie · nurse" in page.body
        token = await form_token_of(server, signed)
        body = b'{"act":"note","place":"c01","text":"calm"}'
        assert (await ask(server, "POST", "/acts", body, cookie=signed, x_form_token=token)).status == 200
    (signing_in, signed_by), (act, by) = told
    assert signed_by == by == Actor("sso:m.curie", "nurse")
    assert b'"what":"sign-in"' in signing_in
    assert b'"act":"note"' in act
    for line in (signing_in, act):
        assert b'"person":"Marie Curie"' in line


async def test_a_state_that_is_not_this_browsers_is_refused(openid: OpenId, tmp_path: Path) -> None:
    async with serving(tmp_path, at(openid)) as server, serving(tmp_path, at(openid)) as other_process:
        where, cookie = await begun(server)
        path = await signs_in(where)
        state = asked_of(path)["state"]
        elsewhere, _ = await begun(server)
        _, sealed_elsewhere = await begun(other_process)
        for wrong_path, wrong_cookie in (
            (path.replace(state, asked_of(elsewhere)["state"]), cookie),
            (path.replace(state, ""), cookie),
            (path.replace(f"state={state}", ""), cookie),
            (path, ""),
            (path, cookie[:-20] + cookie[-20:].swapcase()),
            (path, "capgate-begun=made-up"),
            (path, sealed_elsewhere),
        ):
            turned_away(await returned(server, wrong_path, wrong_cookie), TOO_OLD)
        assert (await returned(server, path, cookie)).status == 200, "the attacker's tries took nothing away"


async def test_a_sign_in_that_was_begun_too_long_ago_is_refused(openid: OpenId, tmp_path: Path) -> None:
    now_s = [1000.0]
    async with serving(tmp_path, at(openid), now_s=lambda: now_s[0]) as server:
        where, cookie = await begun(server)
        path = await signs_in(where)
        now_s[0] += BEGUN_FOR_S + 1
        turned_away(await returned(server, path, cookie), TOO_OLD)


async def test_a_code_counts_once_and_for_the_browser_that_asked_for_it(openid: OpenId, tmp_path: Path) -> None:
    async with serving(tmp_path, at(openid)) as server:
        mine, my_cookie = await begun(server)
        path = await signs_in(mine)
        stolen = asked_of(await signs_in((await begun(server))[0]))["code"]
        injected = path.replace(asked_of(path)["code"], stolen)
        turned_away(await returned(server, injected, my_cookie), NOT_ACCEPTED)
        assert (await returned(server, path, my_cookie)).status == 200
        turned_away(await returned(server, path, my_cookie), NOT_ACCEPTED)


HOUR_S = 3600
SPOILT: dict[str, dict[str, object]] = {
    "nonce of another": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "audience another": {"aud": "another"},
    "audience another, for us as party": {"aud": "another", "azp": "capgate"},
    "audience of two, party another": {"aud": ["capgate", "another"], "azp": "another"},
    "expired": {"exp": -90},
    "no expiry": {"exp": None},
    "issued in the future": {"iat": HOUR_S},
    "not before": {"nbf": HOUR_S},
    "issuer another": {"iss": "https://evil.example"},
    "unsigned": {"alg": "none"},
    "signed with what both know": {"alg": "HS256"},
    "no login": {"preferred_username": None},
    "login of control characters": {"preferred_username": "m.curie\r\nSet-Cookie: x"},
    "login without end": {"preferred_username": "m" * 65},
    "signed in yesterday": {"auth_time": -86_400},
    "nobody says when": {"auth_time": None},
}
TIMES = ("exp", "iat", "nbf", "auth_time")


async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    openid: OpenId, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = int(time.time())
    async with serving(tmp_path, at(openid, max_age_s=HOUR_S)) as server:
        for what, spoil in SPOILT.items():
            moved = {name: now_s + said for name, said in spoil.items() if name in TIMES and isinstance(said, int)}
            openid.says(spoil={**spoil, **moved})
            where, cookie = await begun(server)
            answer = await returned(server, await signs_in(where), cookie)
            assert (answer.status, NOT_ACCEPTED in answer.body) == (403, True), what
            assert "capgate=" not in answer.headers["set-cookie"], what
        openid.says()
        await signed_in(server)
    assert {each.getMessage() for each in caplog.records} == {"no sign-in by the provider"}


async def test_clocks_may_differ_by_the_leeway(openid: OpenId, tmp_path: Path) -> None:
    openid.says(spoil={"exp": int(time.time()) - 30, "iat": int(time.time()) + 30})
    async with serving(tmp_path, at(openid)) as server:
        await signed_in(server)


async def test_who_was_sent_back_by_another_issuer_is_refused(openid: OpenId, tmp_path: Path) -> None:
    async with serving(tmp_path, at(openid)) as server:
        where, cookie = await begun(server)
        path = await signs_in(where)
        issuer = urlencode({"iss": asked_of(path)["iss"]})
        for wrong in (urlencode({"iss": "https://evil.example"}), ""):
            turned_away(await returned(server, path.replace(issuer, wrong), cookie), NOT_ACCEPTED)


async def test_who_is_turned_away_by_the_provider_can_sign_in_by_name(openid: OpenId, tmp_path: Path) -> None:
    async with serving(tmp_path, at(openid)) as server:
        where, cookie = await begun(server)
        state = asked_of(where)["state"]
        answer = await returned(server, f"{BACK}?error=access_denied&state={state}", cookie)
        turned_away(answer, NOT_ACCEPTED)
        assert 'name="secret"' in answer.body
        assert (await sign_in(server)).status == 303


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "http://localhost"], ids=["down", "calls itself otherwise"])
async def test_without_its_provider_one_signs_in_by_name(openid: OpenId, tmp_path: Path, issuer: str) -> None:
    port = openid.issuer.rpartition(":")[2]
    plan = at(openid, issuer=issuer if issuer.endswith(":9") else f"{issuer}:{port}")
    async with serving(tmp_path, plan) as server:
        answer = await ask(server, "GET", "/sign-in/sso")
        turned_away(answer, OUT_OF_REACH, 503)
        assert 'name="secret"' in answer.body
        assert (await sign_in(server)).status == 303


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example/", "/\\evil.example", "/x\r\nX: y", ""])
async def test_nobody_is_led_to_another_site(openid: OpenId, tmp_path: Path, onward: str) -> None:
    async with serving(tmp_path, at(openid)) as server:
        where, cookie = await begun(server, onward)
        answer = await returned(server, await signs_in(where), cookie)
        assert 'content="0; url=/chairs"' in answer.body


async def test_who_has_no_role_here_is_refused_or_looks(openid: OpenId, tmp_path: Path) -> None:
    openid.says(CURIE | {"groups": ["staff"]})
    told: list[bytes] = []

    async def tell(line: bytes, by: Actor) -> bytes:
        del by
        told.append(line)
        return b'{"ok":true,"done":"recorded"}'

    async with serving(tmp_path, at(openid), tell) as server:
        where, cookie = await begun(server)
        turned_away(await returned(server, await signs_in(where), cookie), "you have no role here")
    (refusal,) = told
    assert b'"what":"sign-in-refused","person":"m.curie"' in refusal
    async with serving(tmp_path, at(openid, otherwise=Role.VIEWER)) as server:
        assert "Marie Curie · viewer" in (await ask(server, "GET", "/chairs", cookie=await signed_in(server))).body


async def test_a_role_that_was_dropped_ends_the_sign_ins_that_had_it(openid: OpenId, tmp_path: Path) -> None:
    now_s = [0.0]
    openid.says(CURIE | {"groups": ["suite-nurses", "suite-charge"]})
    async with serving(tmp_path, at(openid), now_s=lambda: now_s[0]) as server:
        before = await signed_in(server)
        assert "Marie Curie · charge" in (await ask(server, "GET", "/chairs", cookie=before)).body
        openid.says()
        after = await signed_in(server)
        assert (await ask(server, "GET", "/chairs", cookie=before)).status == 401
        assert "Marie Curie · nurse" in (await ask(server, "GET", "/chairs", cookie=after)).body
        for _ in range(7):  # touched each ten minutes
            assert (await ask(server, "GET", "/chairs", cookie=after)).status == 200
            now_s[0] += 600
        assert (await ask(server, "GET", "/chairs", cookie=after)).status == 401, "the provider is asked once an hour"


async def test_in_a_browser_there_and_back_and_out_at_the_provider_too(openid: OpenId, folder: Path) -> None:
    here = ("127.0.0.1", openid.page_port)
    async with page_of(folder, listen=here, oidc=openid.plan()) as site, screen() as page:
        await page.goto(f"{site.url}/sign-in?next=/todo")
        await page.get_by_role("link", name="Sign in with the hospital's account").click()
        await page.locator('[name="login"]').fill("m.curie")
        await page.locator('[name="password"]').fill("any")
        await page.get_by_role("button", name="Sign-in").click()
        await expect(page.locator(".person")).to_contain_text("Marie Curie · nurse")
        assert page.url == f"{site.url}/todo"
        await page.get_by_role("link", name="Chairs").click()
        await page.get_by_role("button", name="Patient at a chair").click()
        await page.keyboard.type("V-8\nc02\n")
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="Yes, sign me out").click()
        await expect(page.get_by_role("link", name="Sign in with the hospital's account")).to_be_visible()
        assert page.url.startswith(f"{site.url}/sign-in")
        (bound,) = await facts_of(site.suite, "patient_bound")
        assert (bound["person"], bound["login"], bound["role"]) == ("Marie Curie", "sso:m.curie", "nurse")
