"""Somebody who signs in at a screen."""

from pathlib import Path

from playwright.async_api import Page, expect

from gateway.config.roles import Role
from gateway.web.accounts import Account, hash_secret, read_accounts, write_accounts
from tests.web.site import Site

PASSWORD, PIN, BADGE = "correct horse", "482913", "0004711;9"


def with_account(site: Site, role: Role = Role.NURSE) -> None:
    """m.curie, with a password, a PIN and a badge."""
    add_account(site.suite.config.state_dir, role)


def add_account(folder: Path, role: Role, name: str = "m.curie", badge: str = BADGE) -> None:
    """The same, in a gateway's state directory."""
    accounts = read_accounts(folder)
    account = Account(
        name=name,
        role=role,
        password=hash_secret(PASSWORD),
        pin=hash_secret(PIN),
        badge=accounts.badge_digest(badge),
    )
    write_accounts(folder, accounts.with_account(account))


async def sign_in(page: Page, secret: str = PASSWORD) -> None:
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Name").fill("m.curie")
    await page.get_by_label("Password or PIN").fill(secret)
    await page.get_by_role("button", name="Sign in").nth(1).click()
    await expect(page.locator(".person")).to_contain_text("m.curie")
