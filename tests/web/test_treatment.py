"""A treatment from the arrival to the printed record, at a tablet whose clock is wrong, by touches and scans alone."""

import asyncio
import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect
from pypdf import PdfReader

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.support.pipeline import Json, facts_of
from tests.support.suite import CAPGATE
from tests.web.browser import screen, undo_passes
from tests.web.people import add_account
from tests.web.site import Site, page_of

NOT_THEIRS = {
    Role.VIEWER: ("note", "swap"),
    Role.NURSE: ("finalise", "swap", "resend"),
    Role.CHARGE: ("swap", "capture"),
    Role.BIOMED: ("bind", "release", "finalise"),
    Role.ADMIN: ("reload", "purge"),  # of who is at the machine itself
}


class Tablet:
    """A shared tablet: what is tapped and scanned at it, and by whom."""

    def __init__(self, site: Site, page: Page) -> None:
        self.site = site
        self.page = page

    async def hand_to(self, role: Role) -> None:
        """Somebody of the role scans a badge; what is not theirs to do the gateway itself refuses."""
        await self.page.goto(f"{self.site.url}/sign-in")
        await expect(self.page.locator("#badge")).to_be_focused()
        await self.scan(badge_of(role))
        await expect(self.page.locator(".person")).to_contain_text(name_of(role))
        form_token = await self.page.locator("body").get_attribute("data-form-token") or ""
        for act in NOT_THEIRS[role]:
            answer = await self.page.request.post(
                f"{self.site.url}/acts",
                data={"act": act},
                headers={"x-form-token": form_token, "origin": self.site.url},
            )
            assert (answer.status, (await answer.json())["error"]) == (403, f"not an act of {role}")

    async def sees_the_record(self, token: str) -> None:
        """Who is signed in is shown the record, and of whom it is."""
        answer = await self.page.request.get(f"{self.site.url}/record/{token}")
        assert answer.status == 200
        assert "V-7" in await answer.text()

    async def scan(self, code: str) -> None:
        await self.page.keyboard.type(f"{code}\n")

    async def tap(self, name: str) -> None:
        await self.page.get_by_role("button", name=name).tap()

    async def choose(self, name: str) -> None:
        """Touch a choice in the dialog, and do it."""
        await self.page.get_by_role("dialog").get_by_role("button", name=name).tap()
        await self.tap("Do it")

    async def sent(self, *kinds: str) -> None:
        """The ten seconds pass, and each act becomes a fact."""
        await undo_passes(self.page)
        for kind in kinds:
            async with asyncio.timeout(30):
                while not await facts_of(self.site.suite, kind):
                    await asyncio.sleep(0.05)

    async def later(self, minutes: float) -> None:
        """So much time passes while the unit is read, and the tablet hears of it."""
        await self.site.poll(minutes)
        now = datetime.fromtimestamp(self.site.suite.clock.us / 1e6, ZoneInfo("America/New_York"))
        await expect(self.page.locator("#now")).to_have_text(re.compile(f"^{now:%H:%M}"))

    async def open_chair(self) -> None:
        await self.page.goto(self.site.url)
        await self.page.locator(".tile").first.tap()
        await expect(self.page.locator("#head")).to_contain_text("c01")


def name_of(role: Role) -> str:
    return f"a.{role}"


def badge_of(role: Role) -> str:
    return f"badge of {role}"


async def arrives_and_is_prepared(tablet: Tablet) -> None:
    site, page = tablet.site, tablet.page
    await tablet.hand_to(Role.NURSE)
    await tablet.tap("Patient at a chair")
    await tablet.scan("V-7")
    await tablet.scan("c01")
    await tablet.sent("patient_bound")
    site.suite.state = RunState.RUNNING
    await tablet.later(60)
    await tablet.open_chair()
    await expect(page.locator("#head")).to_contain_text("visit V-7")
    await tablet.tap("Preparation done")
    await tablet.tap("Undo")
    await tablet.tap("Preparation done")
    await tablet.tap("Order is there")
    await tablet.tap("Cap's identifier")
    await tablet.scan("SC-M-0431")
    await tablet.sent("preparation_charted", "order_check", "cap_identified")
    assert len(await facts_of(site.suite, "preparation_charted")) == 1, "not the one that was taken back"


