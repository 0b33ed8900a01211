"""A patient with names of a kind that occur nowhere else, through the whole gateway: where are they found?

The installed process on a real broker and a simulated unit, with HL7 and JSON coming in and charges going out in every
notation. The names must be in the charges, which proves the search, and nowhere else.
"""

import asyncio
import json
import signal
import sqlite3
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway.runtime.clock import SystemClock
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from tests.broker.harness import Mosquitto
from tests.crash import suite

VISIT, MRN, ACCOUNT, FAMILY, GIVEN = "QZVISIT7", "QZMRN7", "QZACCT7", "QZFAMILY", "QZGIVEN"
BIRTH = "19130203"
CANARIES = (VISIT, MRN, ACCOUNT, FAMILY, GIVEN, BIRTH, "1913-02-03")
IN_HL7 = "capgate-test/v1/ward/ehr/in/hl7"

SCENARIO = """
schema = 1
name = "canary"
length_min = 1

[[line]]
id = "net-1"
dialect = "modbus-tcp"
tcp = "127.0.0.1:0"

[[unit]]
id = "cap-01"
line = "net-1"
map = "reference"
unit_id = 1
serial_number = "RCU1-000001"
set_point_c = -4.0

[[patient]]
visit = "V-1"
unit = "cap-01"
step = [
  { at_min = 0.01, do = "arrive" },
  { at_min = 0.02, do = "precool" },
  { at_min = 0.03, do = "infusion_start", order = "O-1", agent = "chemo" },
  { at_min = 0.05, do = "infusion_end", order = "O-1" },
  { at_min = 0.13, do = "stop" },
]
"""
STOP_S = 0.13 * 60
TABLES = """
[charges]
patient = ["mrn", "account", "name", "birth_date", "sex"]
formats = ["json", "hl7", "fhir"]

[observations]
formats = ["hl7", "fhir"]
period_s = 10

[drugs]
chemo = ["PACLI"]

"""


class Heard(msgspec.Struct, frozen=True):
    """One message as a subscriber sees it; `properties` are all that stands beside the payload."""

    topic: str
    properties: str
    payload: str


@asynccontextmanager
async def listener(broker: Mosquitto, file: Path) -> AsyncGenerator[None]:
    with file.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            "mosquitto_sub", "-V", "mqttv5", "-p", str(broker.port), "-q", "1", "-t", "capgate-test/#",
            "-F", "%t|%P %C %D %R|%x", stdout=out,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


def heard(file: Path) -> list[Heard]:
    """What came from the gateway."""
    lines = [line.split("|") for line in file.read_text().splitlines()]
    told = [Heard(topic, beside, bytes.fromhex(payload).decode()) for topic, beside, payload in lines]
    return [each for each in told if "/ehr/in/" not in each.topic]


async def publish(broker: Mosquitto, payload: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-V", "mqttv5", "-p", str(broker.port), "-q", "1", "-t", IN_HL7, "-m", payload
    )
    assert await process.wait() == 0


def hl7(kind: str, name: str, *rest: str) -> str:
    head = rf"MSH|^~\&|EHR|DEMO|CAPGATE|DEMO|{stamp(suite.in_future(0))}||{kind}|{name}|P|2.5.1"
    who = f"PID|1||{MRN}^^^DEMO^MR||{FAMILY}^{GIVEN}||{BIRTH}|F||||||||||{ACCOUNT}^^^DEMO^AN"
    stay = f"PV1|1|O|INFA^BAY1^C01||||||||||||||||{VISIT}^^^DEMO^VN"
    return "\r".join([head, f"EVN||{stamp(suite.in_future(0))}", who, stay, *rest]) + "\r"


def mar(name: str, start: datetime, end: datetime | None) -> str:
    code, action, status = ("PA", "NEWBAG", "IP") if end is None else ("CP", "STOPPED", "CM")
    over = stamp(end or start)
    line = f"RXA|0|1|{stamp(start)}|{over}|PACLI|500|mL||{action}|||||||||||{code}|A|{stamp(suite.in_future(0))}"
    return hl7("RAS^O17", name, f"ORC|RE|RX1|||{status}", line)


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


async def answered(file: Path, number: int) -> None:
    async with asyncio.timeout(10):
        while sum("/result/" in each.topic for each in heard(file)) < number:
            await asyncio.sleep(0.05)


async def charged(file: Path) -> None:
    async with asyncio.timeout(10):
        while len({each.topic for each in heard(file) if "/charge/" in each.topic}) < 3:
            await asyncio.sleep(0.05)


