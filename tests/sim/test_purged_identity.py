"""A patient's identifiers are purged while a session is not charged yet: it is held, and the gateway goes on."""

from pathlib import Path

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.ledger.bodies import PurgeNote
from gateway.ledger.retention import Purge
from gateway.messages.instants import rfc3339
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionState
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Suite, cool, running

DAY_US = 1440 * MINUTE_US


async def purge(suite: Suite) -> None:
    """Before its time: retention would keep it."""
    patients = {record.patient for record in suite.pipeline.state.records.values()}
    await suite.pipeline.purge(Purge(subjects=tuple(patients)), PurgeNote())


async def treated(suite: Suite) -> str:
    """A session of one unit that lacks nothing but the window's end."""
    await cool(suite)
    operator = Operator(suite)
    token = (await operator.session())["token"]
    await suite.infusion_over(minutes_ago=20)
    await operator.request_act("prepared", token=token)
    suite.state = RunState.STOPPED
    await suite.poll(2)
    return token


async def test_a_session_whose_patient_was_purged_is_held_when_it_would_be_charged(folder: Path) -> None:
    async with running(folder) as suite:
        token = await treated(suite)
        await purge(suite)
        suite.clock.us += 4 * DAY_US
        await suite.start()
        await suite.start()  # it is told once
        record = suite.pipeline.state.records[token]
        assert record.published is not None
        assert (record.state, record.published.held) == (SessionState.HELD, (HeldReason.IDENTITY_PURGED,))
        assert await suite.sent("/charge/json") == []
        suite.clock.us += MINUTE_US
        operator = Operator(suite)
        refusal = await operator.refused("lift-hold", token=token, holds=["identity_purged"])
        assert "bind" in refusal
        assert (await operator.ask(request="status"))["ok"]
        await operator.request_act("bind", place=token, visit="V-1")
        await operator.request_act("lift-hold", token=token, holds=["identity_purged"])
        (charge,) = await suite.sent("/charge/json")
        assert charge["data"]["quantity"] == 1
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_a_credit_for_a_purged_patient_is_not_approved_until_the_patient_is_named_again(folder: Path) -> None:
    async with running(folder) as suite:
        token = await treated(suite)
        operator = Operator(suite)
        await operator.request_act("finalise", token=token)
        (charge,) = await suite.sent("/charge/json")
        await purge(suite)
        await operator.request_act("stop-charted", token=token, at=rfc3339(suite.clock.us - 15 * MINUTE_US))
        decision = {"token": token, "charge": charge["data"]["charge"], "approve": True}
        assert "bind" in await operator.refused("decide-correction", **decision)
        await operator.request_act("bind", place=token, visit="V-1")
        answer = await operator.request_act("decide-correction", **decision)
        assert [each["reverses"] for each in answer["changed"][0]["charges"]] == [charge["data"]["charge"]]
    assert verify(folder / "state" / "ledger.db").problems == ()
