"""Fifty chairs that change each second: the page writes what changed, and nothing else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from tests.web.browser import WALL, screen
from tests.web.scenes import all_cool, with_chairs
from tests.web.site import Site, page_of

CHAIRS = 50
# What is written below the chairs from now on: by the class of the element, how often.
WATCH = """() => {
  window.written = {};
  window.nodes = 0;
  const count = ({ target, type }) => {
    if (type === "childList") nodes += 1;
    const name = (target.nodeType === Node.TEXT_NODE ? target.parentElement : target).closest("[class]").className;
    written[name] = (written[name] ?? 0) + 1;
  };
  const watched = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver((records) => records.forEach(count)).observe(document.getElementById("chairs"), watched);
}"""

# How many frames a second that passes asks for, and in that frame how many tiles count on.
FRAMES = """() => new Promise((done) => {
  const asked = [];
  const ask = window.requestAnimationFrame;
  const counted = new Set();
  const watched = { subtree: true, characterData: true };
  new MutationObserver((records, self) => {
    for (const { target } of records) counted.add(target.parentElement?.closest(".tile"));
    self.disconnect();
    window.requestAnimationFrame = ask;
    done([asked.length, counted.size]);
  }).observe(document.getElementById("chairs"), watched);
  window.requestAnimationFrame = (frame) => asked.push(frame) && ask(frame);
})"""


@asynccontextmanager
async def ward(folder: Path) -> AsyncGenerator[tuple[Site, Page]]:
    """Fifty chairs at which somebody is cooled, on the wall's screen."""
    with_chairs(folder, CHAIRS)
    async with page_of(folder) as site, screen(WALL) as page:
        for cap_c in (3.0, 3.1):
            site.suite.clock.us += 30_000_000
            await all_cool(site, cap_c)
        await page.goto(site.url)
        await expect(page.locator('.tile[data-state="pre-cooling"][data-stale="false"]')).to_have_count(CHAIRS)
        yield site, page


async def test_an_update_writes_only_what_changed(folder: Path) -> None:
    async with ward(folder) as (site, page):
        await page.evaluate(WATCH)
        for update in range(1, 6):
            site.suite.clock.us += 1_000_000
            await all_cool(site, 3.1 + update / 10)
            await expect(page.locator(".tile .cap").last).to_have_text(f"cap {3.1 + update / 10:.1f} °C")
        written: dict[str, int] = await page.evaluate("written")
        assert written.keys() <= {"cap", "clock", "age"}, "what counts, and the temperature that changed"
        assert written["cap"] == 5 * CHAIRS
        assert await page.evaluate("nodes") == 0, "texts change in place"
        asked, counted = await page.evaluate(FRAMES)
        assert (asked <= 1, counted) == (True, CHAIRS), "one frame for all that counts"