async def infusion_ends_and_is_corrected(tablet: Tablet) -> None:
    """It ended ten minutes ago; twenty minutes later the nurse corrects that, which takes the first unit back."""
    page = tablet.page
    await tablet.tap("Infusion ended 10 min ago")
    await tablet.scan("O-9")
    await tablet.tap("Do it")
    await tablet.sent("infusion_ended")
    await tablet.later(20)
    await expect(page.locator("#states")).to_contain_text("01A attained")
    await tablet.tap("Infusion ended 10 min ago")
    await tablet.sent("infusion_end_corrected")
    await expect(page.locator("#states")).to_contain_text("01A retracted")


async def network_is_cut(tablet: Tablet) -> None:
    page = tablet.page
    await page.context.set_offline(True)
    await tablet.tap("Tolerates it well")
    await undo_passes(page)
    failed = page.locator(".act.failed")
    await expect(failed).to_contain_text("Not sent: Tolerates it well")
    await page.context.set_offline(False)
    await failed.get_by_role("button", name="Send again").tap()
    await tablet.sent("tolerance_checked")
    await expect(page.locator("body.lost")).to_have_count(0)


async def gateway_restarts(tablet: Tablet) -> None:
    """The page is live again by itself; who was signed in has to sign in anew."""
    site, page = tablet.site, tablet.page
    await site.restart()
    await tablet.tap("Note")
    await tablet.tap("Do it")
    await undo_passes(page)
    await expect(page.locator(".act.failed")).to_contain_text("you are signed out")
    await tablet.page.get_by_role("button", name="Dismiss").tap()


async def machine_is_swapped(tablet: Tablet, token: str) -> None:
    """Its line is recorded, then a loaner stands in; the page shows that by itself, and the loaner cools on."""
    site, page = tablet.site, tablet.page
    await tablet.hand_to(Role.BIOMED)
    await tablet.sees_the_record(token)
    await page.get_by_role("link", name="Equipment").tap()
    await tablet.tap("Record a minute of net-1")
    await tablet.sent()
    await expect(page.locator('[data-line="net-1"]')).to_contain_text("is recorded until")
    await tablet.tap("Swap for a loaner")
    for asked, said in (("loaner's name", "loaner-2"), ("address", "2"), ("Why?", "pump is loud")):
        await expect(page.get_by_label(asked)).to_be_focused()
        await tablet.scan(said)
    await tablet.sent("unit_swapped")
    await expect(page.locator('[data-unit="loaner-2"]')).to_contain_text("loaner for cap-01")
    site.suite.treatment_s = 0  # its own counter
    await tablet.later(1)


async def cooling_ends(tablet: Tablet) -> None:
    site = tablet.site
    await tablet.hand_to(Role.NURSE)
    await tablet.open_chair()
    assert await facts_of(site.suite, "note_added") == []
    await tablet.later(80)
    await tablet.tap("Cap taken off")
    await tablet.sent("cap_removed")
    site.suite.connected, site.suite.state = False, RunState.STOPPED
    await tablet.later(5)
    await expect(tablet.page.locator("#head")).to_contain_text("ended")
    await expect(tablet.page.get_by_role("button", name="Sign the session")).to_have_count(0)


async def is_signed_and_charged(tablet: Tablet) -> None:
    await tablet.hand_to(Role.CHARGE)
    await tablet.open_chair()
    await tablet.tap("Sign the session")
    await tablet.choose("the record is complete")
    await tablet.sent("session_finalized")
    await expect(tablet.page.locator("#states")).to_contain_text("The session is charged.")


