"""Chromium, headless, as the tests' screen. A machine without it fails the test: tests/install-tools brings it."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from playwright.async_api import Page, async_playwright, expect

WALL, TABLET, PHONE = (1920, 1080), (1024, 768), (390, 844)
WAIT_MS = 30_000.0  # what takes longer does not happen at all


@asynccontextmanager
async def screen(
    size: tuple[int, int] = TABLET,
    *,
    language: str = "en",
    dark: bool = False,
    zone: str = "Pacific/Auckland",
    touch: bool = False,
) -> AsyncGenerator[Page]:
    """A page of a fresh browser. At the end, nothing may have gone wrong in its scripts or against its policy."""
    found = shutil.which("chromium")
    assert found, "chromium is missing; tests/install-tools installs it"
    wrong: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale=language,
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            ignore_https_errors=True,  # the tests' certificates are nobody's
            timezone_id=zone,  # the tablet's own, which plays no part
        )
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        try:
            yield page
        finally:
            await browser.close()
    assert wrong == []


async def eventually_open(port: int) -> None:
    """Wait until somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
