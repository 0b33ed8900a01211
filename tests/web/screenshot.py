"""The pictures of the page in the README and in docs/for: `python -m tests.web.screenshot` takes them all anew."""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Page, expect

from drivers.reading import CapReading, Measurement, Reading, RunState
from gateway.config.price import Price
from gateway.config.roles import Role
from gateway.ledger.temperatures import READ
from tests.support.operator import Operator
from tests.support.pipeline import configured
from tests.support.signing import signed
from tests.web.browser import screen
from tests.web.people import sign_in, with_account
from tests.web.scenes import EXPECTED, counted, rejected
from tests.web.site import Site, page_of

ROOT = Path(__file__).parents[2]
UNITS = """
[[line.unit]]
id = "cap-02"
profile = "reference-cap-unit"
unit_id = 2
poll_period_s = 30
simulated = true
cap = [{ cap = 1, chair = "c03" }, { cap = 2, chair = "c04" }]
"""


class Picture(NamedTuple):
    """A picture, the page of text that shows it, and what is played for it."""

    file: str
    shown_in: str
    size: tuple[int, int]
    play: Callable[[Site, Page], Awaitable[None]]


async def _read(site: Site, cap_c: float, coolant_c: float, *, alarm: bool) -> None:
    """One poll of the second unit: one cap that pre-cools, one that is free."""
    now = site.suite.clock.now()
    shown = {"cap_front": Measurement(cap_c, "Cel"), "coolant_supply": Measurement(coolant_c, "Cel")}
    cap = CapReading(1, RunState.RUNNING, True, True, shown, treatment=9, elapsed_s=60)
    idle = CapReading(2, RunState.STOPPED, False, False, {"coolant_supply": Measurement(coolant_c, "Cel")})
    reading = Reading("cap-02", now, (cap, idle), {}, ("flow-low",) if alarm else ())
    site.latest.take(reading)
    await site.suite.pipeline.answer(reading)


async def _morning(site: Site) -> None:
    """c01 counts towards its third unit, c03 pre-cools under a machine's warning, two chairs are free."""
    site.suite.state = RunState.RUNNING
    for minute in range(110):
        await site.poll(1)
        site.read(cap_c=22.0 * 0.94**minute + 2.5)
        if minute > 90:
            await _read(site, 22.0 * 0.85 ** (minute - 90) + 3.0, -4.5 + 0.2 * (minute % 3), alarm=minute > 107)
        if minute == 50:
            await site.suite.infusion_over()


async def _opened(site: Site, page: Page, role: Role, screen_name: str) -> None:
    """The screen of that name, with somebody of the role signed in."""
    with_account(site, role)
    await page.goto(site.url)
    await sign_in(page)
    await page.locator("header").get_by_role("link", name=screen_name).click()
    await expect(page.locator("#live")).to_have_text("live")


async def _chairs(site: Site, page: Page) -> None:
    await _morning(site)
    await page.goto(site.url)
    await expect(page.locator('.tile[data-state="counting"]')).to_be_visible()
    await expect(page.locator(".tile .age").first).to_contain_text("read")


async def _at_the_chair(site: Site, page: Page) -> None:
    await _morning(site)
    await _opened(site, page, Role.NURSE, "Chairs")
    await page.locator(".tile").first.click()
    await expect(page.locator("#acts button").first).to_be_visible()


async def _todo(site: Site, page: Page) -> None:
    await _morning(site)
    site.suite.state = RunState.STOPPED
    for _ in range(20):
        await site.poll(1)
        await _read(site, 3.0, -4.5, alarm=False)
    await site.suite.pipeline.tick()
    operator = Operator(site.suite)
    first = (await operator.ask(request="todo"))["todo"][0]
    await operator.request_act("assign", what=first["token"], to="nurse")
    await _opened(site, page, Role.CHARGE, "To do")
    await expect(page.locator("#todo li").first).to_be_visible()


async def _record(site: Site, page: Page) -> None:
    await _morning(site)
    await _opened(site, page, Role.VIEWER, "Chairs")
    await page.locator(".tile").first.click()
    await page.get_by_role("link", name="Record to print").click()
    await expect(page.locator("h1")).to_contain_text("record of session")


async def _equipment(site: Site, page: Page) -> None:
    counted(site, {READ: 900, "garbled": 100, "busy": 3})
    await _opened(site, page, Role.BIOMED, "Equipment")
    await expect(page.locator(".alarming").first).to_be_visible()


async def _delivery(site: Site, page: Page) -> None:
    await rejected(site)
    await _opened(site, page, Role.CHARGE, "Delivery")
    await expect(page.locator("#outbox tbody tr").first).to_be_visible()


async def _activity(site: Site, page: Page) -> None:
    await signed(site.suite)
    await _opened(site, page, Role.ADMIN, "Activity")
    await expect(page.locator("tbody tr").first).to_be_visible()


PRICE = Price("155.00", "USD")
TABLET = (1024, 720)
PICTURES = (
    Picture("docs/screens.png", "README.md", (1340, 500), _chairs),
    Picture("docs/for/nurse.png", "docs/for/nurse.md", TABLET, _at_the_chair),
    Picture("docs/for/charge-capture-manager.png", "docs/for/charge-capture-manager.md", TABLET, _todo),
    Picture("docs/for/auditor.png", "docs/for/auditor.md", TABLET, _record),
    Picture("docs/for/biomedical-engineer.png", "docs/for/biomedical-engineer.md", TABLET, _equipment),
    Picture("docs/for/interface-engine-analyst.png", "docs/for/interface-engine-analyst.md", TABLET, _delivery),
    Picture("docs/for/administrator.png", "docs/for/administrator.md", TABLET, _activity),
)


async def take(picture: Picture, folder: Path, out: Path) -> None:
    """Write the picture of a site in `folder`."""
    file = configured(folder, EXPECTED) / "gateway.toml"
    file.write_text(file.read_text() + UNITS)
    async with page_of(folder, price=PRICE) as site, screen(picture.size) as page:
        await picture.play(site, page)
        if await page.locator("#now").count():  # the record to print has no clock
            await expect(page.locator("#now")).to_have_text(re.compile(r"\d\d:\d\d"))
        await page.screenshot(path=out)


async def _take_all() -> None:
    for picture in PICTURES:
        with tempfile.TemporaryDirectory() as made:
            await take(picture, Path(made) / "site", ROOT / picture.file)


if __name__ == "__main__":
    asyncio.run(_take_all())
