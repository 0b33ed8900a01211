"""The rules of WCAG 2.2 AA that a program can check, by axe."""

from pathlib import Path
from typing import Any, cast

from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def violations(page: Page) -> list[str]:
    """What axe finds, each with the first element that it concerns."""
    await page.evaluate(AXE.read_text())
    result = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    found = cast("list[dict[str, Any]]", result["violations"])
    return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html']}" for each in found]
