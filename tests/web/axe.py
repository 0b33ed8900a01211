"""The rules of WCAG 2.2 AA that a program can check, by axe."""

from pathlib import Path
from typing import Any, Literal, cast

from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
Scheme = Literal["dark", "light"]
SCHEMES: tuple[Scheme, ...] = ("dark", "light")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def violations(page: Page) -> list[str]:
    """What axe finds in both themes, each with the first element that it concerns."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    return [said for scheme in SCHEMES for said in await _violations(page, scheme)]


async def _violations(page: Page, scheme: Scheme) -> list[str]:
    await page.emulate_media(color_scheme=scheme)
    result = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    found = cast("list[dict[str, Any]]", result["violations"])
    return [f"{scheme}: {each['id']} ({each['impact']}): {each['nodes'][0]['html']}" for each in found]
