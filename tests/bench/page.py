"""What fifty chairs cost a browser: `python -m tests.bench.page`.

Each chair's temperature changes each second, on a wall's screen in Chromium. Prints the frames that came, how many
came late, and the work of the main thread for one update; asserts nothing. That an update writes only what changed is
held by a test.
"""

import asyncio
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from playwright.async_api import expect

from gateway.runtime.loop import run_loop
from tests.support.pipeline import configured
from tests.web.browser import WALL, screen
from tests.web.scenes import all_cool, with_chairs
from tests.web.site import page_of

CHAIRS, SECONDS = 50, 20
LATE_MS = 1000 / 60 * 1.5  # a frame that took so long made the next one miss its turn
FRAMES = """() => {
  window.frames_at = [];
  const frame = (at) => { frames_at.push(at); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


async def _measure(folder: Path) -> None:
    with_chairs(configured(folder), CHAIRS)
    async with page_of(folder) as site, screen(WALL, clock=False) as page:
        await all_cool(site, 3.0)
        site.suite.clock.us += 30_000_000
        await all_cool(site, 3.0)
        await page.goto(site.url)
        await expect(page.locator('.tile[data-state="pre-cooling"]')).to_have_count(CHAIRS)
        browser = await page.context.new_cdp_session(page)

        async def asked(method: str) -> dict[str, list[dict[str, Any]]]:
            return await cast("Any", browser).send(method)

        async def busy_s() -> float:
            metrics = (await asked("Performance.getMetrics"))["metrics"]
            return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

        await asked("Performance.enable")
        before_s = await busy_s()
        await page.evaluate(FRAMES)
        for second in range(SECONDS):
            site.suite.clock.us += 1_000_000
            await all_cool(site, 3.0 + second / 10)
            await asyncio.sleep(1)
        at_ms: list[float] = await page.evaluate("frames_at")
        worked_s = await busy_s() - before_s
    took_ms = [later - before for before, later in pairwise(at_ms)]
    late = sum(each > LATE_MS for each in took_ms)
    sys.stdout.write(f"{CHAIRS} chairs, {SECONDS} updates in {sum(took_ms) / 1000:.1f} s\n")
    sys.stdout.write(f"frames a second {len(took_ms) / sum(took_ms) * 1000:.1f}, late {late} of {len(took_ms)}\n")
    sys.stdout.write(f"main thread {worked_s / SECONDS * 1000:.0f} ms an update, frames included\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_loop(_measure(Path(folder) / "site"))


if __name__ == "__main__":
    main()
