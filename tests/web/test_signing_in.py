"""Signing in at a tablet that several share: by name, by a badge that a scanner types, and left alone."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from gateway.web import people as people_module
from gateway.web.accounts import Account, hash_secret, read_accounts, write_accounts
from gateway.web.roles import Role
from tests.web.browser import screen
from tests.web.site import Site, page_of

PASSWORD, PIN, BADGE = "correct horse", "482913", "0004711;9"


def with_account(site: Site, role: Role = Role.NURSE) -> None:
    """m.curie, with a password, a PIN and a badge."""
    folder = site.suite.config.state_dir
    accounts = read_accounts(folder)
    account = Account(
        name="m.curie",
        role=role,
        password=hash_secret(PASSWORD),
        pin=hash_secret(PIN),
        badge=accounts.badge_digest(BADGE),
    )
    write_accounts(folder, accounts.with_account(account))


async def sign_in(page: Page, secret: str = PASSWORD) -> None:
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Name").fill("m.curie")
    await page.get_by_label("Password or PIN").fill(secret)
    await page.get_by_role("button", name="Sign in").nth(1).click()
    await expect(page.locator(".person")).to_contain_text("m.curie")


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
