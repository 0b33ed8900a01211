"""What the EHR states of a visit and its order in a charge: as it was known at the release, and never after it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.ledger.bodies import Order, PurgeNote
from gateway.ledger.retention import Purge
from tests.support.story import POLICIES, Day, a_day
from tests.unit.gateway.messages.hl7_support import hl7

POLICY = (POLICIES / "story.toml").read_text()
EVERYTHING = (
    'details = ["patient_class", "attending", "orderer", "performer", "diagnosis", "visit_diagnosis", "device"]\n'
)
FIRST, SECOND = "55501^FIRST^FRIDA", "55502^SECOND^SVEN"


def asking(details: str) -> Callable[[str], str]:
    return lambda config: config.replace("[charges]\n", f"[charges]\n{details}")


async def chart(day: Day, control_id: str, orderer: str, diagnosis: str = "") -> None:
    """The MAR's end of the infusion once more, in a message of its own."""
    message = hl7("ras_o17_complete", MSH_10=control_id, ORC_12=orderer)
    if diagnosis:
        message = message.replace(b"\rRXR", f"\rDG1|1||{diagnosis}\rRXR".encode())
    await day.pipeline.message("ehr/in/hl7", message)
    answer = (await day.sent("/result/json"))[-1]["data"]
    assert answer["result"] == "accepted", answer
    await day.start()


async def payloads(day: Day) -> dict[str, bytes]:
    """Every charge and credit in every notation, by the id of its message."""
    rows = await day.ledger.outbox.pending(0, 100_000)
    return {row.event_id: row.payload for row in rows if "/charge/" in row.topic}


async def items(day: Day) -> list[dict[str, Any]]:
    bundles = [json.loads(payload) for name, payload in (await payloads(day)).items() if name.endswith(".fhir")]
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    return [resource for resource in resources if resource["resourceType"] == "ChargeItem"]


async def test_a_charge_says_what_was_stated_before_its_release(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING)) as day:
        await day.treated()
        await chart(day, "M1", FIRST)
        await chart(day, "M2", "", "C50.1^Cancer^I10C")
        await day.sign()
        charges = await day.charges()
        assert len(charges) > 1
        said = {tuple(each[at] for at in ("PV1-2", "PV1-7", "FT1-19", "FT1-20", "FT1-21")) for each in charges}
        assert said == {("O", "99901^PROVIDER^TEST", "C50.1^Cancer^I10C", "rn-1", FIRST)}
        for item in await items(day):
            assert item["performer"][0]["actor"]["identifier"]["value"] == "rn-1"
            assert item["reason"][0]["coding"][0]["code"] == "C50.1"
            assert len(item["supportingInformation"]) == 1


async def told(day: Day) -> list[dict[str, Any]]:
    """The data of every charge and credit as JSON."""
    return [event["data"] for event in await day.sent("/charge/json")]


async def test_a_charge_as_json_says_the_same_and_its_credit_too(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING + 'modifiers = ["59", "JW"]\n')) as day:
        await day.treated()
        await chart(day, "M1", FIRST, "C50.1^Cancer^I10C")
        await day.sign()
        charged = {each["charge"]: each for each in await told(day)}
        await chart(day, "M2", SECOND, "C50.2")
        await day.amend()
        credited = [each for each in await told(day) if each["action"] == "credit"]
        assert credited
        for each in [*charged.values(), *credited]:
            assert each["modifiers"] == ["59", "JW"]
            assert each["details"] == {
                "patient_class": "O",
                "attending": [{"number": "99901", "family": "PROVIDER", "given": "TEST"}],
                "orderers": [{"number": "55501", "family": "FIRST", "given": "FRIDA"}],
                "performers": [{"number": "rn-1"}],
                "diagnoses": [{"code": "C50.1", "text": "Cancer", "system": "I10C"}],
            }
        assert {each["reverses"] for each in credited} <= charged.keys()
    assert verify(tmp_path / "state" / "ledger.db").sound


