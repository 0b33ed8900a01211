"""The board and what waits, as the control service answers them: a session from its start to its end."""

from datetime import datetime
from pathlib import Path

from drivers.reading import RunState
from gateway.control.units import with_swaps
from gateway.session.facts import UnitSwapped
from tests.support.operator import Json, Operator
from tests.support.pipeline import Suite, cool, running


async def chair(operator: Operator, name: str = "c01") -> Json:
    board = await operator.ask(request="board")
    assert [each["chair"] for each in board["chairs"]] == ["c01", "c02"]
    return next(each for each in board["chairs"] if each["chair"] == name)


async def waiting(operator: Operator) -> list[tuple[str, str | None, int]]:
    """Kind, chair and units of what waits; the board has its count."""
    todo = (await operator.ask(request="todo"))["todo"]
    assert (await operator.ask(request="board"))["todo"] == len(todo)
    return [(each["kind"], each["chair"], each["units"]) for each in todo]


def seconds_until(suite: Suite, instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp() - suite.clock.us / 1e6


async def test_a_session_from_its_start_to_its_end(folder: Path) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        assert ((await chair(operator))["state"], (await chair(operator))["session"]) == ("free", None)
        assert await waiting(operator) == []

        await cool(suite)
        cooling = await chair(operator)
        assert (cooling["state"], cooling["session"]["due"]) == ("pre-cooling", ["patient"])
        assert await waiting(operator) == [("unbound", "c01", 0)]

        await suite.infusion_over()
        counting = await chair(operator)
        assert (counting["state"], counting["session"]["units"]) == ("counting", 0)
        assert seconds_until(suite, counting["session"]["next_at"]) == 960
        assert counting["session"]["lacks_s"] == 960
        assert await waiting(operator) == [("undocumented", "c01", 0)]

        await suite.poll(20)
        assert (await chair(operator))["session"]["units"] == 1

        suite.connected = False
        await suite.poll(5)
        paused = (await chair(operator))["session"]
        assert (paused["phase"], paused["next_at"], paused["pause_limit_s"]) == ("paused", None, 600)
        assert await waiting(operator) == [("undocumented", "c01", 1)]
        await suite.poll(7)
        assert (await waiting(operator))[0] == ("paused-too-long", "c01", 1)

        suite.connected, suite.state = True, RunState.STOPPED
        await suite.poll(2)
        assert (await chair(operator))["state"] == "due"
        await suite.poll(40)
        await suite.pipeline.tick()
        assert (await chair(operator))["state"] == "free"
        assert await waiting(operator) == [("undocumented", "c01", 1)], "until its window is over"


async def test_an_incomplete_session_is_the_first_of_what_waits(folder: Path) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        await cool(suite)
        suite.state = RunState.STOPPED
        await suite.poll(40)
        await suite.pipeline.tick()
        assert (await waiting(operator))[0] == ("incomplete", "c01", 0)
        token = (await operator.ask(request="todo"))["todo"][0]["token"]
        await operator.request_act("explain", token=token)
        assert await waiting(operator) == []


async def test_what_is_unchanged_is_not_computed_again(folder: Path) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        await cool(suite)
        before = await chair(operator)
        asked: list[str] = []
        original = suite.pipeline.session

        async def counted(token: str) -> object:
            asked.append(token)
            return await original(token)

        suite.pipeline.session = counted  # type: ignore[method-assign, assignment]
        await suite.poll(3)
        assert (await chair(operator))["session"] == before["session"]
        assert asked == []
        await suite.infusion_over()
        await chair(operator)
        assert len(asked) == 1


async def test_a_chair_keeps_its_session_while_the_loaner_has_not_cooled_yet(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        token = (await chair(Operator(suite)))["session"]["token"]
        now_us = suite.clock.us
        swap = UnitSwapped(
            at_us=now_us, known_at_us=now_us, unit="cap-01", loaner="cap-99", person="bm-17", reason="pump is loud"
        )
        await suite.pipeline.record([swap])
        suite.config = with_swaps(suite.config, await suite.ledger.swaps())
        await suite.start()
        tile = await chair(Operator(suite))
        assert (tile["unit"], tile["session"] and tile["session"]["token"]) == ("cap-99", token)


async def test_the_board_names_no_patient(folder: Path) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        await cool(suite)
        await suite.infusion_over()
        answers = f"{await operator.ask(request='board', trends=True)}{await operator.ask(request='todo')}"
        assert "V-1" not in answers
        assert "O-1" not in answers
