"""Messages of other wards: they leave nothing in ledger and memory, and cost one reading and a few look-ups."""

from pathlib import Path
from unittest.mock import patch

import pytest

from gateway.ledger.worker import Worker
from gateway.recording import message_reader
from tests.bench.noise import FOREIGN, WORDS
from tests.support.pipeline import Suite, configured, cool, running

MESSAGES = 30
MOST_LOOK_UPS = 3  # of a message: what it names, and whether an old number is known; or its storing, and the commit


async def ward(suite: Suite) -> None:
    await suite.infusion_over()
    await cool(suite)


@pytest.mark.parametrize("kind", FOREIGN)
async def test_they_leave_no_entry_and_are_read_once(kind: str, tmp_path: Path) -> None:
    async with running(configured(tmp_path, WORDS)) as suite:
        await ward(suite)
        before, state = len(await suite.ledger.entries()), suite.pipeline.state
        with (
            patch.object(message_reader, "read_message", wraps=message_reader.read_message) as read,
            patch.object(Worker, "run", autospec=True, side_effect=Worker.run) as asked,
        ):
            for number in range(MESSAGES):
                assert len(await suite.pipeline.message("any", FOREIGN[kind](number))) == 1
        assert read.call_count == MESSAGES
        assert asked.call_count <= MOST_LOOK_UPS * MESSAGES
        assert len(await suite.ledger.entries()) == before
        assert suite.pipeline.state is state
