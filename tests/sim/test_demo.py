"""The whole job as a newcomer sees it: the installed `capgate demo` on a real broker, heard by a client others wrote.

The oracle is arithmetic on the scenario's script (config/scenarios/clinic.toml): the minutes of cooling after the last
chemotherapy agent, without the bathroom break, against the default thresholds of 16, 46 and 76 minutes.
"""

import asyncio
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft7Validator, FormatChecker

from tests.broker.harness import Mosquitto
from tests.support.suite import CAPGATE, listener, received

SCHEMAS = Path(__file__).parents[2] / "gateway" / "messages" / "schemas"
SPEED = 600
NET_MINUTES = {("cap-01", 1): 92 - 6, ("cap-01", 2): 50, ("cap-02", 1): 80, ("cap-03", 1): 91}
THRESHOLDS_MIN = (16, 46, 76, 106)
Json = dict[str, Any]

pytestmark = pytest.mark.timeout(300)  # a busy machine shows it more slowly


async def run_demo(*arguments: str) -> Json:
    process = await asyncio.create_subprocess_exec(
        CAPGATE, "demo", "--once", "--json", "--speed", str(SPEED), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-3000:]
    return cast(Json, json.loads(out))


def counts(shown: Json) -> dict[tuple[str, int], int]:
    return {(each["unit"], each["cap"]): len(each["increments"]) for each in shown["sessions"]}


def expected() -> dict[tuple[str, int], int]:
    return {cap: sum(limit <= net for limit in THRESHOLDS_MIN) for cap, net in NET_MINUTES.items()}


def misfits(payload: bytes) -> list[str]:
    event = cast(Json, json.loads(payload))
    found: list[str] = []
    names = {"event-1": event, event["dataschema"].removeprefix("urn:capgate:schema:"): event["data"]}
    for name, instance in names.items():
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        validator = cast(Any, Draft7Validator(schema, format_checker=FormatChecker()))
        found += [f"{name}: {error.message}" for error in validator.iter_errors(instance)]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(folder: Path) -> tuple[Json, list[tuple[str, bytes]]]:
    """One showing on a mosquitto: what the demo printed, and what mosquitto_sub heard."""

    async def show() -> Json:
        with Mosquitto(folder) as broker:
            async with listener(broker, folder / "heard.txt"):
                return await run_demo("--broker", f"mqtt://127.0.0.1:{broker.port}", "--keep", str(folder / "kept"))

    printed = asyncio.run(show())
    return printed, received(folder / "heard.txt")


def test_four_units_give_four_sessions_with_the_increments_of_the_script(
    shown: tuple[Json, list[tuple[str, bytes]]],
) -> None:
    printed, _ = shown
    assert {unit["unit"]: unit["link"] for unit in printed["units"]} == {
        "cap-01": "up", "cap-02": "up", "cap-03": "up", "aux-04": "up",
    }  # fmt: skip
    assert counts(printed) == expected()


def test_a_client_that_others_wrote_hears_every_topic(shown: tuple[Json, list[tuple[str, bytes]]]) -> None:
    _, messages = shown
    root = "capgate-test/v1/demo"
    topics = {topic for topic, _ in messages}
    assert {
        f"{root}/dev/gw-01/status",
        *(f"{root}/dev/gw-01/unit/{unit}/status" for unit in ("cap-01", "cap-02", "cap-03", "aux-04")),
        f"{root}/dev/gw-01/unit/cap-01/cap/2/temperature",
        f"{root}/dev/gw-01/unit/cap-01/cap/1/event",
        f"{root}/ehr/gw-01/increment/json",
        f"{root}/ehr/gw-01/session/json",
        f"{root}/ehr/gw-01/result/json",
    } <= topics
    increments = {json.loads(payload)["id"] for topic, payload in messages if topic.endswith("/increment/json")}
    assert len(increments) == sum(expected().values())


def test_every_message_of_the_gateway_satisfies_its_schema(shown: tuple[Json, list[tuple[str, bytes]]]) -> None:
    _, messages = shown
    own = [(topic, payload) for topic, payload in messages if "/gw-01/" in topic]
    assert len(own) > 500
    assert {(topic, tuple(found)) for topic, payload in own if (found := misfits(payload))} == set()


def test_no_patient_is_named_under_dev(shown: tuple[Json, list[tuple[str, bytes]]]) -> None:
    _, messages = shown
    assert [topic for topic, payload in messages if "/dev/" in topic and b"V-100" in payload] == []
    assert any(b"V-1001" in payload for topic, payload in messages if topic.endswith("/increment/json"))


def test_the_polls_of_every_unit_are_counted_in_the_history(
    shown: tuple[Json, list[tuple[str, bytes]]], folder: Path
) -> None:
    history = folder / "kept" / "state" / "temperatures.db"
    run = subprocess.run([CAPGATE, "lines", history, "--json"], capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stderr
    named = {unit["unit"] for line in json.loads(run.stdout)["lines"] for unit in line["units"]}
    with closing(sqlite3.connect(history)) as connection:
        reads = "SELECT unit, sum(count) FROM poll_count WHERE kind = 'read' GROUP BY unit"
        counted = dict(connection.execute(reads).fetchall())
    assert named == set(counted) == {unit["unit"] for unit in shown[0]["units"]}
    assert min(counted.values()) > 100, "more than two hours, polled every half minute, on any number of days"


async def test_the_embedded_broker_shows_the_same() -> None:
    assert counts(await run_demo()) == expected()
