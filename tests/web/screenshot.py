"""docs/screens.png, the picture of the page in the README: `python -m tests.web.screenshot`."""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Page, expect

from drivers.reading import CapReading, Measurement, Reading, RunState
from tests.support.pipeline import configured
from tests.web.browser import screen
from tests.web.site import Site, page_of

PICTURE = Path(__file__).parents[2] / "docs" / "screens.png"
SIZE = (1340, 500)
UNITS = """
[[line.unit]]
id = "cap-02"
profile = "reference-cap-unit"
unit_id = 2
poll_period_s = 30
simulated = true
cap = [{ cap = 1, chair = "c03" }, { cap = 2, chair = "c04" }]
"""


async def _read(site: Site, cap_c: float, coolant_c: float, *, alarm: bool) -> None:
    """One poll of the second unit: one cap that pre-cools, one that is free."""
    now = site.suite.clock.now()
    shown = {"cap_front": Measurement(cap_c, "Cel"), "coolant_supply": Measurement(coolant_c, "Cel")}
    cap = CapReading(1, RunState.RUNNING, True, True, shown, treatment=9, elapsed_s=60)
    idle = CapReading(2, RunState.STOPPED, False, False, {"coolant_supply": Measurement(coolant_c, "Cel")})
    reading = Reading("cap-02", now, (cap, idle), {}, ("flow-low",) if alarm else ())
    site.latest.take(reading)
    await site.suite.pipeline.answer(reading)


async def _play(site: Site, page: Page) -> None:
    """A morning: c01 counts towards its third unit, c03 pre-cools under a machine's warning, two chairs are free."""
    site.suite.state = RunState.RUNNING
    for minute in range(110):
        await site.poll(1)
        site.read(cap_c=22.0 * 0.94**minute + 2.5)
        if minute > 90:
            await _read(site, 22.0 * 0.85 ** (minute - 90) + 3.0, -4.5 + 0.2 * (minute % 3), alarm=minute > 107)
        if minute == 50:
            await site.suite.infusion_over()
    await page.goto(site.url)
    await expect(page.locator('.tile[data-state="counting"]')).to_be_visible()
    await expect(page.locator(".tile .age").first).to_contain_text("read")


async def take(folder: Path, picture: Path) -> None:
    """Write the picture of a site in `folder`."""
    file = configured(folder) / "gateway.toml"
    file.write_text(file.read_text() + UNITS)
    async with page_of(folder) as site, screen(SIZE) as page:
        await _play(site, page)
        await page.screenshot(path=picture)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(take(Path(made) / "site", PICTURE))
