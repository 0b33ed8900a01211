"""The record of a session in a real browser: from its screen to paper."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.web.axe import violations
from tests.web.browser import screen
from tests.web.people import PASSWORD, sign_in, with_account
from tests.web.site import Site, page_of

PAPERS = {"a4": (595, 842), "letter": (612, 792)}  # points
MARGIN_MM = 12


async def treated(site: Site) -> None:
    """Somebody who may look has an account, and a patient is cooled, twenty minutes after the infusion."""
    with_account(site, Role.VIEWER)
    site.suite.state = RunState.RUNNING
    await site.poll(60)
    await site.suite.infusion_over(minutes_ago=20)


async def record_of_a_session(page: Page) -> None:
    await page.locator(".tile").first.click()
    await page.get_by_role("link", name="Record to print").click()
    await expect(page.locator("h1")).to_contain_text("record of session")


async def test_it_is_reached_from_the_session_and_is_black_on_white(folder: Path) -> None:
    async with page_of(folder) as site, screen(dark=True) as page:
        await treated(site)
        await page.goto(site.url)
        await sign_in(page)
        await record_of_a_session(page)
        await expect(page.locator("body")).to_contain_text("V-1")
        style = await page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert style == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
        assert await violations(page) == []


async def test_who_is_not_signed_in_signs_in_first(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.VIEWER)
        site.suite.state = RunState.RUNNING
        await site.poll(60)
        await page.goto(site.url)
        await page.locator(".tile").first.click()
        await page.get_by_role("link", name="Record to print").click()
        await page.locator("#name").fill("m.curie")
        await page.locator("#secret").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("record of session")


@pytest.mark.parametrize("paper", PAPERS)
async def test_it_fits_the_paper(folder: Path, paper: str) -> None:
    async with page_of(folder) as site, screen() as page:
        await treated(site)
        await page.goto(site.url)
        await sign_in(page)
        await record_of_a_session(page)
        width, height = PAPERS[paper]
        printed = await page.pdf(format=paper, prefer_css_page_size=True)
        assert f"/MediaBox [0 0 {width}".encode() in printed or f"/MediaBox [0 0 {width - 1}".encode() in printed
        await page.emulate_media(media="print")
        await page.set_viewport_size({"width": round(width * 96 / 72 - 2 * MARGIN_MM * 96 / 25.4), "height": height})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
