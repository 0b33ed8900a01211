"""The equipment screen in a real browser: a bad cable is red and in words; its line is recorded, its unit swapped."""

import asyncio
import re
import signal
import sys
import urllib.request
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from drivers.diagnose.capture import load_capture
from drivers.direction import Direction
from drivers.reading import FaultKind
from gateway.config.roles import Role
from gateway.ledger.temperatures import HISTORY_FILE, READ, PollCount, TemperatureFile
from gateway.polling.captures import FOLDER, capture_file
from gateway.session.wording import Language
from simulators.faults import Fault, InjectedFault
from tests.broker.harness import Mosquitto, free_port
from tests.support import suite
from tests.web.axe import violations
from tests.web.browser import eventually_open, screen, undo_passes
from tests.web.people import PASSWORD, add_account, sign_in, with_account
from tests.web.scenes import a_month, counted
from tests.web.site import page_of

EARLIER, ENOUGH = 8, 4  # errors of today, which together say something
CAPTURED_S = 5  # in place of a minute
# The installed command with that one figure changed.
SHORT_CAPTURES = f"""#!{sys.executable}
import runpy
from gateway.polling import captures
captures.LENGTH_S = {CAPTURED_S}
runpy.run_path({str(suite.CAPGATE)!r}, run_name="__main__")
"""


def failed_polls(folder: Path) -> int:
    listen = (folder / "gateway.toml").read_text().partition('[health]\nlisten = "')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=suite.HANGS_S) as page:
        found = re.search(r'capgate_unit_faults_total\{kind="timeout",unit="cap-02"\} ([0-9.]+)', page.read().decode())
    return int(float(found[1])) if found else 0


def missed_earlier(file: Path, at: datetime) -> None:
    """As many of today's polls as were too few yet."""
    with closing(TemperatureFile(file)) as history:
        history.count(PollCount(at.date().isoformat(), "net-1", "cap-02", kind, EARLIER) for kind in (READ, "timeout"))


async def the_cable_is_pulled(folder: Path, gateway: suite.Gateway) -> None:
    """The gateway counts what comes of a bad cable, and is started again."""
    await gateway.start()
    await gateway.says('"msg":"started"')
    async with asyncio.timeout(suite.HANGS_S):
        while await asyncio.to_thread(failed_polls, folder) < ENOUGH:
            await asyncio.sleep(0.2)
    assert await gateway.end(signal.SIGTERM) == 0
    await gateway.start()
    await gateway.says('"msg":"started"', times=2)


async def shown(page: Page) -> None:
    """The bad cable in words, and red in more than colour."""
    line = page.locator('[data-line="net-1"]')
    await expect(line).to_have_class(re.compile("alarming"))
    await expect(line.locator(".verdict").first).to_have_text("cap-02: the unit or its cable; well on the same line: 1")
    bad, well = page.locator('[data-unit="cap-02"]'), page.locator('[data-unit="cap-01"]')
    await expect(bad.locator("h3")).to_have_text("badcap-02")
    await expect(bad.locator("h3 .shape")).to_be_visible()
    await expect(bad).to_contain_text(
        "worse than its own month: no answer comes: look at power, plug, address and cable"
    )
    await expect(bad.locator("tr.worse")).to_contain_text("no answer in time")
    await expect(well.locator("h3")).to_have_text("wellcap-01")
    await expect(well).to_contain_text("reference-cap-unit, trust: written from the manual, never tried")
    await expect(well).to_contain_text(re.compile(r"last seen .* answers in 0\.\d+ s on average, 95 % within"))
    colour = await bad.locator("h3").evaluate("each => getComputedStyle(each).color")
    assert colour == "rgb(196, 0, 26)"


async def captured(page: Page, folder: Path) -> None:
    """A capture by touch, and that the units were polled on meanwhile."""
    await page.get_by_role("button", name="Record a minute of net-1").click()
    await undo_passes(page)
    await expect(page.locator('[data-line="net-1"]')).to_contain_text("is recorded until")
    link = page.get_by_role("link", name="Capture of")
    await expect(link).to_be_visible()
    async with page.expect_download() as download:
        await link.click()
    taken = folder / (await download.value).suggested_filename
    assert taken.name == "net-1.jsonl"
    await (await download.value).save_as(taken)
    asked = [chunk.data[6] for chunk in load_capture(taken).chunks if chunk.direction is Direction.TX]
    assert set(asked) <= {1, 2}
    assert asked.count(1) > 1, "the unit that answers was polled on"


async def diagnosed(page: Page, folder: Path) -> None:
    """The archive of the running gateway by touch, with the capture in it."""
    async with page.expect_download(timeout=suite.HANGS_S * 1000) as download:
        await page.get_by_role("link", name="Diagnose archive").click()
    taken = folder / (await download.value).suggested_filename
    await (await download.value).save_as(taken)
    with zipfile.ZipFile(taken) as zipped:
        assert '"msg":"a capture begins"' in zipped.read("log.jsonl").decode()
        assert zipped.read("captures/net-1.jsonl") == (folder / "net-1.jsonl").read_bytes()


