"""Every screen against the rules of WCAG 2.2 AA that a program can check, by axe: in both themes and every language."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from drivers.reading import RunState
from gateway.config.roles import Role
from gateway.session.wording import Language
from tests.web.axe import violations
from tests.web.browser import screen
from tests.web.people import PASSWORD, with_account
from tests.web.site import page_of


@pytest.mark.parametrize("language", Language)
async def test_axe_finds_nothing_on_any_screen(folder: Path, language: Language) -> None:
    async with page_of(folder) as site, screen(language=language) as page:
        with_account(site, Role.ADMIN)
        await page.goto(f"{site.url}/sign-in")
        assert await violations(page) == []
        await page.locator("#name").fill("m.curie")
        await page.locator("#secret").fill(PASSWORD)
        await page.keyboard.press("Enter")

        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await site.suite.infusion_over(minutes_ago=20)
        tile = page.locator('.tile[data-state="counting"]')
        await expect(tile).to_be_visible()
        assert await violations(page) == []
        site.read(alarms=("flow-low",))
        await expect(page.locator('.tile[data-alarm="true"]').first).to_be_visible()
        assert await violations(page) == []
        site.suite.connected = False
        await site.poll(2)
        await expect(page.locator('.tile[data-state="paused"]')).to_be_visible()
        assert await violations(page) == []

        await page.locator(".tile").first.click()
        await expect(page.locator("#stretches tbody tr").first).to_be_visible()
        assert await violations(page) == []
        await page.locator("#acts button").first.click()
        await page.locator("#acts button").last.click()
        await expect(page.locator("dialog")).to_be_visible()
        assert await violations(page) == []

        await page.goto(f"{site.url}/todo")
        await expect(page.locator("#todo li")).to_have_count(1)
        assert await violations(page) == []
        await page.goto(f"{site.url}/days")
        await expect(page.locator("#sessions tbody tr")).to_have_count(1)
        assert await violations(page) == []


async def test_the_page_works_by_keyboard_alone(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await page.goto(site.url)
        await expect(page.locator('.tile[data-state="pre-cooling"]')).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.locator(".tile").first).to_be_focused()
        outline = await page.locator(".tile").first.evaluate("each => getComputedStyle(each).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await expect(page.locator("#head")).to_contain_text("c01")
