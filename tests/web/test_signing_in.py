"""Signing in at a tablet that several share: by name, by a badge that a scanner types, and left alone."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from gateway.web import people as people_module
from tests.web.browser import screen
from tests.web.people import BADGE, PIN, sign_in, with_account
from tests.web.site import page_of


async def test_by_name_and_out_again(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site)
        await page.goto(site.url)
        await sign_in(page)
        await expect(page.locator(".person")).to_contain_text("nurse")
        await expect(page.locator(".tile")).to_have_count(2)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()


async def test_a_scanner_types_the_badge_and_enter(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site)
        await page.goto(f"{site.url}/sign-in?next=/chairs")
        await page.keyboard.type(f"{BADGE}\n")
        await expect(page.locator(".person")).to_contain_text("m.curie")
        assert page.url == f"{site.url}/chairs"


async def test_a_wrong_secret_is_said_aloud(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site)
        await page.goto(f"{site.url}/sign-in")
        await page.get_by_label("Scan the badge").fill("of somebody else")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("That was not right.")


async def test_a_tablet_that_was_left_forgets_the_person(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_module, "SHARED_IDLE_S", 4.0)
    async with page_of(folder) as site, screen() as page:
        with_account(site)
        await page.goto(site.url)
        await sign_in(page, PIN)
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        await expect(page.locator(".tile")).to_have_count(2)
