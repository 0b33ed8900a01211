"""The installed gateway crashes again and again: it goes on in safe mode, and nothing of that time is lost."""

import asyncio
import json
import signal
from pathlib import Path

from gateway.runtime.crashes import TOO_MANY
from tests.crash.killed_session import Scene, session_with
from tests.support import suite

ALARM = "/alarm/safe-mode"


async def test_what_comes_in_safe_mode_is_counted_once_somebody_ends_it(tmp_path: Path) -> None:
    async def harm(scene: Scene) -> None:
        gateway = scene.gateway
        for crash in range(TOO_MANY):
            await gateway.says('"started"', times=crash + 1)
            assert await gateway.end(signal.SIGABRT) == -signal.SIGABRT
            await gateway.start()
        await _is_safe(gateway, 1)
        await scene.remind()
        journal = tmp_path / "state" / "kept-messages.jsonl"
        await suite.until(journal.exists, "a message of the engine is kept")
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        await gateway.start()
        await _is_safe(gateway, 2)
        before = _size(tmp_path)
        await suite.until(lambda: _size(tmp_path) > before, "answers of the unit are kept")
        assert await _capgate("session", "list", "--config", tmp_path / "gateway.toml") == 1
        assert await _capgate("unit", "reload", "--config", tmp_path / "gateway.toml") == 0
        await suite.until(lambda: _states(gateway)[-1:] == ["cleared"], "the alarm is cleared")
        assert not journal.exists()

    await session_with(tmp_path, 3, harm)


async def _is_safe(gateway: suite.Gateway, times: int) -> None:
    await gateway.says("nothing is counted, polling goes on", times)
    await suite.until(lambda: _states(gateway)[-1:] == ["raised"], "the alarm is raised")


def _size(folder: Path) -> int:
    answers = folder / "state" / "kept-answers.jsonl"
    return answers.stat().st_size if answers.exists() else 0


def _states(gateway: suite.Gateway) -> list[str]:
    heard = suite.received(gateway.folder / "heard.txt")
    return [json.loads(payload)["data"]["state"] for topic, payload in heard if topic.endswith(ALARM)]


async def _capgate(*arguments: str | Path) -> int:
    process = await asyncio.create_subprocess_exec(suite.CAPGATE, *arguments, stdout=asyncio.subprocess.DEVNULL)
    return await process.wait()
