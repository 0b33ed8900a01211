"""Signing in over HTTP: cookies, forms and where one lands; who may look, and from where."""

from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from gateway.config.web import PageFiles
from gateway.ledger.access import Actor
from gateway.ledger.errors import LedgerBroken
from gateway.web.attempts import FREE_TRIES
from tests.unit.gateway.web.page_app import ELSEWHERE, SCREEN, cookie_of, serving, sign_in
from tests.unit.gateway.web.page_client import ask


async def test_a_sign_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await sign_in(server)
        assert (answer.status, answer.headers["location"]) == (303, "/chairs")
        flags = {flag.strip().lower() for flag in answer.headers["set-cookie"].split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= flags
        page = await ask(server, "GET", "/chairs", cookie=cookie_of(answer))
        assert "m.curie" in page.body


async def test_over_tls_the_cookie_stays_there(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(SCREEN, tls=PageFiles(Path("c"), Path("k")))
    async with serving(tmp_path, plan) as server:
        answer = await sign_in(server)
        assert answer.headers["set-cookie"].startswith("__Host-")
        assert "secure" in answer.headers["set-cookie"].lower()


async def test_a_cookie_from_before_is_never_taken_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        planted = "capgate=planted-by-somebody"
        fields = urlencode({"name": "m.curie", "secret": "correct horse"}).encode()
        answer = await ask(server, "POST", "/sign-in", fields, cookie=planted)
        assert cookie_of(answer) != planted
        assert "m.curie" not in (await ask(server, "GET", "/chairs", cookie=planted)).body


async def test_a_second_sign_in_ends_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        first = cookie_of(await sign_in(server))
        fields = urlencode({"name": "m.curie", "secret": "correct horse"}).encode()
        await ask(server, "POST", "/sign-in", fields, cookie=first)
        assert "m.curie" not in (await ask(server, "GET", "/chairs", cookie=first)).body


async def test_what_is_wrong_says_so_and_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        wrong = await sign_in(server, "wrong")
        unknown = await ask(server, "POST", "/sign-in", urlencode({"name": "x", "secret": "wrong"}).encode())
        assert (wrong.status, wrong.body) == (403, unknown.body)
        assert "set-cookie" not in wrong.headers


async def test_who_signs_in_and_who_is_refused_is_recorded_without_what_was_typed_for_a_name(tmp_path: Path) -> None:
    told: list[tuple[str, str, str, str]] = []

    async def tell(line: bytes, by: Actor) -> bytes:
        asked = msgspec.json.decode(line, type=dict[str, str])
        told.append((asked["what"], asked["person"], asked["address"], by.login))
        return b'{"ok":true,"done":"recorded"}'

    async with serving(tmp_path, tell=tell) as server:
        await sign_in(server)
        await sign_in(server, "wrong")
        await ask(server, "POST", "/sign-in", urlencode({"name": "correct horse", "secret": "x"}).encode())
        await ask(server, "POST", "/sign-in", urlencode({"badge": "0000"}).encode())
        for _ in range(FREE_TRIES):
            await sign_in(server, "wrong")
    assert told[:4] == [
        ("sign-in", "m.curie", "127.0.0.1", "page:m.curie"),
        ("sign-in-refused", "m.curie", "127.0.0.1", "page:"),
        ("sign-in-refused", "?", "127.0.0.1", "page:"),
        ("sign-in-refused", "?", "127.0.0.1", "page:"),
    ]
    assert len(told) < 4 + FREE_TRIES, "who has to wait is not compared, so nothing is recorded"


async def test_where_nothing_can_be_recorded_people_sign_in_all_the_same(tmp_path: Path) -> None:
    async def broken(line: bytes, by: Actor) -> bytes:
        raise LedgerBroken("the disk is gone")

    async with serving(tmp_path, tell=broken) as server:
        assert (await sign_in(server)).status == 303


async def test_guessing_has_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for _ in range(FREE_TRIES):
            await sign_in(server, "wrong")
        answer = await sign_in(server)
        assert answer.status == 403
        assert "Try again in 5 s." in answer.body


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "", "chairs"])
async def test_nobody_is_sent_to_another_site(tmp_path: Path, target: str) -> None:
    async with serving(tmp_path) as server:
        assert (await sign_in(server, next=target)).headers["location"] == "/chairs"
        assert (await sign_in(server, next="/todo")).headers["location"] == "/todo"


async def test_signing_out_takes_the_form_of_this_sign_in(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        cookie = cookie_of(await sign_in(server))
        assert (await ask(server, "POST", "/sign-out", b"form_token=other", cookie=cookie)).status == 403
        body = (await ask(server, "GET", "/chairs", cookie=cookie)).body
        token = body.partition('name="form_token" value="')[2].partition('"')[0]
        assert (await ask(server, "POST", "/sign-out", f"form_token={token}".encode(), cookie=cookie)).status == 303
        assert "m.curie" not in (await ask(server, "GET", "/chairs", cookie=cookie)).body


@pytest.mark.parametrize("path", ["/chairs", "/events"])
async def test_elsewhere_one_signs_in_to_look(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, ELSEWHERE) as server:
        assert (await ask(server, "GET", path)).status == 401
        sent = await ask(server, "GET", path, accept="text/html")
        assert (sent.status, sent.headers["location"]) == (303, f"/sign-in?next={path}")
        assert (await ask(server, "GET", "/chairs", cookie=cookie_of(await sign_in(server)))).status == 200


async def test_a_page_gives_away_no_form_token_to_who_is_not_signed_in(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert "data-form-token" not in (await ask(server, "GET", "/chairs")).body
        assert (await ask(server, "POST", "/touch", b"{}")).status == 401


async def test_a_form_of_too_many_fields_is_none(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        body = b"&".join(b"field-%d=x" % number for number in range(40))
        assert (await ask(server, "POST", "/sign-in", body)).status == 403
