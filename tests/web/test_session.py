"""A session's screen in a real browser: what it shows to whom, and what becomes of what a person tells."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Json, facts_of
from tests.web.browser import screen, undo_passes
from tests.web.people import PASSWORD, sign_in, with_account
from tests.web.site import Site, page_of

# For so many minutes, in which the browser's steady clock stands still, as it does on many tablets.
ASLEEP = "minutes => { const now = Date.now; Date.now = () => now() + minutes * 60000 }"


@asynccontextmanager
async def session(folder: Path, role: Role | None = Role.NURSE, *, bound: bool) -> AsyncGenerator[tuple[Site, Page]]:
    """The screen of a session that has cooled for an hour, with somebody of `role` signed in at it."""
    async with page_of(folder) as site, screen() as page:
        site.suite.state = RunState.RUNNING
        for _ in range(60):
            await site.poll(1)
        if bound:
            await site.suite.infusion_over(minutes_ago=20)
        await page.goto(site.url)
        if role is not None:
            with_account(site, role)
            await sign_in(page)
        await page.locator(".tile").first.click()
        await expect(page.locator("#head")).to_contain_text("c01")
        yield site, page


async def told(site: Site, kind: str) -> Json:
    """The fact of that kind, once it is recorded."""
    async with asyncio.timeout(60):
        while not (found := await facts_of(site.suite, kind)):
            await asyncio.sleep(0.1)
    (fact,) = found
    assert (fact["person"], bool(fact["reason"])) == ("m.curie", True)
    return fact


async def test_it_shows_the_line_of_time_and_why_the_units_are_what_they_are(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await expect(page.locator("#head")).to_contain_text("visit V-1")
        await expect(page.locator("#count")).to_have_text("20 min 0 s counted: 1 units. 26 min 0 s to unit 2.")
        for lane in ("cooling", "infusion", "counted"):
            await expect(page.locator(f"rect.{lane}")).to_have_count(1)
        await expect(page.locator(".mark")).to_have_count(1)
        await expect(page.locator("#chart canvas")).to_have_count(1)
        site.suite.connected = False
        await site.poll(3)
        site.suite.connected = True
        await site.poll(3)
        await expect(page.locator("#stretches tbody tr.not")).to_contain_text("paused: cap off")
        await expect(page.locator("rect.pause")).to_have_count(1)


@pytest.mark.requirement("REQ-PRIVACY-5")
async def test_nobody_s_identifiers_are_shown_to_who_is_not_signed_in(folder: Path) -> None:
    async with session(folder, None, bound=True) as (site, page):
        await expect(page.locator("#head")).to_contain_text("sign in to see who")
        await expect(page.get_by_role("link", name="Sign in to tell what happened")).to_be_visible()
        assert await page.locator("#acts").count() == 0
        token = page.url.rpartition("/")[2]
        seen = await (await page.request.get(f"{site.url}/api/session/{token}")).text()
        for identifier in ("V-1", "O-1", "patient_"):
            assert identifier not in seen
            assert identifier not in await page.content()
        assert (await page.request.get(f"{site.url}/api/session/V-1")).status == 404, "which session is the visit's"


async def test_what_is_missing_is_a_button_and_may_be_taken_back(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        prepared = page.get_by_role("button", name="Preparation done")
        await prepared.click()
        await expect(page.locator("#sending")).to_contain_text("is sent in")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#sending li")).to_have_count(0)
        await prepared.click()
        await undo_passes(page)
        at_us = site.suite.clock.us
        fact = await told(site, "preparation_charted")
        assert abs(fact["at_us"] - at_us) < MINUTE_US
        await expect(page.locator("#sending")).to_contain_text("recorded")
        await expect(page.locator("#states")).not_to_contain_text("preparation")
        assert len(await facts_of(site.suite, "preparation_charted")) == 1, "not the one that was taken back"


async def test_a_scanner_binds_the_patient_and_the_infusion_ended_ten_minutes_ago(folder: Path) -> None:
    async with session(folder, bound=False) as (site, page):
        await page.get_by_role("button", name="Patient at this chair").click()
        await page.keyboard.type("V-7\n")
        await page.get_by_role("button", name="Infusion ended 10 min ago").click()
        await page.keyboard.type("O-9\n")
        await page.get_by_role("button", name="Do it").click()
        await undo_passes(page)
        await told(site, "patient_bound")
        ended = await told(site, "infusion_ended")
        assert (ended["order"], ended["admin"], ended["source"]) == ("O-9", "chemo", "person")
        assert abs(ended["at_us"] - (site.suite.clock.us - 10 * MINUTE_US)) < MINUTE_US
        await expect(page.locator("#head")).to_contain_text("visit V-7")
        await expect(page.locator("#head")).to_contain_text("counting")


async def test_a_visit_that_was_heard_of_is_bound_by_touch_by_who_may_bind(folder: Path) -> None:
    async with session(folder, None, bound=False) as (site, page):
        fields = {"visit": "V-8", "order": "O-8", "agent_class": "chemo"}
        await site.suite.send_event("i1", "infusion.started", 5, **fields)
        where = urlsplit(page.url).path
        assert (await page.request.get(f"{site.url}/api/visits")).status == 401
        for role, status in ((Role.VIEWER, 403), (Role.NURSE, 200)):
            with_account(site, role)
            await page.goto(f"{site.url}/sign-in?next={where}")
            await page.locator("#name").fill("m.curie")
            await page.locator("#secret").fill(PASSWORD)
            await page.keyboard.press("Enter")
            await expect(page.locator(".person")).to_be_visible()
            answer = await page.request.get(f"{site.url}/api/visits")
            assert (answer.status, "V-8" in await answer.text()) == (status, status == 200)
        await page.get_by_role("button", name="Patient at this chair").click()
        visit = page.get_by_role("dialog").get_by_role("button", name="V-8")
        await expect(visit).to_contain_text("heard of")
        box = await visit.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 15 * 96 / 25.4 - 0.1  # layout is in 64ths of a pixel
        await visit.click()
        await page.get_by_role("button", name="Do it").click()
        await undo_passes(page)
        bound = await told(site, "patient_bound")
        assert (bound["reason"], bound["evidence"]) == ("scanned at the chair", "person")
        await expect(page.locator("#head")).to_contain_text("visit V-8")
        assert (await facts_of(site.suite, "infusion_started"))[0]["order"] == "O-8", "what waited is taken up"


async def test_an_end_that_is_told_again_corrects_the_first_and_takes_back_its_unit(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await expect(page.locator("#states")).to_contain_text("01A attained")
        await page.get_by_role("button", name="Infusion ended 5 min ago").click()
        await undo_passes(page)
        corrected = await told(site, "infusion_end_corrected")
        assert corrected["order"] == "O-1"
        await expect(page.locator("#states")).to_contain_text("01A retracted")
        await site.poll(12)
        await expect(page.locator("#states")).to_contain_text("01B amended: attained")


async def test_a_scanner_binds_a_wristband_to_a_chair_before_it_cools(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site)
        await page.goto(site.url)
        await sign_in(page)
        await page.route("**/api/visits", lambda _: None)  # today's visits never come: a scan waits for nothing
        await page.get_by_role("button", name="Patient at a chair").click()
        await page.keyboard.type("V-8\nc02\n")
        await undo_passes(page)
        bound = await told(site, "patient_bound")
        assert bound["cap"] == {"device": "cap-01", "channel": 2}


async def test_what_did_not_arrive_stays_and_says_so(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await page.route("**/acts", lambda route: route.abort())
        await page.get_by_role("button", name="Tolerates it well").click()
        await undo_passes(page)
        failed = page.locator(".act.failed")
        await expect(failed).to_contain_text("Not sent: Tolerates it well")
        assert await facts_of(site.suite, "tolerance_checked") == []
        await page.reload()
        await expect(failed).to_contain_text("Not confirmed: Tolerates it well")
        await failed.get_by_role("button", name="Dismiss").click()
        await expect(failed).to_have_count(0)
        await page.get_by_role("button", name="Tolerates it well").click()
        await undo_passes(page)
        await expect(failed).to_contain_text("Not sent")
        await page.unroute("**/acts")
        await failed.get_by_role("button", name="Send again").click()
        assert (await told(site, "tolerance_checked"))["scalp"] == "ok"


async def test_who_leaves_the_page_sends_at_once_what_still_waits(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await page.get_by_role("button", name="Order is there").click()
        await page.get_by_role("link", name="Chairs").click()
        await expect(page.locator(".tile")).to_have_count(2)
        assert (await told(site, "order_check"))["found"] is True


async def test_who_signs_out_sends_before_that_what_still_waits(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await page.get_by_role("button", name="Order is there").click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        assert (await told(site, "order_check"))["found"] is True
        await expect(page.locator(".act")).to_have_count(0)


async def test_a_tablet_that_slept_knows_how_late_it_is(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        site.answering.clear()
        await page.evaluate(ASLEEP, 10)
        async with page.expect_request("**/acts") as sent:
            await page.get_by_role("button", name="Order is there").click()
            await undo_passes(page)
        told_at = datetime.fromisoformat(cast("Json", (await sent.value).post_data_json)["at"])
        assert abs(told_at.timestamp() * 1e6 - site.suite.clock.us - 10 * MINUTE_US) < MINUTE_US
        site.answering.set()


async def test_a_tablet_that_slept_too_long_shows_no_patient(folder: Path) -> None:
    async with session(folder, bound=True) as (_, page), page.expect_event("load"):
        await page.evaluate(ASLEEP, 16)


async def test_a_tablet_that_slept_sends_what_waited_as_soon_as_it_wakes(folder: Path) -> None:
    async with session(folder, bound=True) as (site, page):
        await page.clock.pause_at(datetime.now(UTC) + timedelta(days=1))
        await page.get_by_role("button", name="Order is there").click()
        await undo_passes(page)  # each timer has run once, and runs no more
        assert (await told(site, "order_check"))["found"] is True


async def test_what_is_sent_again_after_an_answer_was_lost_is_recorded_once(folder: Path) -> None:
    async with session(folder, Role.CHARGE, bound=True) as (site, page):

        async def lose_the_answer(route: Route) -> None:
            await route.fetch()
            await route.abort()

        await page.route("**/acts", lose_the_answer)
        await page.get_by_role("button", name="Tolerates it well").dblclick()
        await expect(page.locator(".act")).to_have_count(1)
        await page.get_by_role("button", name="Note").click()
        await page.get_by_role("dialog").get_by_role("button", name="Do it").click()
        await page.get_by_role("button", name="Patient is no longer here").click()  # a second time it would be refused
        await undo_passes(page)
        failed = page.locator(".act.failed")
        await expect(failed).to_have_count(3)
        await page.unroute("**/acts")
        for _ in range(3):
            await failed.get_by_role("button", name="Send again").first.click()
        await expect(page.locator(".act.told")).to_have_count(3)
        for kind in ("tolerance_checked", "note_added", "patient_released"):
            await told(site, kind)


async def test_what_the_gateway_refuses_is_said_with_its_reason(folder: Path) -> None:
    async with session(folder, Role.CHARGE, bound=True) as (site, page):
        await page.get_by_role("button", name="Sign the session").click()
        await page.get_by_label("Why?").fill("all is there")
        await page.keyboard.press("Enter")
        await undo_passes(page)
        await expect(page.locator(".act.failed")).to_contain_text("cooling goes on")
        assert await facts_of(site.suite, "session_finalized") == []


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        (Role.VIEWER, [], ["Preparation done", "Sign the session", "Swap for a loaner"]),
        (Role.NURSE, ["Preparation done"], ["Sign the session", "Close without a charge", "Swap for a loaner"]),
        (Role.BIOMED, ["Swap for a loaner"], ["Preparation done", "Sign the session"]),
    ],
)
async def test_each_role_is_offered_its_acts(folder: Path, role: Role, has: list[str], lacks: list[str]) -> None:
    async with session(folder, role, bound=True) as (_, page):
        await expect(page.locator("#count")).to_contain_text("counted")
        for name in has:
            await expect(page.get_by_role("button", name=name)).to_be_visible()
        for name in lacks:
            await expect(page.get_by_role("button", name=name)).to_have_count(0)


async def test_a_session_that_is_none_is_said(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(f"{site.url}/session/ZZZZZZZZZ")
        await expect(page.get_by_role("alert")).to_have_text("There is no such session.")


async def test_a_hold_that_takes_two_persons_waits_visibly_for_the_second(folder: Path) -> None:
    policy = folder / "policy.toml"
    policy.write_text(f"{policy.read_text()}\nsecond_person = true\n")
    async with session(folder, Role.CHARGE, bound=True) as (site, page):
        operator = Operator(site.suite)
        token = (await operator.session())["token"]
        for act, fields in (("prepared", {}), ("order-checked", {"found": False})):
            await operator.request_act(act, token=token, **fields)
        site.suite.state = RunState.STOPPED
        await site.poll(5)
        await operator.request_act("finalise", token=token)
        waits = await operator.request_act("lift-hold", token=token, holds=["no_order"])
        assert waits["awaiting_second"] == ["no_order"]
        await expect(page.locator("#states")).to_contain_text("waits for a second person")
        assert "wait for a second person" in await operator.refused("lift-hold", token=token, holds=["no_order"])
        await page.get_by_role("button", name="Lift a hold").click()
        await page.get_by_role("dialog").get_by_label("Which one?").select_option("no_order")
        await page.get_by_role("dialog").get_by_label("Why?").fill("order on paper")
        await page.get_by_role("button", name="Do it").click()
        await undo_passes(page)
        async with asyncio.timeout(60):
            while len(lifted := await facts_of(site.suite, "hold_lifted")) < 2:
                await asyncio.sleep(0.1)
        assert [each["login"] for each in lifted] == [operator.by.login, "page:m.curie"]
        assert (await operator.session(all=True))["charges"] != []
