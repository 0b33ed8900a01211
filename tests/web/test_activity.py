"""The screen of who did what and who looked at whom: for whoever oversees the suite, and for nobody else."""

from pathlib import Path

from playwright.async_api import expect

from drivers.reading import RunState
from gateway.config.roles import Role
from tests.support.operator import Operator
from tests.web.axe import violations
from tests.web.browser import screen
from tests.web.people import sign_in, with_account
from tests.web.site import page_of


async def test_who_oversees_sees_acts_and_readings_and_no_patient(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        site.suite.state = RunState.RUNNING
        for _ in range(60):
            await site.poll(1)
        await site.suite.infusion_over(minutes_ago=20)
        operator = Operator(site.suite)
        token = (await operator.session())["token"]
        await operator.request_act("note", token=token, text="<b>refitted</b>")
        with_account(site, Role.CHARGE)
        await page.goto(site.url)
        await sign_in(page)
        await page.locator(".tile").first.click()
        await expect(page.locator("#head")).to_contain_text("visit V-1")
        await page.get_by_role("link", name="Activity").click()
        rows = page.locator("#activity tbody tr")
        await expect(rows.filter(has_text="host:rn-4471:1000")).to_have_count(1)
        read = rows.filter(has_text="read a session with identifiers")
        await expect(read).to_have_count(1)
        await expect(read).to_contain_text("page:m.curie")
        await expect(read.get_by_role("link", name=token)).to_be_visible()
        assert "V-1" not in await page.content()
        assert await violations(page) == []
        await page.get_by_label("Person or account").fill("m.curie")
        await page.get_by_role("button", name="Show").click()
        await expect(rows).to_have_count(2)
        await expect(rows.filter(has_text="signed in at the page")).to_contain_text("127.0.0.1")
        await page.goto(f"{site.url}/activity?from=2020-01-01&to=nonsense&person=%00")
        await expect(page.locator("main")).to_contain_text("Nobody did or read anything")


async def test_a_nurse_does_not_see_it(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.NURSE)
        await page.goto(site.url)
        await sign_in(page)
        assert await page.get_by_role("link", name="Activity").count() == 0
        answer = await page.goto(f"{site.url}/activity")
        assert answer is not None
        assert answer.status == 403
