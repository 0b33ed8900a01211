"""The installed gateway, killed while a tablet shows a session: the page comes back untouched, an act does not."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import cast

import pytest
from playwright.async_api import Page, expect

from gateway.config.roles import Role
from tests.broker.harness import Mosquitto, free_port
from tests.support import suite
from tests.support.pipeline import Json
from tests.web.browser import eventually_open, screen, undo_passes
from tests.web.people import add_account, sign_in

SILENT_MS = 13_000  # the page calls itself lost after twelve
STARTED = '"msg":"started"'


async def session_on(page: Page, url: str) -> str:
    """The chair's session as a nurse opens it and binds its patient; its token."""
    await page.goto(url)
    await sign_in(page)
    await page.locator('.tile[data-state="pre-cooling"]').tap()
    await page.get_by_role("button", name="Patient at this chair").tap()
    await page.keyboard.type("V-7\n")
    await undo_passes(page)
    await expect(page.locator("#head")).to_contain_text("visit V-7")
    await expect(page.locator("body.lost")).to_have_count(0)
    return page.url.rpartition("/")[2]


async def killed_with_an_act_on_its_way(page: Page, gateway: suite.Gateway) -> None:
    """The act has left the tablet, and the gateway dies before it has read it."""
    await page.get_by_role("button", name="Order is there").tap()
    os.kill(gateway.pid, signal.SIGSTOP)
    async with page.expect_request("**/acts"):
        await undo_passes(page)
    assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
    await expect(page.locator(".act.failed")).to_contain_text("Not sent: Order is there")
    await page.clock.fast_forward(SILENT_MS)
    await expect(page.locator("body.lost")).to_have_count(1)


async def facts_told(gateway: suite.Gateway, token: str) -> list[str]:
    """The kinds of what people told of the session, as the installed command reads the ledger."""
    command = ("ledger", "show", str(gateway.ledger), token, "--json")
    process = await asyncio.create_subprocess_exec(suite.CAPGATE, *command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return [each["fact"] for each in cast("Json", json.loads(said))["facts"] if each["detail"].get("person")]


@pytest.mark.timeout(400)
async def test_a_killed_gateway_is_on_the_page_again_without_a_touch_and_without_the_act(tmp_path: Path) -> None:
    port = free_port()
    async with suite.serving(tmp_path, suite.one_line("cap-01")) as units, screen(touch=True) as page:
        suite.write_configuration(tmp_path, units.url, Mosquitto(tmp_path), first_s=960, further_s=1800)
        file = tmp_path / "gateway.toml"
        web = f'[web]\nlisten = "127.0.0.1:{port}"\nscreens = ["127.0.0.1/32"]\n[[line]]'
        file.write_text(file.read_text().replace("[[line]]", web, 1))
        (tmp_path / "state").mkdir()
        add_account(tmp_path / "state", Role.NURSE)
        units.cool("cap-01")
        gateway = suite.Gateway(tmp_path)
        await gateway.start()
        await gateway.says(STARTED)
        await eventually_open(port)
        token = await session_on(page, f"http://127.0.0.1:{port}")
        await killed_with_an_act_on_its_way(page, gateway)
        units.stop("cap-01")
        await gateway.start()
        await gateway.says(STARTED, times=2)
        await expect(page.locator("body.lost")).to_have_count(0)
        await expect(page.locator("#live")).to_have_text("live")
        await expect(page.locator("#head")).to_have_attribute("data-state", "due")
        await expect(page.locator("#head")).not_to_contain_text("not kept")
        await expect(page.locator(".act.failed")).to_contain_text("Not sent: Order is there")
        assert await gateway.end(signal.SIGTERM) == 0
        assert await facts_told(gateway, token) == ["patient_bound"]
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
