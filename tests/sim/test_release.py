"""From readings to a charge and its credit: the real pipeline on a real ledger, restarted between any two steps."""

import json
from itertools import groupby
from pathlib import Path

from gateway.ledger.entry import EntryKind
from gateway.session.facts import CorrectionDecided
from tests.support.pipeline import POLICY, running
from tests.support.schemas import problems
from tests.support.signing import signed


async def test_a_signed_session_is_charged_corrected_credited_and_charged_anew(folder: Path) -> None:
    async with running(folder) as suite:
        await signed(suite)
        (charge,) = await suite.sent("/charge/json")
        token = charge["data"]["session"]
        assert (charge["id"], charge["data"]["quantity"]) == (f"{token}00A", 3)
        assert charge["data"]["mode"] == "test"
        assert charge["data"]["patient"] == {"visit": "V-1"}
        rows = await suite.ledger.outbox.pending(0, 100_000)
        assert {row.topic for row in rows if "charge" in row.topic} == {"capgate-test/v1/ward/ehr/gw-01/charge/json"}

        order = {"visit": "V-1", "order": "O-1", "source": "mar", "final": True, "version": 2}
        await suite.send_event("c", "infusion.completed", 46, **order)
        (messages,) = (each for each in await suite.sent("/session/json") if each["data"]["what"] == "correction")
        in_question = {"charge": f"{token}00A", "charged": 3, "counted": 1, "reason": "count"}
        assert messages["data"]["corrections"] == [in_question]
        assert messages["data"]["counts"] == {"attained": 1, "held": 0, "retracted": 2, "charged": 3}
        await suite.start()
        assert len(await suite.sent("/charge/json")) == 1

        now_us = suite.clock.us
        decided = CorrectionDecided(
            at_us=now_us, known_at_us=now_us, token=token, person="cm-1", charge=f"{token}00A", approved=True
        )
        await suite.pipeline.record([decided])
        await suite.start()
        _, credit, anew = await suite.sent("/charge/json")
        assert (credit["id"], credit["data"]["reverses"], credit["data"]["quantity"]) == (
            f"{token}A0A",
            f"{token}00A",
            3,
        )
        assert (anew["id"], anew["data"]["quantity"]) == (f"{token}00B", 1)
        assert [problems(each) for each in (charge, credit, anew, messages)] == [[], [], [], []]
        bodies = [json.loads(each.body) for each in await suite.ledger.entries() if each.kind is EntryKind.CHARGE]
        assert [each["charge"]["key"] for each in bodies] == [charge["id"], credit["id"], anew["id"]]
        for each in (charge, credit, anew):
            del each["data"]["patient"]  # the chain names none
        held = ("type", "id", "causationid", "data")
        told = [{name: each[name] for name in held if name in each} for each in (charge, credit, anew)]
        assert [each["event"] for each in bodies] == told


async def test_every_session_message_on_the_way_is_valid_and_says_how_the_release_stands(folder: Path) -> None:
    async with running(folder) as suite:
        await signed(suite)
        messages = await suite.sent("/session/json")
        assert [problems(each) for each in messages] == [[]] * len(messages)
        states = [each["data"]["release"]["state"] for each in messages]
        assert [state for state, _ in groupby(states)] == ["held", "provisional", "released"], "held: nobody is known"
        assert messages[-1]["data"]["what"] == "finalised"
        assert messages[-1]["data"]["missing"] == ["order", "tolerance-check", "cap-identifier"]


async def test_a_dry_run_charges_nothing_and_says_that_nothing_else_holds(folder: Path) -> None:
    (folder / "policy.toml").write_text(POLICY + 'release = "dry_run"\n')
    async with running(folder) as suite:
        await signed(suite)
        assert await suite.sent("/charge/json") == []
        assert (await suite.sent("/session/json"))[-1]["data"]["release"] == {"state": "held", "reasons": ["dry_run"]}
