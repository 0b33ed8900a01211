"""The installed gateway, killed in a treatment after three weeks of treatments: nothing of the past is touched.

The weeks are written beforehand by the gateway's own code with a clock of the test's. The last day is a real one: two
units, real processes, thresholds of seconds.
"""

import asyncio
import json
import signal
import sqlite3
from pathlib import Path

import msgspec
import pytest

from tests.bench.long_ledger import DAY_US, Clinic
from tests.broker.harness import Mosquitto
from tests.support import suite

UNITS = ("cap-01", "cap-02")
DAYS = 21
UNSIGNED = 3  # of the first two days: they are still held
FIRST_S, FURTHER_S = 4, 3
AT_LEAST = 3  # increments of each unit before a death, and again after it

pytestmark = pytest.mark.timeout(900)


class Row(msgspec.Struct, frozen=True):
    """An entry that was published, by the session it is of."""

    seq: int
    kind: str
    session: str
    body: str


def published(ledger: Path) -> list[Row]:
    """All that the ledger has of increments, sessions and charges."""
    query = "SELECT seq, kind, session, body FROM entry WHERE session <> '' AND kind <> 'fact' ORDER BY seq"
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return [Row(*row) for row in connection.execute(query)]
    finally:
        connection.close()


def increments(ledger: Path, session: str) -> list[tuple[str, int]]:
    """What was done to a session's increments, in order: operation and index."""
    bodies = [json.loads(row.body) for row in published(ledger) if (row.kind, row.session) == ("increment", session)]
    return [(body["event"]["data"]["op"], body["event"]["data"]["index"]) for body in bodies]


def emitted(number: int) -> list[tuple[str, int]]:
    """So many increments, each said once."""
    return [("emit", index) for index in range(1, number + 1)]


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
async def test_a_restart_in_a_treatment_after_weeks_is_an_empty_step(tmp_path: Path, death: signal.Signals) -> None:
    now_us = round(suite.in_future(0).timestamp() * 1e6)
    clinic = Clinic(tmp_path / "state" / "ledger.db", len(UNITS), held=UNSIGNED)
    for days_ago in range(DAYS, 0, -1):
        clinic.day(now_us - days_ago * DAY_US)
    clinic.deliver()
    clinic.close()
    received = tmp_path / "heard.txt"
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line(*UNITS)) as units, suite.listener(broker, received):
            suite.write_configuration(tmp_path, units.url, broker, FIRST_S, FURTHER_S)
            with (tmp_path / "gateway.toml").open("a") as file:
                file.write(suite.SECOND_UNIT)
            gateway = suite.Gateway(tmp_path)
            past = published(gateway.ledger)
            assert len({row.session for row in past}) == DAYS * len(UNITS)
            await gateway.start()
            await gateway.connected()
            for unit in UNITS:
                await cooled(broker, units, unit)
            await suite.until(lambda: has_come_into("running", received), "the gateway sees both run")
            for unit in UNITS:
                await infused(broker, unit)
            await suite.until(lambda: len(sessions_since(gateway.ledger, past)) == len(UNITS), "both sessions open")
            tokens = sessions_since(gateway.ledger, past)

            async def counted(number: int) -> None:
                await suite.until(
                    lambda: all(len(increments(gateway.ledger, token)) >= number for token in tokens),
                    f"{number} increments of each unit",
                )

            await counted(AT_LEAST)
            await gateway.end(death)
            before = {token: len(increments(gateway.ledger, token)) for token in tokens}
            await gateway.start()
            await counted(max(before.values()) + AT_LEAST)
            for unit in UNITS:
                units.stop(unit)
            await suite.until(lambda: has_come_into("stopped", received), "the gateway sees both stop")
            assert await gateway.end(signal.SIGTERM) == 0
    log = (tmp_path / "gateway.log").read_text()
    assert "Traceback" not in log, log[-3000:]
    assert "take back" not in log
    assert [row for row in published(gateway.ledger) if row.session not in tokens] == past, "the past is as it was"
    for token in tokens:
        done = increments(gateway.ledger, token)
        assert done == emitted(len(done))
    assert (await asked("verify", gateway.ledger)).endswith("\nsound\n")
    days = ("--from", f"{suite.in_future(-(DAYS + 1) * 86_400):%F}", "--to", f"{suite.in_future(0):%F}")
    seen = json.loads(await asked("reconcile", gateway.ledger, *days, "--json"))
    assert (seen["seen"], seen["remainder"]) == ((DAYS + 1) * len(UNITS), 0)


async def asked(what: str, ledger: Path, *options: str) -> str:
    """What the installed `capgate ledger` says."""
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "ledger", what, str(ledger), *options, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def sessions_since(ledger: Path, past: list[Row]) -> set[str]:
    """The sessions that were published and are not of the past."""
    return {row.session for row in published(ledger)} - {row.session for row in past}


def has_come_into(state: str, received: Path) -> bool:
    """Whether both caps were said to have come into that run state."""
    events = [
        json.loads(payload)["data"] for topic, payload in suite.received(received) if topic.endswith("/cap/1/event")
    ]
    units = {event["unit"] for event in events if event["aspect"] == "run-state" and event["to"] == state}
    return units == set(UNITS)


async def cooled(broker: Mosquitto, units: suite.Units, unit: str) -> None:
    """A patient is bound to that unit, which begins to cool."""
    place: dict[str, object] = {"unit": unit, "cap": 1, "visit": f"V-{unit}", "validated": True, "asserted_by": "scan"}
    await suite.send_event(broker, f"{unit}-bound", "association.bound", suite.in_future(0), place)
    units.cool(unit)


async def infused(broker: Mosquitto, unit: str) -> None:
    """Its patient's infusion begins and ends."""
    order: dict[str, object] = {"visit": f"V-{unit}", "order": f"O-{unit}", "agent_class": "chemo", "source": "mar"}
    await suite.send_event(broker, f"{unit}-started", "infusion.started", suite.in_future(0), order)
    await suite.send_event(broker, f"{unit}-ended", "infusion.completed", suite.in_future(0), {**order, "final": True})
