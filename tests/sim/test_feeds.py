"""Messages shaped after real feeds, through the pipeline on a ledger: what each must give is recorded and answered."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.ledger.entry import EntryKind
from gateway.session.facts import decode_fact
from tests.support.pipeline import CONFIG, POLICY, FakeClock, Suite, running
from tests.unit.gateway.messages.inbound.feed_messages import MESSAGES, Message, shown
from tests.unit.gateway.messages.inbound.inbound_support import NOW

WARD = CONFIG.replace('"c01"', '"c12"')
WORDS = """
[drugs]
chemo = ["PACLI"]
hydration = ["SALINE"]
flush = ["FLUSH"]

"""
BOUND = {"visit": "V770012", "unit": "cap-01", "cap": 1, "validated": True}
ORDER = {"visit": "V770012", "order": "700812", "agent_class": "chemo", "source": "mar"}


def in_the_evening() -> FakeClock:
    clock = FakeClock()
    clock.us = NOW
    return clock


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ward(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Path]:
    """The state of a gateway of which a cap serves the patient, and which knows the order."""
    folder = tmp_path_factory.mktemp("ward")
    (folder / "gateway.toml").write_text(WARD.replace("[[line]]", f"{WORDS}[[line]]", 1))
    (folder / "policy.toml").write_text(POLICY)
    async with running(folder, in_the_evening()) as suite:
        await suite.send_event("b", "association.bound", 60, **BOUND)
        await suite.send_event("s", "infusion.started", 480, **ORDER)
    yield folder


async def recorded(suite: Suite) -> list[str]:
    bodies = [entry.body for entry in await suite.ledger.entries() if entry.kind is EntryKind.FACT]
    return [shown(decode_fact(body)) for body in bodies]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_each_is_recorded_and_answered_as_its_sidecar_says(message: Message, ward: Path, tmp_path: Path) -> None:
    shutil.copytree(ward, tmp_path, dirs_exist_ok=True)
    async with running(tmp_path, in_the_evening()) as suite:
        before = await recorded(suite)
        answer = await suite.answered(message.path.read_bytes())
        said = " ".join(filter(None, (answer["result"], answer.get("code"))))
        assert (said, tuple((await recorded(suite))[len(before) :])) == (message.answer, message.facts)
