"""A day at the ward in HL7 and FHIR: the real pipeline on a real ledger, restarted after every step."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.cli.control_report import answer_text
from gateway.control.answers import WorklistAnswer, WorkView
from gateway.messages.hl7v2 import Value, encode, segment
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Suite, configured, cool, running

WORDS = """
[ehr]
units = { CAP0007 = "cap-01" }

[drugs]
chemo = ["PACLI"]

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path, WORDS)


class Engine:
    """The site's interface engine; the gateway is started anew after each of its messages."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._count = 0

    def at(self, minutes_ago: float = 0.0) -> str:
        us = self._suite.clock.us - round(minutes_ago * MINUTE_US)
        return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")

    async def send(
        self, kind: str, *segments: tuple[str, Mapping[int, Value]], chair: str = "C01", visit: str = "V-1"
    ) -> dict[str, Any]:
        """The answer to a message with these segments."""
        self._count += 1
        first, trigger = kind.split("^")
        head = segment(
            "MSH", {3: "EHR", 7: self.at(), 9: [(first, trigger)], 10: f"M{self._count}", 11: "P", 12: "2.5.1"}
        )
        who = segment("PID", {3: [("90001234", "", "", "DEMO", "MR")], 5: [("TESTPATIENT", "ALPHA")], 18: "770012"})
        stay = segment("PV1", {2: "O", 3: [("INFA", "BAY1", chair)], 19: [(visit,)]})
        rest = [segment(name, fields) for name, fields in segments]
        event = segment("EVN", {1: trigger, 2: self.at()})
        return await self.take(encode([head, event, who, stay, *rest]))

    async def mar(self, end: float | None, action: str = "A") -> dict[str, Any]:
        """Paclitaxel began long ago, and ended `end` minutes ago or runs."""
        start = self.at(95)
        over = ("CP", "STOPPED", "CM") if end is not None else ("PA", "NEWBAG", "IP")
        line: dict[int, Value] = {3: start, 4: start if end is None else self.at(end), 5: [("PACLI",)], 9: [(over[1],)]}
        line |= {20: over[0], 21: action, 22: self.at()}
        return await self.send("RAS^O17", ("ORC", {1: "RE", 2: "RX1", 5: over[2]}), ("RXA", line))

    async def pump(self, event: str, minutes_ago: float) -> dict[str, Any]:
        return await self.send(
            "ORU^R42",
            ("OBR", {2: "RX1", 4: [("PACLI",)], 7: self.at(minutes_ago)}),
            ("OBX", {3: [("0", "MDC_ATTR_EVT_COND")], 5: [("0", f"MDC_EVT_PUMP_DELIV_{event}")], 11: "R"}),
            visit="",
        )

    async def associate(self, event: str, status: str = "F", visit: str = "V-1") -> dict[str, Any]:
        return await self.send(
            "ORU^R01",
            ("OBR", {4: [("69136", "MDC_OBS_ASSOCIATION_PATIENT_DEVICE")], 7: self.at()}),
            ("OBX", {5: [("0", f"MDC_EVT_{event}_PATIENT_DEVICE")], 11: status}),
            ("PRT", {4: "EQUIP", 10: [("CAP0007",)]}),
            visit=visit,
        )

    async def take(self, payload: bytes) -> dict[str, Any]:
        answer = await self._suite.answered(payload)
        await self._suite.start()
        return answer


async def counted(suite: Suite) -> int:
    """Increments that stand."""
    return sum({"emit": 1, "amend": 0, "retract": -1}[op] for op, _, _ in await suite.increments())


def proven(folder: Path) -> bool:
    """Whether everything that the ledger says follows from its facts."""
    assert verify(folder / "state" / "ledger.db").problems == ()
    return True


async def test_the_mar_counts_amends_and_takes_back(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        assert await engine.send("ADT^A04") == {"for": "EHR|M1", "result": "accepted", "format": "hl7v2"}
        await cool(suite)
        assert (await engine.mar(None))["result"] == "accepted"
        await suite.poll(1)
        assert await counted(suite) == 0
        assert (await engine.mar(20.0))["result"] == "accepted"
        assert await counted(suite) == 1
        await suite.poll(40)
        assert await counted(suite) == 2
        (*_, last) = await suite.sent("/increment/json")
        assert last["data"]["patient"] == {"visit": "V-1", "mrn": "90001234", "account": "770012"}
        await engine.mar(30.0, action="U")
        assert await counted(suite) == 1
        await engine.mar(30.0, action="D")
        assert await counted(suite) == 0
        assert [item.raised.what for item in suite.pipeline.state.work] == ["administration_withdrawn"]
    assert proven(folder)


async def test_a_pump_alone_counts_nothing_and_holds_what_it_runs(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.associate("ASSOCIATION")
        await cool(suite)
        for event, minutes in (("START", 55.0), ("STOP", 40.0), ("START", 38.0), ("COMP", 20.0)):
            assert (await engine.pump(event, minutes))["result"] == "accepted"
        await suite.poll(40)
        assert await counted(suite) == 0
        await engine.mar(60.0)
        assert await counted(suite) == 2
        await engine.pump("START", 10.0)
        assert await counted(suite) == 0, "it runs again, whoever knows why"
    assert proven(folder)


async def test_a_wrong_association_is_undone_from_its_beginning(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        assert (await engine.associate("ASSOCIATION", status="R"))["code"] == "unconfirmed"
        await engine.associate("ASSOCIATION")
        await cool(suite)
        await engine.mar(20.0)
        assert await counted(suite) == 1
        assert (await engine.associate("ASSOCIATION", status="W"))["result"] == "accepted"
        assert await counted(suite) == 0
        await suite.poll(1)
        await engine.associate("ASSOCIATION")
        assert await counted(suite) == 1, "bound anew"
        sessions = {event["data"]["session"] for event in await suite.sent("/session/json")}
        assert len(sessions) == 1
    assert proven(folder)


async def test_a_closed_visit_stops_the_count_until_it_opens_again(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        await engine.mar(10.0)
        await engine.send("ADT^A03")
        await suite.poll(20)
        assert await counted(suite) == 0
        await engine.send("ADT^A13")
        await suite.poll(1)
        assert await counted(suite) == 1
    assert proven(folder)


async def test_a_cancelled_visit_counts_nothing_and_asks_a_person(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        await engine.mar(20.0)
        assert await counted(suite) == 1
        await engine.send("ADT^A11")
        assert await counted(suite) == 0
        assert [item.raised.what for item in suite.pipeline.state.work] == ["visit_cancelled"]
    assert proven(folder)


async def test_a_second_patient_registered_at_the_chair_takes_nothing_from_the_first(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        await engine.send("ADT^A04", visit="V-2")
        await engine.send("ADT^A04", visit="V-2")
        assert [item.raised.what for item in suite.pipeline.state.work] == ["chair_taken"], "told once"
        await suite.poll(1)
        await engine.mar(20.0)
        assert await counted(suite) == 1
        suite.state = RunState.STOPPED
        await suite.poll(1)
        await engine.send("ADT^A03")
        await engine.send("ADT^A04", visit="V-2")
        assert set(suite.pipeline.state.serving(suite.clock.us).values()) != set()
        assert len(suite.pipeline.state.work) == 1
    assert proven(folder)


async def test_people_see_the_work_list_and_close_its_items(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        await engine.send("ADT^A04", visit="V-2")
        operator = Operator(suite)
        (item,) = (await operator.ask(request="worklist"))["work"]
        (session,) = (await operator.ask(request="sessions"))["sessions"]
        assert (item["what"], item["cap"], item["sessions"]) == ("chair_taken", "cap-01:1", [session["token"]])
        assert "V-2" not in json.dumps(item)
        text = answer_text(WorklistAnswer(work=(msgspec.convert(item, WorkView),)))
        assert text.startswith(f"{item['item']}  ")
        assert "chair_taken: cap-01:1" in text
        assert (await operator.request_act("work-done", item=item["item"]))["recorded"] == ["work_done"]
        assert (await operator.ask(request="worklist"))["work"] == []
        await engine.send("ADT^A08")
        assert (await Operator(suite).ask(request="worklist"))["work"] == [], "a restart brings nothing back"
    assert proven(folder)


async def test_numbers_that_were_joined_are_charged_under_the_new_one(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        joined = {1: [("90001234", "", "", "DEMO", "MR")]}
        head = segment("MSH", {3: "EHR", 9: [("ADT", "A40")], 10: "J1", 11: "P", 12: "2.5.1"})
        who = segment("PID", {3: [("70000001", "", "", "DEMO", "MR")]})
        await engine.take(encode([head, who, segment("MRG", joined)]))
        await engine.take(json.dumps(engine_fhir(suite)).encode())
        await suite.poll(1)
        (event,) = await suite.sent("/increment/json")
        assert event["data"]["patient"]["mrn"] == "70000001"
    with closing(sqlite3.connect(folder / "state" / "ledger.db")) as ledger:
        versions = ledger.execute("SELECT version, mrn FROM identity ORDER BY version").fetchall()
    assert versions == [(1, "90001234"), (2, "70000001")]
    assert proven(folder)


def engine_fhir(suite: Suite) -> dict[str, Any]:
    """The chart's word, by a resource that does not know the record number."""
    start, end = (datetime.fromtimestamp(suite.clock.us / 1e6 - s, UTC).isoformat() for s in (3000, 1200))
    return {
        "resourceType": "MedicationAdministration",
        "id": "ma-1",
        "status": "completed",
        "medication": {"concept": {"coding": [{"code": "PACLI"}]}},
        "encounter": {"identifier": {"value": "V-1"}},
        "request": {"identifier": {"value": "RX1"}},
        "occurencePeriod": {"start": start, "end": end},
    }


async def test_no_canary_leaves_by_the_answers_the_log_or_the_chain(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with running(folder) as suite:
        engine = Engine(suite)
        await engine.send("ADT^A04")
        await cool(suite)
        await engine.mar(None)
        bodies = "".join(entry.body for entry in await suite.ledger.entries())
        rows = await suite.ledger.outbox.pending(0, 100_000)
        answers = b"".join(row.payload for row in rows if "/result/" in row.topic or "/dev/" in row.topic).decode()
        topics = "".join(row.topic for row in rows)
    for secret in ("TESTPATIENT", "ALPHA", "90001234", "770012", "V-1", "PACLI"):
        for place in (bodies, answers, topics, caplog.text):
            assert secret not in place, secret
