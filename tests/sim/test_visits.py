"""The visits to bind from: those of today, of whom messages wait or facts tell, and a trace of who read them."""

from pathlib import Path

import pytest

from tests.support.accesses import who_and_what
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Json, Suite, configured, running


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


async def arrived(suite: Suite, visit: str, place: str, trigger: str = "A04") -> Json:
    """The EHR tells that a visit is at the place, and the gateway's answer."""
    lines = [
        f"MSH|^~\\&|EHR|H|C|N|20260310084500Z||ADT^{trigger}|{visit}{place}{trigger}|P|2.5.1",
        f"EVN|{trigger}|20260310084500Z",
        f"PID|1||mrn of {visit}",
        f"PV1|1|O|{place}|{'|' * 14}|{visit}",
    ]
    return await suite.answered("\r".join([*lines, ""]).encode())


async def test_who_arrived_in_this_suite_without_a_chair_can_be_bound(tmp_path: Path) -> None:
    folder = configured(tmp_path, '[charges]\nlocation = "INFA"\n\n')
    async with running(folder) as suite:
        for place in ("WARD7", "INFA^BAY9^C99", ""):
            assert (await arrived(suite, "V-9", place))["result"] != "accepted", place
        assert (await arrived(suite, "V-1", "INFA"))["result"] == "accepted"
        await arrived(suite, "V-2", "infa", "A02")
        assert {each["visit"] for each in await visits(suite)} == {"V-1", "V-2"}
        before = len(await suite.ledger.entries())
    async with running(folder) as suite:
        assert len(await suite.ledger.entries()) == before, "an arrival costs no entry"
        await Operator(suite).request_act("bind", place="c02", visit="V-1")
        found = {each["visit"]: (each["chair"], each["mrn"]) for each in await visits(suite)}
        assert found == {"V-1": ("c02", "mrn of V-1"), "V-2": (None, "mrn of V-2")}
        assert await suite.ledger.staged_count() == 1
