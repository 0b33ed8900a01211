"""The sessions of a day, a week and a month in a real browser; their sums are those of the installed command."""

import asyncio
import calendar
import io
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from pypdf import PdfReader

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Json
from tests.support.signing import signed
from tests.support.suite import CAPGATE
from tests.web.axe import violations
from tests.web.browser import screen
from tests.web.people import PASSWORD, with_account
from tests.web.site import Site, page_of

DAY_US = 1440 * MINUTE_US
FIRST, SECOND = "2026-09-21", "2026-09-22"  # a Monday and its morrow, in New York


async def treated(site: Site) -> None:
    """A charged session on the first day; on the second one that is explained and one that is incomplete."""
    suite = site.suite
    await signed(suite)
    suite.clock.us += DAY_US - suite.clock.us % DAY_US + 14 * 60 * MINUTE_US
    for _ in range(2):
        suite.treatment_s = 0
        suite.state = RunState.RUNNING
        await suite.poll(60)
        suite.state = RunState.STOPPED
        await suite.poll(45)
        await suite.pipeline.tick()
    explained = (await Operator(suite).ask(request="todo"))["todo"][0]["token"]
    await Operator(suite).request_act("explain", token=explained)


@asynccontextmanager
async def days(folder: Path, query: str = "", *, signed_in: bool = True) -> AsyncGenerator[tuple[Site, Page]]:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.VIEWER)
        await treated(site)
        await page.goto(f"{site.url}/sign-in?next=/days" if signed_in else f"{site.url}/days")
        if signed_in:
            await page.locator("#name").fill("m.curie")
            await page.locator("#secret").fill(PASSWORD)
            await page.keyboard.press("Enter")
            await expect(page.locator("#read-at")).to_contain_text("Read from the ledger")
        if query:
            await page.goto(f"{site.url}/days?{query}")
        yield site, page


async def command(site: Site, first: str, last: str, *options: str) -> str:
    """What the installed `capgate ledger reconcile` says of these days."""
    ledger = str(site.suite.config.state_dir / "ledger.db")
    process = await asyncio.create_subprocess_exec(
        CAPGATE, "ledger", "reconcile", ledger, "--from", first, "--to", last, *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def parts(sums: str) -> dict[str, int]:
    """Of `Sessions seen: 3 = 1 charged + 2 held`: how many are where."""
    found = (each.split(maxsplit=1) for each in sums.partition(" = ")[2].split(" + "))
    return {place: int(count) for count, place in found}


async def test_a_week_lists_first_what_is_not_charged_and_sums_up_as_the_command(folder: Path) -> None:
    async with days(folder, f"span=week&day={SECOND}") as (site, page):
        rows = page.locator("#sessions tbody tr")
        await expect(rows).to_have_count(3)
        places = [await rows.nth(index).locator(".place").inner_text() for index in range(3)]
        assert places == ["explained", "incomplete", "charged"]
        await expect(rows.nth(0)).to_contain_text("rn-4471: as charted")
        await expect(rows.nth(1)).to_contain_text("unknown: patient, infusion's end")
        await expect(rows.nth(2)).to_contain_text("visit V-1")
        await expect(rows.nth(2)).to_contain_text("c01")

        seen: Json = json.loads(await command(site, FIRST, "2026-09-27", "--json"))
        sums = await page.locator("#sums").inner_text()
        assert sums.startswith(f"Sessions seen: {seen['seen']} = ")
        assert parts(sums) == {place: seen[place] for place in ("charged", "incomplete", "explained")}
        assert sum(parts(sums).values()) == seen["seen"] == 3
        attained, charged = (sum(each[what] for each in seen["sessions"]) for what in ("attained", "charged"))
        assert attained == charged == 3
        await expect(page.locator("#units")).to_contain_text(f"Units: {attained} attained, {charged} charged.")
        total = await page.locator("tfoot td").all_inner_texts()
        assert (total[0], total[6], total[7]) == ("Sum of 3", str(attained), str(charged))
        assert await violations(page) == []


async def test_days_weeks_and_months_are_links(folder: Path) -> None:
    async with days(folder, f"span=day&day={FIRST}") as (_, page):
        sums = page.locator("#sums")
        await expect(page.locator("#period")).to_have_text("Monday, September 21, 2026")
        await expect(sums).to_have_text("Sessions seen: 1 = 1 charged")
        await page.get_by_role("link", name="After").click()
        await expect(page.locator("#period")).to_have_text("Tuesday, September 22, 2026")
        await expect(sums).to_have_text("Sessions seen: 2 = 1 incomplete + 1 explained")
        await page.get_by_role("link", name="Month").click()
        await expect(page.locator("#period")).to_have_text("September 2026")
        await expect(sums).to_contain_text("Sessions seen: 3 = ")
        await page.get_by_role("link", name="Before").click()
        await expect(page.locator("#none")).to_be_visible()
        await expect(page.locator("#none")).to_have_text("No session began then.")
        await page.get_by_label("Date").fill(FIRST)
        await page.get_by_role("button", name="Show").click()
        await expect(sums).to_contain_text("Sessions seen: 3 = ")
        await page.get_by_role("link", name=re.compile("[0-9A-Z]{9}")).first.click()
        await expect(page.locator("#head")).to_contain_text("c01")


async def test_without_a_choice_it_is_today_in_the_suite(folder: Path) -> None:
    async with days(folder) as (_, page):
        await expect(page.locator("#period")).to_have_text("Tuesday, September 22, 2026")
        await expect(page.get_by_label("Date")).to_have_value(SECOND)


async def test_who_is_not_signed_in_sees_no_visit_and_no_person(folder: Path) -> None:
    async with days(folder, f"span=week&day={SECOND}", signed_in=False) as (_, page):
        await expect(page.locator("#sessions tbody tr")).to_have_count(3)
        said = await page.locator("body").inner_text()
        assert "V-1" not in said
        assert "rn-4471" not in said
        await expect(page.locator("#csv")).to_have_count(0)
        await expect(page.locator("#charted")).to_have_count(0)


async def test_the_table_for_a_spreadsheet_is_that_of_the_command(folder: Path) -> None:
    async with days(folder, f"span=week&day={SECOND}") as (site, page):
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="CSV for a spreadsheet").click()
        download = await downloading.value
        assert download.suggested_filename == "sessions-2026-09-21-2026-09-27.csv"
        path = await download.path()
        table = await command(site, FIRST, "2026-09-27", "--csv", "--identify")
        assert path.read_bytes().decode().replace("\r\n", "\n") == table.replace("\r\n", "\n")


