"""The installed gateway crashes after somebody spoilt its configuration: it goes on with the last good one."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.crash.killed_session import Scene, session_with
from tests.support import suite

ALARM = "/alarm/configuration-refused"


@pytest.mark.requirement("REQ-INPUT-4")
async def test_a_crash_with_a_spoilt_configuration_loses_nothing(tmp_path: Path) -> None:
    async def harm(scene: Scene) -> None:
        gateway = scene.gateway
        file = tmp_path / "gateway.toml"
        good = file.read_text()
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        file.write_text(good.replace("[mqtt]", "[mqtt", 1))
        (tmp_path / "policy.toml").write_text("first_threshold_s = 1\n")
        await gateway.start()
        await suite.until(lambda: _states(gateway)[-1:] == ["raised"], "the alarm is raised")
        assert await _capgate("check", file) == 1
        assert await _capgate("unit", "reload", "--config", file) != 0
        file.write_text(good)
        assert await _capgate("unit", "reload", "--config", file) != 0, "the policy is still spoilt"
        (tmp_path / "policy.toml").write_text(suite.POLICY.format(first_s=4, further_s=3))
        assert await _capgate("unit", "reload", "--config", file) == 0
        await suite.until(lambda: _states(gateway)[-1:] == ["cleared"], "the alarm is cleared")

    await session_with(tmp_path, 3, harm)


async def _capgate(*arguments: str | Path) -> int:
    process = await asyncio.create_subprocess_exec(suite.CAPGATE, *arguments, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()


def _states(gateway: suite.Gateway) -> list[str]:
    heard = suite.received(gateway.folder / "heard.txt")
    return [json.loads(payload)["data"]["state"] for topic, payload in heard if topic.endswith(ALARM)]
