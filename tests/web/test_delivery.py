"""What the engine does not have, in a real browser: why, since when, and sent again by whom."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from gateway.config.roles import Role
from gateway.session.wording import Language
from tests.web.axe import violations
from tests.web.browser import screen, undo_passes
from tests.web.people import sign_in, with_account
from tests.web.scenes import EXPECTED, rejected
from tests.web.site import page_of


@pytest.fixture
def expecting(folder: Path) -> Path:
    """The site, whose engine answers with receipts."""
    file = folder / "gateway.toml"
    file.write_text(file.read_text().replace("[[line]]", f"{EXPECTED}[[line]]", 1))
    return folder


async def test_a_rejected_charge_is_sent_again_under_a_name_and_with_a_reason(expecting: Path) -> None:
    async with page_of(expecting) as site, screen() as page:
        with_account(site, Role.CHARGE)
        key = await rejected(site)
        site.suite.clock.us += 1_000_000
        await page.goto(site.url)
        await sign_in(page)
        await page.get_by_role("link", name="To do").click()
        await expect(page.locator("#todo li.rejected h2")).to_have_text("messages that the engine rejected · c01")
        item = page.locator("#todo li.rejected")
        await expect(item.get_by_role("button")).to_have_count(1)
        await item.get_by_role("button", name="Assign").click()
        await page.get_by_role("dialog").get_by_role("button", name="biomedical engineer").click()
        await page.get_by_role("button", name="Do it").click()
        await undo_passes(page)
        await expect(item.locator(".assigned")).to_contain_text("biomedical engineer sees to it (m.curie, ")
        await page.get_by_role("link", name="Delivery").click()
        row = page.locator("#outbox tbody tr").filter(has_text=key)
        await expect(page.locator("#outbox h3.rejected")).to_have_text("rejected: 1")
        await expect(row).to_contain_text("204")
        await expect(row).not_to_contain_text("V-1")
        await row.get_by_role("button", name=f"Send {key} again").click()
        await page.get_by_label("Why?").fill("the visit is open now")
        await page.keyboard.press("Enter")
        await undo_passes(page)
        await expect(page.locator("#sending")).to_contain_text("recorded")
        await expect(page.locator("#outbox h3.pending")).to_have_text("receipt awaited: 1")
        await expect(page.locator("#outbox h3.rejected")).to_have_count(0)


async def test_who_only_looks_sees_no_button_and_no_message_of_the_engine(expecting: Path) -> None:
    async with page_of(expecting) as site, screen() as page:
        key = await rejected(site)
        await page.goto(f"{site.url}/delivery")
        await expect(page.locator("#outbox")).to_contain_text(key)
        await expect(page.locator("#outbox button")).to_have_count(0)
        row = page.locator("#feed tbody tr").first
        await expect(row).to_contain_text("accepted")
        await expect(row).not_to_contain_text("·")
        with_account(site, Role.VIEWER)
        await sign_in(page)
        await page.get_by_role("link", name="Delivery").click()
        await expect(row).to_contain_text("·")
        await expect(page.locator("#outbox button")).to_have_count(0)


async def test_an_engine_that_has_everything_is_said(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(f"{site.url}/delivery")
        await expect(page.locator("#nothing")).to_be_visible()
        await expect(page.locator("#no-feed")).to_be_visible()


@pytest.mark.parametrize("language", Language)
async def test_axe_finds_nothing(expecting: Path, language: Language) -> None:
    async with page_of(expecting) as site, screen(language=language) as page:
        await rejected(site)
        await page.goto(f"{site.url}/delivery")
        await expect(page.locator("#outbox tbody tr").first).to_be_visible()
        assert await violations(page) == []