async def test_minutes_charted_by_hand_stand_beside_the_count(folder: Path, tmp_path: Path) -> None:
    async with days(folder, f"span=week&day={SECOND}") as (_, page):
        chart = tmp_path / "charted.csv"
        chart.write_text("visit,minutes\nV-1,70\nV-9,30\n")
        await expect(page.locator("#sessions tbody tr").first).to_be_visible()
        await page.locator("#charted").set_input_files(chart)
        await expect(page.locator("#compared")).to_have_text("Compared with charting by hand: 2, of which 2 differ.")
        row = page.locator("#sessions tbody tr", has_text="V-1")
        assert (await row.locator("td").all_inner_texts())[-2:] == ["70 min: 2 units", "different"]
        await expect(page.locator("#unmatched")).to_have_text(
            "Line 3 of the file, 30 min: no one session of these days."
        )
        assert await violations(page) == []
        chart.write_text("visit,minutes\nV-1,many\n")
        await page.locator("#charted").set_input_files(chart)
        await expect(page.locator("#trouble")).to_contain_text("line 2: accepted: ")


@pytest.mark.parametrize("paper", ["A4", "Letter"])
async def test_it_is_printed_black_on_white_and_fits_the_paper(folder: Path, paper: str) -> None:
    async with days(folder, f"span=month&day={SECOND}") as (_, page):
        await expect(page.locator("#sessions tbody tr")).to_have_count(3)
        await page.emulate_media(media="print", color_scheme="dark")
        style = await page.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
        )
        assert style == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
        for hidden in ("header", "footer", ".choices", ".charted"):
            await expect(page.locator(hidden)).to_be_hidden()
        (sheet,) = PdfReader(io.BytesIO(await page.pdf(format=paper, prefer_css_page_size=True))).pages
        said = sheet.extract_text()
        assert "Sessions seen: 3" in said
        assert "Sum of 3" in said
        width_mm = {"A4": 210, "Letter": 216}[paper]
        await page.set_viewport_size({"width": round((width_mm - 24) / 25.4 * 96), "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_nothing_is_taken_before_the_board_has_said_which_day_it_is(folder: Path) -> None:
    async with days(folder) as (site, page):
        inputs = page.locator("#day, #charted, form[action='/days'] button")
        await expect(inputs).to_have_count(3)
        site.answering.clear()
        await page.reload()
        for each in await inputs.all():
            await expect(each).to_be_disabled()
        site.answering.set()
        for each in await inputs.all():
            await expect(each).to_be_enabled()


async def test_weeks_begin_on_monday_and_months_have_all_their_days(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        await page.goto(f"{site.url}/days")
        source = await page.locator('script[type="module"]').get_attribute("src")
        assert source is not None
        ask = "async ([module, span, day]) => (await import(module)).period(span, day)"
        for day in ("2026-01-01", "2026-09-27", "2027-02-28", "2028-02-29", "2028-12-31"):
            at = date.fromisoformat(day)
            monday = at - timedelta(days=at.weekday())
            month = (at.replace(day=1), at.replace(day=calendar.monthrange(at.year, at.month)[1]))
            for span, of in (("day", (at, at)), ("week", (monday, monday + timedelta(days=6))), ("month", month)):
                found = await page.evaluate(ask, [source.replace("days.js", "calendar.js"), span, day])
                assert found == {"first": str(of[0]), "last": str(of[1])}
