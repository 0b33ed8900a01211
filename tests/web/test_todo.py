"""What waits for a person, in a real browser: its count on every screen, and an explanation that settles it."""

import re
from pathlib import Path

from playwright.async_api import expect

from drivers.reading import RunState
from gateway.config.price import Price
from gateway.config.roles import Role
from tests.support.operator import Operator
from tests.support.pipeline import facts_of
from tests.web.browser import screen, undo_passes
from tests.web.people import sign_in, with_account
from tests.web.scenes import held
from tests.web.site import page_of


async def test_from_unbound_over_incomplete_to_explained(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.CHARGE)
        await page.goto(site.url)
        await expect(page.locator(".todo-count")).to_be_hidden()
        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await expect(page.locator(".todo-count")).to_have_text("1")
        await sign_in(page)
        await page.get_by_role("link", name="To do").click()
        item = page.locator("#todo li")
        await expect(item).to_contain_text("nobody knows whose · c01")
        site.suite.state = RunState.STOPPED
        await site.poll(40)
        await site.suite.pipeline.tick()
        await expect(item).to_contain_text("incomplete session · c01")
        await item.get_by_role("button", name="Close without a charge").click()
        await page.get_by_label("Why?").fill("trial of the machine")
        await page.keyboard.press("Enter")
        await undo_passes(page)
        await expect(page.locator("#sending")).to_contain_text("recorded")
        await expect(page.locator("#nothing")).to_be_visible()
        await expect(page.locator(".todo-count")).to_be_hidden()
        (fact,) = await facts_of(site.suite, "session_explained")
        assert (fact["person"], fact["reason"]) == ("m.curie", "trial of the machine")


async def test_it_leads_to_the_session(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await page.goto(f"{site.url}/todo")
        await page.get_by_role("link", name="Open").click()
        await expect(page.locator("#head")).to_contain_text("Nobody knows whose session this is.")


async def test_who_sees_to_it_is_told_by_touch_and_shown_to_who_is_signed_in(folder: Path) -> None:
    price = Price("155.50", "USD")
    async with page_of(folder, price=price) as site, screen() as page:
        with_account(site, Role.NURSE)
        await held(site)
        await page.goto(f"{site.url}/todo")
        item = page.locator("#todo li")
        await expect(item.locator(".stake")).to_have_text("units at stake: 3 ($466.50)")
        await expect(item.locator(".age")).to_have_text(re.compile(r"for \d:\d\d:\d\d"))
        await sign_in(page)
        await page.get_by_role("link", name="To do").click()
        await item.get_by_role("button", name="Assign").click()
        await page.get_by_role("dialog").get_by_role("button", name="charge nurse").click()
        await page.get_by_role("button", name="Do it").click()
        await undo_passes(page)
        await expect(item.locator(".assigned")).to_have_text(re.compile(r"charge nurse sees to it \(m\.curie, "))
        (fact,) = await facts_of(site.suite, "task_assigned")
        assert (fact["to"], fact["person"], fact["role"]) == ("charge", "m.curie", "nurse")
        await page.get_by_role("button", name="Sign out").click()
        await page.goto(f"{site.url}/todo")
        await expect(item.locator(".assigned")).to_have_text(re.compile("somebody sees to it since"))
        assert "m.curie" not in await (await page.request.get(f"{site.url}/api/todo")).text()
        await sign_in(page)
        await page.get_by_role("link", name="To do").click()
        await item.get_by_role("button", name="Take back the assignment").click()
        await undo_passes(page)
        await expect(item.locator(".assigned")).to_have_count(0)
        assert [op for op, *_ in await site.suite.increments()] == ["emit"] * 3, "nothing of it changes what is charged"


async def test_what_waits_is_counted_on_every_screen(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.ADMIN)
        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await page.goto(site.url)
        await sign_in(page)
        token = (await Operator(site.suite).session())["token"]
        for name in ("chairs", "todo", "equipment", "days", "delivery", "activity", f"session/{token}", "sign-in"):
            await page.goto(f"{site.url}/{name}")
            await expect(page.locator(".todo-count")).to_have_text("1")
