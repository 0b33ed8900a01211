"""The installed gateway on a disk that is full or read-only: it goes on reading, says so, and recovers by itself.

The unit's own counters prove what it did meanwhile, so every increment must come, once and at its exact instant.
"""

import asyncio
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.killed_session import Scene, session_with
from tests.crash.small_disk import SmallDisk, small_disk
from tests.support import suite

pytestmark = pytest.mark.timeout(600)

ALARM = "/alarm/ledger-blocked"


@pytest.mark.requirement("REQ-RECORD-5")
async def test_a_full_disk_stops_the_recording_alone_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:

        async def harm(scene: Scene) -> None:
            gateway = scene.gateway
            ballast = disk.folder / "ballast"
            await suite.until(ballast.exists, "there is a ballast")
            await _blocked(scene, disk.fill)
            await gateway.says("the ballast is given up")
            await _goes_on(gateway)
            assert not ballast.exists()
            disk.empty()
            await _recovered(gateway)
            await suite.until(ballast.exists, "there is a ballast again")

        await session_with(tmp_path, 3, harm)


@pytest.mark.requirement("REQ-RECORD-5")
async def test_a_disk_that_becomes_read_only_stops_the_recording_alone_until_it_is_mended(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk:

        async def harm(scene: Scene) -> None:
            gateway = scene.gateway
            disk.break_off()
            await _blocked(scene, lambda: None)
            await _goes_on(gateway)
            assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
            await gateway.start()
            await gateway.says("polling goes on", times=2)
            await _goes_on(gateway)
            await _unmounted(disk)
            disk.mount()
            await _recovered(gateway)

        await session_with(tmp_path, 3, harm)


async def _blocked(scene: Scene, again: Callable[[], None]) -> None:
    """Do harm `again` and again until nothing can be recorded."""
    log = scene.gateway.folder / "gateway.log"
    async with asyncio.timeout(suite.HANGS_S):
        while "polling goes on" not in log.read_text():
            again()
            await scene.remind()
    await suite.until(lambda: _states(scene.gateway)[-1:] == ["raised"], "the alarm is raised")


async def _goes_on(gateway: suite.Gateway) -> None:
    """Temperatures are still published, and `/healthz` says what is wrong."""
    before = _temperatures(gateway)
    await suite.until(lambda: _temperatures(gateway) > before + 4, "telemetry goes on")
    status, said = await asyncio.to_thread(_health, gateway)
    assert status == 503
    assert any(reason.startswith("nothing is counted") for reason in said["reasons"]), said


async def _recovered(gateway: suite.Gateway) -> None:
    await suite.until(lambda: _states(gateway)[-1:] == ["cleared"], "the alarm is cleared")


async def _unmounted(disk: SmallDisk) -> None:
    """The gateway tries it again and again, so it is in use now and then."""
    async with asyncio.timeout(suite.HANGS_S):
        while True:
            try:
                disk.unmount()
            except AssertionError:
                await asyncio.sleep(0.1)
            else:
                return


def _states(gateway: suite.Gateway) -> list[str]:
    heard = suite.received(gateway.folder / "heard.txt")
    return [json.loads(payload)["data"]["state"] for topic, payload in heard if topic.endswith(ALARM)]


def _temperatures(gateway: suite.Gateway) -> int:
    return sum("/temperature" in line for line in suite.whole_lines(gateway.folder / "heard.txt"))


def _health(gateway: suite.Gateway) -> tuple[int, dict[str, list[str]]]:
    text = (gateway.folder / "gateway.toml").read_text()
    listen = text.partition('[health]\nlisten = "')[2].partition('"')[0]
    try:
        with urllib.request.urlopen(f"http://{listen}/healthz") as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read())