def metrics(folder: Path) -> str:
    listen = (folder / "gateway.toml").read_text().partition('listen = "')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as page:
        return page.read().decode()


async def day(folder: Path, broker: Mosquitto, started_at: datetime) -> None:
    """Registered, infused, cooled, signed; and three messages that nobody can read."""
    file = folder / "heard.txt"
    infused, over = started_at + timedelta(seconds=1), started_at + timedelta(seconds=3)
    await publish(broker, hl7("ADT^A04", "M1"))
    await asyncio.sleep((over - suite.in_future(0)).total_seconds() + 0.5)
    await publish(broker, mar("M2", infused, None))
    await publish(broker, mar("M3", infused, over))
    await publish(broker, hl7("ADT^A04", "M4").replace("PV1|1|O|", f"PV1|{GIVEN}|{VISIT}|{MRN}"))
    await publish(broker, hl7("ORU^R42", "M5", f"OBR|{VISIT}", f"OBX|{MRN}||{FAMILY}"))
    await publish(broker, f'{{"specversion": "1.0", "id": "M6", "data": {{"{VISIT}": "{FAMILY}')
    await answered(file, 6)
    stopped_at = started_at + timedelta(seconds=STOP_S + 2)
    await asyncio.sleep((stopped_at - suite.in_future(0)).total_seconds())
    signed: dict[str, object] = {"visit": VISIT, "person": "rn-1"}
    await suite.tell(broker, "M7", "preparation.charted", suite.in_future(0), signed)
    await suite.tell(broker, "M8", "session.finalized", suite.in_future(0), signed)
    await charged(file)


def found(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary.lower() in text.lower()]


async def test_a_patient_is_named_in_what_the_ehr_reads_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    file, clock = tmp_path / "heard.txt", SystemClock()
    began_us: list[int] = []  # the story waits until the gateway can see it
    with Mosquitto(tmp_path) as broker:
        scenario = load_scenario(tmp_path / "scenario.toml")
        plant = Plant(scenario, lambda: (clock.now().boot_us - began_us[0]) / 1e6 if began_us else 0.0, lambda _: None)
        async with plant.serving() as urls, listener(broker, file):
            suite.write_configuration(tmp_path, urls["net-1"], broker, 2, 2)
            config = tmp_path / "gateway.toml"
            config.write_text(config.read_text().replace("[[line]]", f"{TABLES}[[line]]", 1))
            gateway = suite.Gateway(tmp_path)
            await gateway.start()
            await gateway.connected()
            began_us.append(clock.now().boot_us)
            await day(tmp_path, broker, suite.in_future(0))
            page = await asyncio.to_thread(metrics, tmp_path)
            assert await gateway.end(signal.SIGTERM) == 0
    told = heard(file)

    charges = {each.topic.rpartition("/")[2]: each.payload for each in told if "/charge/" in each.topic}
    assert found(charges["json"]) == [VISIT, MRN, ACCOUNT]
    assert found(charges["hl7"]) == [VISIT, MRN, ACCOUNT, FAMILY, GIVEN, BIRTH]
    assert found(charges["fhir"]) == [VISIT, MRN, ACCOUNT]
    named = {each.topic.partition("/ehr/gw-01/")[2] for each in told if found(each.payload)}
    assert named - {"observation/hl7", "observation/fhir"} == {
        "charge/json",
        "charge/hl7",
        "charge/fhir",
        "increment/json",
        "session/json",
    }

    with closing(sqlite3.connect(gateway.ledger)) as ledger:
        ids = ledger.execute("SELECT event_id, topic FROM outbox").fetchall()
        chain = ledger.execute("SELECT body FROM entry").fetchall()
    ids += [(json.loads(each.payload)["id"],) for each in told if each.topic.endswith("/json")]
    places = {
        "topics": "".join(each.topic for each in told),
        "user properties and the like": "".join(each.properties for each in told),
        "ids": json.dumps(ids),
        "the ledger's chain": json.dumps(chain),
        "metrics": page,
        "the gateway's log": (tmp_path / "gateway.log").read_text(),
        "the broker's log, which has client ids": (tmp_path / "mosquitto.log").read_text(),
    }
    assert [place for place, text in places.items() if found(text)] == []
    assert all(places.values()), "each place was looked at"
    assert "gw-01" in places["the broker's log, which has client ids"]
    assert "capgate_increments_total" in page