async def is_released(tablet: Tablet, token: str) -> None:
    """By an administrator, who sees what everybody did."""
    site, page = tablet.site, tablet.page
    await tablet.hand_to(Role.ADMIN)
    await page.get_by_role("link", name="Activity").tap()
    for role in set(Role) - {Role.VIEWER, Role.ADMIN}:
        await expect(page.locator("main")).to_contain_text(name_of(role))
    await page.goto(f"{site.url}/session/{token}")
    await tablet.tap("Patient is no longer here")
    before = len(await facts_of(site.suite, "patient_released"))
    await tablet.sent()
    async with asyncio.timeout(30):
        while len(released := await facts_of(site.suite, "patient_released")) == before:
            await asyncio.sleep(0.05)
    assert released[-1]["cap"] == {"device": "loaner-2", "channel": 1}


async def printed(tablet: Tablet) -> str:
    """The words of the record as Chromium prints it."""
    await tablet.page.get_by_role("link", name="Record to print").tap()
    await expect(tablet.page.locator("h1")).to_contain_text("record of session")
    pages = PdfReader(io.BytesIO(await tablet.page.pdf(prefer_css_page_size=True))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


async def ledger(site: Site, token: str) -> Json:
    """What the installed command reads of the session in the ledger."""
    command = ("ledger", "show", str(site.suite.config.state_dir / "ledger.db"), token, "--json", "--identify")
    process = await asyncio.create_subprocess_exec(CAPGATE, *command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return cast("Json", json.loads(said))


def in_the_record(shown: Json, record: str) -> None:
    """What the ledger has of the session stands on the paper, and the paper has no unit that the ledger has not."""
    last = {each["key"][:-1]: each for each in shown["increments"]}
    assert [each["op"] for each in shown["increments"]] == ["emit", "retract", "emit", "emit", "emit"]
    units = [f"{each['key']} {seconds(each['attained_at'])}" for each in last.values()]
    standing = record.partition("Units of 97009")[2].partition("How it was counted")[0]
    assert re.findall(rf"{shown['session']}\d\d[A-Z] \S+", standing) == units
    (charge,) = shown["charges"]
    assert f"{len(units)} units of post-infusion cooling (CPT 97009) attained, {charge['quantity']} charged" in record
    assert f"visit {shown['patient']['visit']}" in record
    by_people = [each for each in shown["facts"] if each["detail"].get("person")]
    told = [each for each in by_people if each["fact"] != "cooling_stopped"]  # that one stands with its swap
    assert {each["detail"]["person"] for each in told} == set(map(name_of, set(Role) - {Role.VIEWER}))
    assert f"loaner-2 stands in for cap-01, by {name_of(Role.BIOMED)}: pump is loud" in record
    for each in told:
        assert re.search(rf" {each['seq']} .{{0,160}}?{each['detail']['person']}", record), each["fact"]


def seconds(instant: str) -> str:
    """As the record writes it: to the second, in UTC."""
    return re.sub(r"\.\d+Z$", "+00:00", instant)


@pytest.mark.timeout(400)
async def test_from_the_arrival_to_the_printed_record(folder: Path) -> None:
    async with page_of(folder) as site, screen(touch=True) as page:
        for role in Role:
            add_account(site.suite.config.state_dir, role, name_of(role), badge_of(role))
        await page.clock.install(time="2024-02-29T03:00:00Z")
        tablet = Tablet(site, page)
        await arrives_and_is_prepared(tablet)
        await infusion_ends_and_is_corrected(tablet)
        await network_is_cut(tablet)
        token = re.sub(r".*/", "", page.url)
        await tablet.sees_the_record(token)
        await gateway_restarts(tablet)
        await machine_is_swapped(tablet, token)
        await cooling_ends(tablet)
        assert page.url.endswith(token), "the session goes on"
        await is_signed_and_charged(tablet)
        await tablet.sees_the_record(token)
        await is_released(tablet, token)
        record = await printed(tablet)
        in_the_record(await ledger(site, token), record)
        await tablet.hand_to(Role.VIEWER)
        await tablet.sees_the_record(token)
        await page.goto(f"{site.url}/session/{token}")
        await expect(page.locator("#states")).to_contain_text("The session is charged.")
        await expect(page.locator("#acts button")).to_have_count(0)
