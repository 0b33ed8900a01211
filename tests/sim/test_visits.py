"""The visits to bind from: those of today, of whom messages wait or facts tell, and a trace of who read them."""

from pathlib import Path

import pytest

from tests.support.accesses import who_and_what
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Json, Suite, running


async def visits(suite: Suite) -> list[Json]:
    return (await Operator(suite).ask(request="visits"))["visits"]


async def ordered(suite: Suite, visit: str) -> None:
    """The engine tells of an infusion; no cap serves the visit."""
    order = f"O-{visit[-1]}"
    await suite.send_event(f"s-{order}", "infusion.started", visit=visit, order=order, agent_class="chemo")
    suite.clock.us += MINUTE_US


async def test_those_that_no_cap_serves_come_first_and_only_those_of_today(folder: Path) -> None:
    async with running(folder) as suite:
        await ordered(suite, "V-0")
        suite.clock.us += 24 * 60 * MINUTE_US
        assert await visits(suite) == []
        assert who_and_what(suite) == [], "nobody was shown"
        for visit in ("V-1", "V-2", "V-3"):
            await ordered(suite, visit)
        await Operator(suite).request_act("bind", place="c02", visit="V-3")
        suite.clock.us += MINUTE_US
        found = await visits(suite)
        assert [(each["visit"], each["chair"]) for each in found] == [
            ("V-2", None), ("V-1", None), ("V-3", "c02")
        ]  # fmt: skip
        await visits(suite)
        assert who_and_what(suite) == [(Operator(suite).by.login, "visits", [])], "once in a quarter of an hour"
        bodies = "".join(entry.body for entry in await suite.ledger.entries())
        assert not any(visit in bodies for visit in ("V-1", "V-2", "V-3"))


async def test_of_many_the_last_are_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.control.boards.MOST", 2)
    async with running(folder) as suite:
        for number in range(4):
            await ordered(suite, f"V-{number}")
        answer = await Operator(suite).ask(request="visits")
        assert ([each["visit"] for each in answer["visits"]], answer["more"]) == (["V-3", "V-2"], True)
