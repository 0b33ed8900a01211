"""What waits for a person, in a real browser: its count on every screen, and an explanation that settles it."""

from pathlib import Path

from playwright.async_api import expect

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.support.pipeline import facts_of
from tests.web.browser import screen
from tests.web.people import sign_in, with_account
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
