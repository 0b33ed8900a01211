"""A policy prepared for a day to come: what opens from that day on pins it, and what opened before keeps its own."""

from pathlib import Path

import msgspec

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.cli.control_report import answer_text
from gateway.control.answers import StatusAnswer
from tests.support.operator import Operator
from tests.support.pipeline import CONFIG, FakeClock, Suite, configured, facts_of, running

MINUTES_BEFORE = 30  # from the start to midnight


def two_policies(folder: Path) -> Path:
    """A site with a policy and its successor, effective from the next midnight on."""
    configured(folder)
    (folder / "gateway.toml").write_text(CONFIG.replace('"policy.toml"', '["policy.toml", "next.toml"]'))
    (folder / "next.toml").write_text(
        'name = "midpoint"\nrevision = "8"\neffective = 2026-09-22\nfirst_threshold_s = 1800\n'
    )
    return folder


async def pinned(suite: Suite) -> list[str]:
    return [each["policy"] for each in await facts_of(suite, "session_opened")]


async def cooled(suite: Suite, minutes: float) -> None:
    """Cooling for so long, then a stop for longer than a session waits."""
    suite.state = RunState.RUNNING
    await suite.poll(minutes)
    suite.state = RunState.STOPPED
    await suite.poll(35)


async def status(suite: Suite) -> StatusAnswer:
    answer = await Operator(suite).service.answer(b'{"request":"status"}', Operator(suite).by)
    return msgspec.json.decode(answer, type=StatusAnswer)


async def test_sessions_pin_what_is_in_force_when_they_open(tmp_path: Path) -> None:
    clock, folder = FakeClock(), two_policies(tmp_path / "site")
    clock.us = 1_790_035_200_000_000 - MINUTES_BEFORE * 60_000_000  # half an hour before 2026-09-22, UTC
    async with running(folder, clock) as suite:
        before = answer_text(await status(suite)).splitlines()
        await cooled(suite, 60)  # it opens before midnight and ends after
    async with running(folder, clock) as suite:
        after = answer_text(await status(suite)).splitlines()
        await cooled(suite, 5)
        texts = [(folder / name).read_text() for name in ("policy.toml", "next.toml")]
        assert await pinned(suite) == texts
    assert before[3:5] == [
        "in force: policy midpoint revision 7, approved by the tests",
        "from 2026-09-22 on: policy midpoint revision 8, approved by NOBODY, increments are held",
    ]
    assert after[3] == "in force: policy midpoint revision 8, approved by NOBODY, increments are held"
    assert verify(folder / "state" / "ledger.db").problems == ()
