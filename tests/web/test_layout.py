"""Every screen as wide as a phone, a tablet and a wall, in every language: nothing overlaps or is cut off."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from drivers.reading import RunState
from gateway.config.roles import Role
from gateway.session.wording import Language
from tests.support.operator import Operator
from tests.web.browser import screen
from tests.web.people import sign_in, with_account
from tests.web.scenes import counted, held
from tests.web.site import Site, page_of

WIDTHS = (360, 768, 1024, 1920)
ONE_ROW = 1024  # px; from here on the header is one row
OVERLAPS = Path(__file__).with_name("overlaps.js").read_text()
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
ROWS = """() => new Set([...document.querySelectorAll("header > *, header nav > *")].map(
  (each) => Math.round((each.getBoundingClientRect().top + each.getBoundingClientRect().bottom) / 20))).size"""


async def problems(page: Page, width: int) -> list[str]:
    """What is wrong with the screen at that width."""
    await page.set_viewport_size({"width": width, "height": 800})
    found: list[str] = await page.evaluate(OVERLAPS)
    if (excess := await page.evaluate(TOO_WIDE)) > 0:
        found.append(f"it is {excess} px wider than the screen")
    if width >= ONE_ROW and await page.locator("header nav").count() and (rows := await page.evaluate(ROWS)) > 1:
        found.append(f"the header has {rows} rows")
    return found


async def filled(site: Site) -> str:
    """Something on every screen; the token of a session that goes on."""
    counted(site, {"read": 900, "garbled": 100})
    await held(site)
    site.suite.treatment_s = 0
    await site.poll(60)
    site.suite.state = RunState.RUNNING
    await site.poll(60)
    site.read(alarms=("flow-low",))
    return (await Operator(site.suite).ask(request="sessions"))["sessions"][-1]["token"]


@pytest.mark.timeout(300)
async def test_nothing_overlaps_and_nothing_is_cut_off_at_any_width_in_any_language(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.ADMIN)
        token = await filled(site)
        await page.goto(site.url)
        await sign_in(page)
        names = ("chairs", "todo", "equipment", "days", "delivery", "activity", f"session/{token}", "sign-in")
        wrong: list[str] = []
        for language in Language:
            await page.goto(f"{site.url}/language/{language}")
            for name in names:
                await page.goto(f"{site.url}/{name}")
                await expect(page.locator("#now")).to_have_text(re.compile(r"\d\d:\d\d"))
                for width in WIDTHS:
                    wrong += [f"{language} {name} {width}: {each}" for each in await problems(page, width)]
        assert wrong == [], "\n".join(wrong)