async def test_a_charge_as_json_of_which_nothing_is_known_has_no_details(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking('details = ["diagnosis"]\n')) as day:
        await day.treated()
        await day.sign()
        assert all("details" not in each and "modifiers" not in each for each in await told(day))


async def test_what_the_message_states_that_brings_the_release_is_in_the_charge(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING)) as day:
        await day.cooled()
        await day.until("09:31")
        message = hl7("ras_o17_start", ORC_12=SECOND)
        await day.pipeline.message("ehr/in/hl7", message)
        await day.until("12:35")
        day.state = RunState.STOPPED
        await day.until("12:40")
        await day.sign()
        assert await payloads(day) == {}, "no end is known"
        await chart(day, "M1", FIRST)
        assert {each["FT1-21"] for each in await day.charges()} == {FIRST}


async def test_what_is_stated_after_the_release_changes_nothing_of_what_was_sealed(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING)) as day:
        await day.treated()
        await day.sign()
        sealed = await payloads(day)
        await chart(day, "M1", FIRST, "C50.1")
        assert await payloads(day) == sealed
        keys = [item["identifier"][0]["value"] for item in await items(day)]
        await day.pipeline.send_again(Order(keys[0], "J. Ortiz", "asked for"))
        assert await payloads(day) == sealed
        await chart(day, "M2", SECOND)
        await day.amend()
        later = await payloads(day)
        assert {name: later[name] for name in sealed} == sealed
        new = [each for each in await day.charges() if f"CG{each['FT1-2']}" not in sealed]
        assert {(each["FT1-6"], each.get("FT1-19", ""), each.get("FT1-21", "")) for each in new} == {("CD", "", "")}, (
            "a credit says what its charge said"
        )


async def test_what_a_charge_said_its_credit_says_whatever_was_stated_meanwhile(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING)) as day:
        await day.treated()
        await chart(day, "M1", FIRST, "C50.1")
        await day.sign()
        await chart(day, "M2", SECOND, "C50.2")
        await day.amend()
        taken_back = [each for each in await day.charges() if each["FT1-6"] == "CD"]
        assert {(each["FT1-19"], each["FT1-21"], each["FT1-20"]) for each in taken_back} == {("C50.1", FIRST, "rn-1")}
        charged = {each["FT1-2"] for each in await day.charges() if each["FT1-6"] == "CG"}
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as ledger:
            kept = {name for (name,) in ledger.execute("SELECT name FROM detail WHERE about = 'charge'")}
        assert kept == charged, "a credit needs none of its own"


@pytest.mark.parametrize("details", ["", 'details = ["performer"]\n'])
async def test_what_the_site_does_not_ask_for_is_neither_kept_nor_said(tmp_path: Path, details: str) -> None:
    async with a_day(tmp_path, POLICY, asking(details)) as day:
        await day.treated()
        await chart(day, "M1", FIRST, "C50.1")
        await day.sign()
        assert all(b"FRIDA" not in each and b"C50.1" not in each for each in (await payloads(day)).values())
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as ledger:
            abouts = {about for (about,) in ledger.execute("SELECT about FROM detail")}
            assert abouts == ({"charge"} if details else set())


async def test_no_diagnosis_is_in_the_chain_and_what_is_purged_is_said_no_more(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY, asking(EVERYTHING)) as day:
        await day.treated()
        await chart(day, "M1", FIRST, "C50.1")
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.db")) as ledger:
            assert ledger.execute("SELECT count(*) FROM detail").fetchone() != (0,)
            subjects = {subject for (subject,) in ledger.execute("SELECT subject FROM detail")}
        await day.pipeline.purge(Purge(subjects=tuple(subjects)), PurgeNote())
        await day.say("adt_a08_update")  # the patient is named again
        await day.sign()
        assert {(each.get("FT1-19", ""), each.get("FT1-21", "")) for each in await day.charges()} == {("", "")}
        bodies = [entry.body for entry in await day.ledger.entries()]
        assert not any("C50.1" in body or "FRIDA" in body for body in bodies)
