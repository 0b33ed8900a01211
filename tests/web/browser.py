"""Chromium, headless, as the tests' screen. A machine without it fails the test: tests/install-tools brings it."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from playwright.async_api import Browser, Page, async_playwright, expect

WALL, TABLET, PHONE = (1920, 1080), (1024, 768), (390, 844)
WAIT_MS = 30_000.0  # what takes longer does not happen at all
UNDO_MS = 11_000  # an act waits ten seconds

_shared: list[Browser] = []  # the one of all tests of this process


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """A browser of one's own."""
    found = shutil.which("chromium")
    assert found, "chromium is missing; tests/install-tools installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def shared_chromium() -> AsyncGenerator[None]:
    """Every `screen` inside, on the same loop, is one of this browser's."""
    async with chromium() as browser:
        _shared.append(browser)
        yield
        _shared.clear()


@asynccontextmanager
async def screen(
    size: tuple[int, int] = TABLET,
    *,
    language: str = "en",
    dark: bool = False,
    zone: str = "Pacific/Auckland",
    touch: bool = False,
    clock: bool = True,
) -> AsyncGenerator[Page]:
    """A page that knows nothing of others. At the end, nothing went wrong in its scripts or against its policy.

    Unless `clock` is False the test may move its clock, as `undo_passes` does; its frames then are none of the screen.
    """
    wrong: list[str] = []
    async with AsyncExitStack() as stack:
        browser = _shared[0] if _shared else await stack.enter_async_context(chromium())
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale=language,
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            ignore_https_errors=True,  # the tests' certificates are nobody's
            timezone_id=zone,  # the tablet's own, which plays no part
        )
        stack.push_async_callback(context.close)
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page = await context.new_page()
        if clock:
            await page.clock.install()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        yield page
    assert wrong == []


async def undo_passes(page: Page) -> None:
    """The ten seconds in which an act may be taken back are over."""
    await page.clock.fast_forward(UNDO_MS)


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