@pytest.mark.timeout(400)
async def test_a_bad_cable_is_red_in_words_and_its_line_is_recorded_by_touch(tmp_path: Path) -> None:
    port = free_port()
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line("cap-01", "cap-02")) as units, screen() as page:
            suite.write_configuration(tmp_path, units.url, broker, 2, 2)
            file = tmp_path / "gateway.toml"
            web = f'[web]\nlisten = "127.0.0.1:{port}"\n[[line]]'
            file.write_text(file.read_text().replace("[[line]]", web, 1) + suite.SECOND_UNIT)
            (tmp_path / "state").mkdir()
            add_account(tmp_path / "state", Role.BIOMED)
            history = tmp_path / "state" / HISTORY_FILE
            a_month(history, ("cap-01", "cap-02"), suite.in_future(0))
            missed_earlier(history, suite.in_future(0))
            units.afflict("cap-02", Fault(InjectedFault.LOST, probability=0.5))
            program = tmp_path / "capgate"
            program.write_text(SHORT_CAPTURES)
            program.chmod(0o755)
            gateway = suite.Gateway(tmp_path, program)
            await the_cable_is_pulled(tmp_path, gateway)
            await eventually_open(port)
            await page.goto(f"http://127.0.0.1:{port}/equipment")
            await sign_in(page)
            await page.get_by_role("link", name="Equipment").click()
            await shown(page)
            await captured(page, tmp_path)
            await diagnosed(page, tmp_path)
            assert await gateway.end(signal.SIGTERM) == 0
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()


async def test_what_fails_as_it_always_did_is_not_red(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        file, now = site.suite.config.state_dir / HISTORY_FILE, datetime.fromtimestamp(site.suite.clock.us / 1e6, UTC)
        days = [(now - timedelta(days=back)).date().isoformat() for back in range(23)]
        with closing(TemperatureFile(file)) as history:
            history.count(PollCount(day, "net-1", "cap-01", kind, 500) for day in days for kind in (READ, "timeout"))
        await page.goto(f"{site.url}/equipment")
        unit = page.locator('[data-unit="cap-01"]')
        await expect(unit.locator("h3")).to_have_text("bad as usualcap-01")
        await expect(unit).not_to_have_class(re.compile("alarming"))
        await expect(unit).to_contain_text("that is usual for it: its median is 500")


async def test_who_only_looks_sees_no_act_and_gets_no_capture(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        counted(site, {READ: 900, "garbled": 100})
        state = site.suite.config.state_dir
        (state / FOLDER).mkdir()
        capture_file(state, "net-1").write_text("{}\n")
        await page.goto(f"{site.url}/equipment")
        await expect(page.locator('[data-unit="cap-01"]')).to_contain_text("answers arrive damaged")
        await expect(page.locator("#lines button, #lines a")).to_have_count(0)
        for role, status in ((None, 401), (Role.NURSE, 403), (Role.BIOMED, 200)):
            if role is not None:
                with_account(site, role)
                await page.goto(site.url)
                await sign_in(page)
            assert (await page.request.get(f"{site.url}/capture/net-1")).status == status
            assert (await page.request.get(f"{site.url}/diagnose")).status == status
        assert (await page.request.get(f"{site.url}/capture/net-9")).status == 404
        assert (await page.request.get(f"{site.url}/capture/..%2Fledger")).status == 404


async def test_a_loaner_is_named_with_its_address(folder: Path) -> None:
    async with page_of(folder) as site, screen() as page:
        with_account(site, Role.BIOMED)
        await page.goto(f"{site.url}/equipment")
        await sign_in(page)
        await page.get_by_role("link", name="Equipment").click()
        await page.get_by_role("button", name="Swap for a loaner").click()
        await page.get_by_label("loaner's name").fill("loaner-2")
        await page.keyboard.press("Enter")
        await page.keyboard.type("2")
        await page.keyboard.press("Enter")
        await page.keyboard.type("pump is loud")
        async with page.expect_request("**/acts") as told:
            await page.keyboard.press("Enter")
            await undo_passes(page)
        assert (await told.value).post_data_json == {
            "act": "swap",
            "unit": "cap-01",
            "loaner": "loaner-2",
            "unit_id": 2,
            "reason": "pump is loud",
        }


@pytest.mark.parametrize("language", Language)
async def test_axe_finds_nothing(folder: Path, language: Language) -> None:
    async with page_of(folder) as site, screen(language=language) as page:
        with_account(site, Role.BIOMED)
        counted(site, {READ: 900, "garbled": 100, FaultKind.BUSY: 3})
        site.miss()
        await page.goto(f"{site.url}/sign-in?next=/equipment")
        await page.locator("#name").fill("m.curie")
        await page.locator("#secret").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator('[data-unit="cap-01"].alarming')).to_be_visible()
        await expect(page.locator(".overdue")).to_be_visible()
        assert await violations(page) == []
