"""The installed gateway, killed again and again in post-infusion cooling: nothing is lost, nothing is doubled."""

import asyncio
import random
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.crash import suite
from tests.crash.killed_session import END_S, STOP_S, session_with, sleep_until

KILLS = 8
CALLS = ("pwrite64", "fdatasync")  # all by which the ledger reaches the disk
LAST_NUMBER = 9
PATIENCE_S = 4.0  # longer than any number of calls takes, with increments coming


async def test_a_gateway_killed_in_post_cooling_loses_and_doubles_nothing(tmp_path: Path) -> None:
    await session_with(tmp_path, 2, _kill_at_any_moment)


async def _kill_at_any_moment(gateway: suite.Gateway, started_at: datetime) -> None:
    chance = random.Random(97009)
    span_s = (STOP_S - END_S - 6) / KILLS
    for kill in range(KILLS):
        await sleep_until(started_at + timedelta(seconds=END_S + 3 + span_s * (kill + chance.random() / 2)))
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        await gateway.start()


@pytest.mark.timeout(120)
async def test_a_gateway_killed_at_each_of_its_writes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """In each life it dies at another write or sync of its ledger; after each death the ledger must be sound."""
    suite.environment_has("strace")
    deaths: list[tuple[str, int]] = []

    async def harm(gateway: suite.Gateway, started_at: datetime) -> None:
        await sleep_until(started_at + timedelta(seconds=END_S + 2))
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        until = started_at + timedelta(seconds=STOP_S - 3)
        async with asyncio.TaskGroup() as verifying:
            for number in range(1, LAST_NUMBER + 1):
                for call in CALLS:
                    if suite.in_future(0) < until:
                        await gateway.start_to_die(call, number)
                        if await gateway.died(PATIENCE_S):
                            deaths.append((call, number))
                        verifying.create_task(_sound(gateway.ledger))
        await gateway.start()

    await session_with(tmp_path, 1, harm)
    await _sound(tmp_path / "state" / "ledger.db")
    assert len(deaths) > 8, deaths
    assert {call for call, _ in deaths} == set(CALLS)


async def _sound(ledger: Path) -> None:
    """`capgate ledger verify`, beside the next life of the gateway."""
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "ledger", "verify", ledger, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
