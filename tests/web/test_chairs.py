"""The chairs in a real browser: what each state says, and that nobody takes an old picture for a live one."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Locator, Page, expect

from drivers.reading import RunState
from tests.support.pipeline import Suite
from tests.web.browser import PHONE, TABLET, WALL, screen
from tests.web.site import Site, page_of

SILENT_MS = 13_000  # the page calls itself lost after twelve


def tile(page: Page, chair: str) -> Locator:
    return page.locator(".tile").filter(has=page.locator(".chair", has_text=chair))


async def shows(page: Page, chair: str, state: str, word: str) -> Locator:
    """The tile, once it has this state, by colour, word and shape."""
    found = tile(page, chair)
    await expect(found).to_have_attribute("data-state", state)
    await expect(found.locator(".state")).to_have_text(word)
    await expect(found.locator(".state svg path")).to_have_count(1)
    return found


def local(suite: Suite, minutes_ago: float) -> str:
    at = datetime.fromtimestamp(suite.clock.us / 1e6 - minutes_ago * 60, UTC).astimezone(ZoneInfo("America/New_York"))
    return at.strftime("%H:%M")


async def begin_cooling(site: Site) -> None:
    site.suite.state = RunState.RUNNING
    await site.poll(60)


async def test_a_chair_from_free_to_due(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        suite = site.suite
        await page.goto(site.url)
        await expect(page.locator("#live")).to_have_text("live")
        await expect(page.locator("#test")).to_be_visible()
        free = await shows(page, "c01", "free", "free")
        await expect(free.locator(".cap")).to_have_text("cap 3.0 °C")
        await expect(free.locator(".coolant")).to_have_text("coolant -4.0 °C")
        await expect(free.locator(".clock")).to_have_text("")

        await begin_cooling(site)
        cooling = await shows(page, "c01", "pre-cooling", "pre-cooling")
        await expect(cooling.locator(".notes")).to_contain_text("due: patient")
        await expect(cooling.locator(".clock")).to_have_text(re.compile(r"^59:\d\d$|^1:0\d:\d\d$"))

        await suite.infusion_over(minutes_ago=5)
        counting = await shows(page, "c01", "counting", "counting")
        await expect(counting.locator(".next")).to_contain_text("to unit 1")
        await expect(counting.locator(".next")).to_contain_text(f"infusion ended {local(suite, 5)}")
        await expect(counting.locator(".count")).to_have_text("units: 0")
        await expect(counting).to_have_attribute("href", f"/session/{next(iter(suite.pipeline.state.records))}")

        await site.poll(15)
        await expect(counting.locator(".count")).to_have_text("units: 1")
        await expect(counting.locator(".next")).to_contain_text("to unit 2")

        suite.connected = False
        await site.poll(2)
        paused = await shows(page, "c01", "paused", "paused")
        await expect(paused.locator(".next")).to_contain_text("left of the pause's limit")
        await expect(paused.locator(".notes")).to_contain_text("cap off")
        await site.poll(12)
        await expect(paused.locator(".next")).to_contain_text("past the pause's limit")

        suite.connected, suite.state = True, RunState.STOPPED
        await site.poll(2)
        due = await shows(page, "c01", "due", "due")
        await expect(due.locator(".notes")).to_contain_text("due: preparation")
        await expect(tile(page, "c02").locator(".state")).to_have_text("free")


async def test_times_are_the_suite_s_whatever_the_tablet_believes(folder: Path) -> None:
    async with page_of(folder) as site, screen(zone="Pacific/Auckland") as page:
        await page.goto(site.url)
        shown = page.locator("#now")
        await expect(shown).to_have_text(re.compile(rf"^{local(site.suite, 0)}:\d\d (EDT|EST|GMT-[45])$"))


async def test_a_machine_s_alarm_and_a_silent_unit_are_outlined(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(site.url)
        await begin_cooling(site)
        found = await shows(page, "c01", "pre-cooling", "pre-cooling")
        await expect(found).to_have_attribute("data-alarm", "false")
        site.read(alarms=("flow-low",))
        await expect(found).to_have_attribute("data-alarm", "true")
        await expect(found.locator(".notes")).to_contain_text("machine alarm: flow low")
        site.read()
        await expect(found).to_have_attribute("data-alarm", "false")
        site.miss()
        await expect(found).to_have_attribute("data-alarm", "true")
        await expect(found.locator(".notes")).to_contain_text("no reading: no answer in time")


async def test_a_reading_older_than_three_polls_is_hatched(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(site.url)
        found = tile(page, "c01")
        await expect(found).to_have_attribute("data-stale", "false")
        site.suite.clock.us += 91 * 1_000_000
        await expect(found).to_have_attribute("data-stale", "true")
        await expect(found.locator(".age")).to_have_text(re.compile(r"^read 01:3\d ago$"))


async def test_a_page_that_is_cut_off_says_so_and_comes_back_by_itself(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(site.url)
        await expect(page.locator("#live")).to_have_text("live")
        await site.stop()
        await page.clock.fast_forward(SILENT_MS)
        lost = page.locator("body.lost #live")
        await expect(lost).to_have_text(re.compile(r"^not live since \d\d:\d\d "))
        assert float(await page.locator("main").evaluate("each => getComputedStyle(each).opacity")) < 0.6
        await begin_cooling(site)  # nothing of this reaches the page
        await site.serve()
        await expect(page.locator("#live")).to_have_text("live")
        await shows(page, "c01", "pre-cooling", "pre-cooling")
        await expect(page.locator("body.lost")).to_have_count(0)


async def test_a_connection_that_says_nothing_is_seen_too(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(site.url)
        await expect(page.locator("#live")).to_have_text("live")
        site.answering.clear()
        await page.clock.fast_forward(SILENT_MS)
        await expect(page.locator("#live")).to_contain_text("not live since")
        site.answering.set()
        await expect(page.locator("#live")).to_have_text("live")


@pytest.mark.parametrize(("language", "word"), [("de-CH", "frei"), ("es", "libre"), ("fr", "free")])
async def test_the_page_speaks_the_browser_s_language(folder: Path, language: str, word: str) -> None:
    async with page_of(folder) as site, screen(language=language) as page:
        await page.goto(site.url)
        await shows(page, "c01", "free", word)


async def test_a_language_may_be_chosen(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(site.url)
        await page.get_by_role("link", name="Deutsch").click()
        await shows(page, "c01", "free", "frei")


@pytest.mark.parametrize("size", [WALL, TABLET, PHONE])
@pytest.mark.parametrize("dark", [False, True])
async def test_every_screen_shows_all_chairs_without_scrolling_sideways(
    folder: Path, size: tuple[int, int], dark: bool
) -> None:
    async with page_of(folder) as site, screen(size, dark=dark) as page:
        await page.goto(site.url)
        await expect(page.locator(".tile")).to_have_count(2)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        small = await page.evaluate(
            "[...document.querySelectorAll('a:not(.skip), button')].map(each => each.getBoundingClientRect())"
            ".filter(each => each.height < 56 || each.width < 56).length"
        )
        assert small == 0, "every target is at least 15 mm"


async def test_whoever_is_no_screen_of_the_suite_sees_nothing(folder: Path) -> None:
    async with page_of(folder, screens=()) as site, screen() as page:
        for path in ("/chairs", "/events"):
            answer = await page.request.get(site.url + path)
            assert (answer.status, "c01" in await answer.text()) == (401, False)
