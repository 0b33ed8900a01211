"""The installed gateway, killed again and again in post-infusion cooling: nothing is lost, nothing is doubled."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from tests.crash.killed_session import Scene, session_with
from tests.scorecard.repeats import repeats
from tests.support import suite

KILLS = 8
LONGEST_LIFE_S = 4.0
CALLS = ("pwrite64", "fdatasync")  # all by which the ledger reaches the disk
LAST_NUMBER = repeats(5)

pytestmark = pytest.mark.timeout(900)  # as long as the lives of many processes take


async def test_a_gateway_killed_in_post_cooling_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(97009)

    async def harm(scene: Scene) -> None:
        gateway = scene.gateway
        for _kill in range(KILLS):
            assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
            await gateway.start()
            await asyncio.sleep(chance.uniform(0, LONGEST_LIFE_S))  # killed at any moment, its start included

    await session_with(tmp_path, 3, harm)


@pytest.mark.requirement("REQ-RECORD-1")
async def test_a_gateway_killed_at_each_of_its_writes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """In each life it dies at another write or sync of its ledger; after each death the ledger must be sound."""
    suite.environment_has("strace")

    async def harm(scene: Scene) -> None:
        gateway = scene.gateway
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        for number in range(1, LAST_NUMBER + 1):
            for call in CALLS:
                await gateway.start_to_die(call, number)
                death = asyncio.create_task(gateway.died())
                while not death.done():
                    await scene.remind()
                await death
                assert verify(gateway.ledger).problems == ()
        await gateway.start()

    await session_with(tmp_path, 5, harm)
