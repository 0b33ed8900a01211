"""The demo's page, as a newcomer opens it: the installed command, its address, four chairs that come to life."""

import asyncio
import re
import signal
from pathlib import Path

from playwright.async_api import expect

from tests.support.suite import CAPGATE
from tests.web.browser import screen


async def eventually_open(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


async def address(process: asyncio.subprocess.Process) -> str:
    """The page's address, as the demo prints it."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while line := (await process.stderr.readline()).decode():
            if found := re.search(r"the suite's page: (http://127\.0\.0\.1:(\d+)/)", line):
                await eventually_open(int(found[2]))
                return found[1]
    raise AssertionError("the demo printed no address")


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
            await page.goto(await address(process))
            await expect(page.locator(".tile")).to_have_count(4)
            await expect(page.locator('.tile[data-state="pre-cooling"]').first).to_be_visible()
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
