"""Statements of visits that nobody here has seen: they cost no entry, and count as ever once the visit gets a cap."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.ledger.entry import subject_of
from gateway.messages.identity import Identity
from gateway.session.facts import CapRef, PatientBound
from tests.support.pipeline import EPOCH_US, MINUTE_US, FakeClock, Suite, configured, cool, facts_of, running

WORDS = '[drugs]\nchemo = ["PACLI"]\n\n[ehr]\nunseen_days = 2\nunseen_most = 1000\n\n'
RENUMBERED = "\r".join(  # from V-1 to V-2
    [
        "MSH|^~\\&|EHR|H|C|N|20260310||ADT^A50|N1|P|2.5.1",
        "EVN||20260310",
        "PID|1||mrn of V-1",
        "MRG|||||V-1",
        f"PV1|1|O|{'|' * 16}V-2",
        "",
    ]
).encode()
DAY_US = 1440 * MINUTE_US
AT = (0, 1, 1)  # the arrivals in which the start, the start again and the end are told
WAITS = "no cap here served this visit so far"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path, WORDS)


async def given(suite: Suite, visit: str = "V-1", end_min: float | None = 0.0, **changes: object) -> dict[str, Any]:
    """A FHIR administration that began 50 minutes ago, and has ended so long ago; it names no place."""

    def at(minutes_ago: float) -> str:
        return datetime.fromtimestamp((suite.clock.us - minutes_ago * MINUTE_US) / 1e6, UTC).isoformat()

    resource: dict[str, Any] = {
        "resourceType": "MedicationAdministration",
        "id": "m1",
        "status": "in-progress" if end_min is None else "completed",
        "medicationCodeableConcept": {"coding": [{"code": "PACLI"}]},
        "context": {"identifier": {"value": visit}},
        "subject": {"identifier": {"value": f"mrn of {visit}"}},
        "effectivePeriod": {"start": at(50)} | ({} if end_min is None else {"end": at(end_min)}),
        "request": {"identifier": {"value": "O-1"}},
        "meta": {"lastUpdated": at(0)},
    }
    return await suite.answered(json.dumps(resource | changes).encode())


async def ras(suite: Suite, *, end_us: int | None = None, word: str = "CP", visit: str = "V-1") -> dict[str, Any]:
    """The same for one that ran until so, in HL7; it began as cooling did."""

    def text(us: int) -> str:
        return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y%m%d%H%M%SZ")

    end = "" if end_us is None else text(end_us)
    lines = [
        f"MSH|^~\\&|EHR|H|C|N|{text(suite.clock.us)}||RAS^O17|{suite.clock.us}|P|2.5.1",
        "PID|1||90001234",
        "PV1|1|O|" + "|" * 16 + visit,
        "ORC|RE|O-1|||CM",
        f"RXA|0|1|{text(EPOCH_US)}|{end}|PACLI|||||||||||||||{word}|A|{text(suite.clock.us)}",
    ]
    return await suite.answered("\r".join([*lines, ""]).encode())


async def bind(suite: Suite, visit: str = "V-1") -> None:
    place = {"unit": "cap-01", "cap": 1, "visit": visit}
    await suite.send_event(f"b-{visit}", "association.bound", 60, validated=True, asserted_by="scan", **place)


async def entries(suite: Suite) -> int:
    return len(await suite.ledger.entries())


async def learned_us(suite: Suite) -> list[int]:
    """When what was said of infusions was learned, in the order of the ledger."""
    facts = [json.loads(entry.body) for entry in await suite.ledger.entries()]
    return [fact["known_at_us"] for fact in facts if "infusion" in fact.get("fact", "")]


def subject(suite: Suite, visit: str) -> str:
    return subject_of(suite.ledger.salt, visit)


async def test_they_leave_no_entry_and_are_told_that_they_wait(folder: Path) -> None:
    async with running(folder) as suite:
        before = await entries(suite)
        for visit in ("V-1", "V-2"):
            answer = await given(suite, visit)
            assert answer["result"] == "accepted"
            assert WAITS in answer["text"]
        event = await suite.send_event("j", "infusion.started", visit="V-3", order="O", agent_class="chemo")
        checked = await suite.send_event("o", "order.checked", visit="V-3", found=True)
        assert all(WAITS in answer["text"] for answer in (event, checked, await ras(suite, visit="V-4")))
        assert await entries(suite) == before
        assert await suite.ledger.staged_count() == 5


async def test_what_names_a_chair_of_ours_is_recorded_at_once(folder: Path) -> None:
    async with running(folder) as suite:
        before = await entries(suite)
        place = {"chair": "c01", "visit": "V-1", "order": "O", "agent_class": "chemo"}
        assert "text" not in await suite.send_event("s", "infusion.started", 0, **place)
        assert await entries(suite) == before + 3, "the fact, the answer, and the seal of the identity"
        assert WAITS not in (await given(suite)).get("text", ""), "the visit is known by then"


@pytest.mark.parametrize("restarted", [False, True])
async def test_they_count_from_the_binding_on_as_if_they_had_been_taken_at_once(
    tmp_path: Path, restarted: bool
) -> None:
    told: list[Any] = []
    for bound_first in (True, False):
        place = configured(tmp_path / f"{bound_first}", WORDS)
        async with running(place) as suite:
            if bound_first:
                await bind(suite)
            await cool(suite)
            arrived_us = [suite.clock.us]
            await given(suite, end_min=None)
            await suite.poll(1)
            arrived_us.append(suite.clock.us)
            await given(suite)
            await suite.poll(40)
            if restarted:
                await suite.start()
            if not bound_first:
                assert await learned_us(suite) == []
                await bind(suite)
            await suite.poll(20)
            assert [us // MINUTE_US for us in await learned_us(suite)] == [arrived_us[at] // MINUTE_US for at in AT]
            told.append(await suite.increments())
        assert verify(place / "state" / "ledger.db").sound
    assert told[0] == told[1] == [("emit", 1, "A"), ("emit", 2, "A")]


async def counted(suite: Suite) -> int:
    """How many units a patient has attained who goes on cooling for an hour."""
    await suite.poll(60)
    return len(await suite.increments())


async def test_they_outlive_the_process(folder: Path) -> None:
    clock = FakeClock()
    async with running(folder, clock) as suite:
        await cool(suite)
        await given(suite)
        unit_s = suite.treatment_s
    async with running(folder, clock) as suite:
        suite.state, suite.treatment_s = RunState.RUNNING, unit_s
        await bind(suite)
        assert await counted(suite) == 2


async def test_a_person_who_binds_the_visit_takes_them_up(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await given(suite)
        at, cap, patient = suite.clock.us, CapRef("cap-01", 1), subject(suite, "V-1")
        fact = PatientBound(at_us=at - 60 * MINUTE_US, known_at_us=at, cap=cap, patient=patient)
        await suite.pipeline.record([fact], [Identity(patient, "V-1")])
        assert await counted(suite) == 2


async def test_each_is_answered_again_once_it_is_taken_up(folder: Path) -> None:
    async with running(folder) as suite:
        await given(suite)
        await bind(suite)
        answers = [event["data"] for event in await suite.sent("/result/json")]
        assert [answer["result"] for answer in answers] == ["accepted", "accepted"], "the administration, the binding"
        assert WAITS not in answers[0].get("text", "")


async def test_one_that_comes_again_is_taken_once(folder: Path) -> None:
    async with running(folder) as suite:
        at_us = suite.clock.us
        for minute in range(3):
            suite.clock.us = at_us
            answer = await given(suite)
            assert (WAITS in answer["text"]) is (minute == 0)
        await bind(suite)
        before = await entries(suite)
        suite.clock.us = at_us
        assert (await given(suite))["text"] == "this message was taken before"
        assert await entries(suite) == before
        assert len(await facts_of(suite, "infusion_started")) == 1


async def test_what_is_taken_back_while_it_waits_never_counts(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await given(suite)
        suite.clock.us += MINUTE_US
        await given(suite, status="entered-in-error")
        await bind(suite)
        assert await counted(suite) == 0


@pytest.mark.parametrize(("words", "units"), [(("CP",), 2), (("CP", "NA"), 0)])
async def test_a_dose_that_was_not_given_withdraws_one_that_waits(
    folder: Path, words: tuple[str, ...], units: int
) -> None:
    async with running(folder) as suite:
        await cool(suite)
        end_us = suite.clock.us
        for word in words:
            suite.clock.us += MINUTE_US
            assert WAITS in (await ras(suite, end_us=end_us, word=word))["text"]
        await bind(suite)
        assert len(await facts_of(suite, "infusion_end_voided")) == len(words) - 1
        assert await counted(suite) == units


@pytest.mark.parametrize("bound", ["V-1", "V-2"])
async def test_a_visit_whose_number_the_ehr_changes_keeps_them(folder: Path, bound: str) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await given(suite, "V-1")
        assert (await suite.answered(RENUMBERED))["result"] == "accepted"
        await bind(suite, bound)
        assert await counted(suite) == 2


async def test_statements_under_a_new_number_are_taken_up_as_it_becomes_that_of_a_visit_here(folder: Path) -> None:
    async with running(folder) as suite:
        await bind(suite, "V-1")
        await given(suite, "V-2")
        before = await entries(suite)
        await suite.answered(RENUMBERED)
        assert await suite.ledger.staged_count() == 0
        assert await entries(suite) > before + 2
        assert [item.raised.what.value for item in suite.pipeline.state.work] == ["visits_joined"] * 2


async def test_they_are_dropped_after_the_days_that_the_site_says_with_the_identifiers(folder: Path) -> None:
    async with running(folder) as suite:
        await given(suite, "V-1")
        await bind(suite, "V-2")
        suite.clock.us += DAY_US
        await given(suite, "V-3")
        suite.clock.us += DAY_US + 2 * MINUTE_US
        await suite.pipeline.tick()
        assert await suite.ledger.staged_count() == 1
        kept = [await suite.ledger.identity(subject(suite, visit)) for visit in ("V-1", "V-2", "V-3")]
        assert [each is not None for each in kept] == [False, True, True]


async def test_of_more_than_may_wait_the_oldest_are_dropped(folder: Path) -> None:
    async with running(folder) as suite:
        for number in range(1003):
            await given(suite, f"V-{number}")
        await suite.pipeline.tick()
        assert await suite.ledger.staged_count() == 1000
        waiting = [len(await suite.ledger.staged([subject(suite, f"V-{number}")])) for number in (2, 3, 1002)]
        assert waiting == [0, 1, 1]


async def test_a_clock_that_was_set_back_drops_nothing(folder: Path) -> None:
    async with running(folder) as suite:
        await given(suite)
        suite.clock.us = EPOCH_US - 30 * DAY_US
        await suite.pipeline.tick()
        assert await suite.ledger.staged_count() == 1


@pytest.mark.parametrize("change", ["payload = x'00'", "known_at_us = 5", "subject = 'another'", "seal = 'another'"])
async def test_one_that_was_altered_is_never_read(folder: Path, change: str) -> None:
    clock = FakeClock()
    async with running(folder, clock) as suite:
        await cool(suite)
        await given(suite, "V-1")
        await given(suite, "V-2")
        unit_s = suite.treatment_s
    connection = sqlite3.connect(folder / "state" / "ledger.db", isolation_level=None)
    (guard,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'staged_no_update'").fetchone()
    connection.execute("DROP TRIGGER staged_no_update")
    connection.execute(f"UPDATE staged SET {change} WHERE id = 1")
    connection.execute(guard)
    connection.close()
    async with running(folder, clock) as suite:
        assert suite.ledger.set_aside is not None
        assert await suite.ledger.staged_count() == 1, "the other is carried over"
        suite.state, suite.treatment_s = RunState.RUNNING, unit_s
        await bind(suite, "V-2")
        assert await counted(suite) == 2
