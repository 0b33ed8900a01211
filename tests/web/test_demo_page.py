"""The demo's page, as a newcomer opens it: the command, its address, four chairs that come to life, a sign-in."""

import asyncio
import re
import signal
from pathlib import Path

from playwright.async_api import expect

from tests.support.suite import CAPGATE
from tests.web.browser import eventually_open, screen

PAGE = r"the suite's page: (http://127\.0\.0\.1:(\d+)/)  sign in as (\S+) with the password (\S+)\n"


async def printed(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """What the demo prints next that matches."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode():
            if found := re.search(pattern, line):
                return found
    raise AssertionError(f"the demo did not print {pattern}")


async def test_the_demo_names_its_page_and_fills_it(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        CAPGATE,
        "demo",
        "--once",
        "--speed",
        "60",
        "--keep",
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with screen() as page:
            named = await printed(process, PAGE)
            await eventually_open(int(named[2]))
            await page.goto(named[1])
            await expect(page.locator(".tile")).to_have_count(4)
            await expect(page.locator('.tile[data-state="pre-cooling"]').first).to_be_visible()
            treatment = await printed(process, rf"a treatment that runs: ({named[1]}session/[0-9A-Z]{{9}})\n")
            await page.goto(treatment[1])
            await page.locator("#to-sign-in").click()
            await page.get_by_label("Name").fill(named[3])
            await page.get_by_label("Password or PIN").fill(named[4])
            await page.get_by_role("button", name="Sign in").nth(1).click()
            await expect(page.locator("#acts button").first).to_be_visible()
            assert page.url == treatment[1]
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
