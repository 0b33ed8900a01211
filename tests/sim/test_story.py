"""A day of HL7 in, and charges as HL7, FHIR and JSON out: the real pipeline on a real ledger, restarted throughout.

Local time, UTC-4: registered 08:45, the unit bound 08:55, cooling from 09:00, paclitaxel 09:30 to 11:00, cooling until
12:35, signed 12:40; at 13:09 the chart's end is amended to 11:20.
"""

import json
from pathlib import Path

import pytest

from gateway.ledger.deliveries import Deliveries
from tests.support.story import POLICIES, a_day

DEFAULT = Path(__file__).parents[2] / "config" / "policies" / "default.toml"


async def test_three_half_hours_are_charged_and_one_is_credited_after_the_amended_end(tmp_path: Path) -> None:
    async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
        await day.treated()
        assert [(op, index) for op, index, _ in await day.increments()] == [("emit", 1), ("emit", 2), ("emit", 3)]
        assert await day.charges() == []
        await day.sign()
        token = (await day.sent("/charge/json"))[0]["data"]["session"]
        first = await day.charges()
        assert [(each["FT1-2"], each["FT1-6"], each["FT1-10"]) for each in first] == [
            (f"{token}00A", "CG", "1"),
            (f"{token}00B", "CG", "1"),
            (f"{token}00C", "CG", "1"),
        ]
        assert [each["FT1-4"] for each in first] == [
            "20260310110000-0400^20260310113000-0400",
            "20260310113000-0400^20260310120000-0400",
            "20260310120000-0400^20260310123000-0400",
        ]
        await day.amend()
        (*_, credit) = published = await day.charges()
        assert len(published) == 4
        assert (credit["FT1-6"], credit["FT1-8"]) == ("CD", f"REVERSES {token}00C")
        assert credit["FT1-23"] == first[2]["FT1-23"] == f"{token}00C^CAPGATE"
        assert credit["FT1-4"] == first[2]["FT1-4"]
        assert (credit["PID-3"], credit["PV1-19"]) == ("90001234^^^DEMO^MR", "V770012^^^DEMO^VN")


async def test_every_notation_says_the_same_of_each_charge_and_an_ack_settles_it(tmp_path: Path) -> None:
    async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
        await day.treated()
        await day.sign()
        await day.amend()
        events, bundles = await day.sent("/charge/json"), await day.sent("/charge/fhir")
        read = await day.charges()
        keys = [event["id"] for event in events]
        assert [each["MSH-10"] for each in read] == [f"CG{key}" for key in keys]
        assert [bundle["identifier"]["value"] for bundle in bundles] == keys
        statuses = [bundle["entry"][-1]["resource"]["status"] for bundle in bundles]
        assert statuses == ["billable", "billable", "billable", "entered-in-error"]
        assert {event["data"]["patient"]["mrn"] for event in events} == {"90001234"}
        assert (await day.ledger.outbox.deliveries()).pending == 4
        for ack in await day.acknowledgements():
            await day.pipeline.message("ehr/in/hl7", ack)
        assert await day.ledger.outbox.deliveries() == Deliveries()
        bodies = "".join(entry.body for entry in await day.ledger.entries())
        assert "90001234" not in bodies
        assert "V770012" not in bodies


async def test_under_the_default_policy_nothing_goes_out_unsigned_and_the_correction_waits(tmp_path: Path) -> None:
    approved = DEFAULT.read_text().replace('approved_by = ""', 'approved_by = "the tests"')
    async with a_day(tmp_path, approved) as day:
        await day.treated()
        assert await day.charges() == []
        await day.sign()
        (charge,) = await day.charges()
        assert (charge["FT1-6"], charge["FT1-10"]) == ("CG", "3")
        await day.amend()
        assert len(await day.charges()) == 1, "a person decides"
        (*_, published) = await day.sent("/session/json")
        assert [(each["charged"], each["counted"]) for each in published["data"]["corrections"]] == [(3, 2)]


@pytest.mark.requirement("REQ-CHARGE-2")
async def test_under_the_default_policy_as_shipped_nothing_is_charged_for_nobody_approved_it(tmp_path: Path) -> None:
    async with a_day(tmp_path, DEFAULT.read_text()) as day:
        await day.treated()
        await day.sign()
        assert await day.charges() == []
        (*_, published) = await day.sent("/session/json")
        assert "policy_unapproved" in json.dumps(published["data"]["release"])


@pytest.mark.parametrize("formats", ['["hl7"]', '["hl7", "fhir"]'])
async def test_the_ledger_vouches_for_charges_that_are_not_sent_as_json(tmp_path: Path, formats: str) -> None:
    def only(text: str) -> str:
        return text.replace('["json", "hl7", "fhir"]', formats)

    async with a_day(tmp_path, (POLICIES / "story.toml").read_text(), only) as day:
        await day.treated()
        await day.sign()
        assert len(await day.charges()) == 3
        assert await day.sent("/charge/json") == []
