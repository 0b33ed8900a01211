"""A patient with names of a kind that occur nowhere else, through the whole gateway: where are they found?

The installed process on a real broker and a simulated unit, with HL7 and JSON coming in and charges going out in every
notation. The names must be in the charges, which proves the search, and nowhere else.
"""

import asyncio
import json
import signal
import sqlite3
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.broker.harness import Mosquitto
from tests.support import suite

VISIT, MRN, ACCOUNT, FAMILY, GIVEN = "QZVISIT7", "QZMRN7", "QZACCT7", "QZFAMILY", "QZGIVEN"
BIRTH = "19130203"
CANARIES = (VISIT, MRN, ACCOUNT, FAMILY, GIVEN, BIRTH, "1913-02-03")
IN_HL7 = "capgate-test/v1/ward/ehr/in/hl7"

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


class Received(msgspec.Struct, frozen=True):
    """One message as a subscriber sees it; `properties` are all that stands beside the payload."""

    topic: str
    properties: str
    payload: str


def received(file: Path) -> list[Received]:
    """What came from the gateway."""
    lines = [line.split("|") for line in suite.whole_lines(file)]
    messages = [Received(topic, beside, bytes.fromhex(payload).decode()) for topic, beside, payload in lines]
    return [each for each in messages if "/ehr/in/" not in each.topic]


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


def metrics(folder: Path) -> str:
    listen = (folder / "gateway.toml").read_text().partition('listen = "')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=suite.HANGS_S) as page:
        return page.read().decode()


async def diagnosed(config: Path) -> dict[str, str]:
    """The parts of the running gateway's diagnose archive."""
    out = config.with_name("diagnose.zip")
    asked = await asyncio.create_subprocess_exec(suite.CAPGATE, "diagnose", "--config", config, "--out", out)
    assert await asked.wait() == 0
    with zipfile.ZipFile(out) as zipped:
        return {name: zipped.read(name).decode() for name in zipped.namelist()}


async def day(broker: Mosquitto, file: Path, units: suite.Units) -> None:
    """Registered, infused, cooled, signed; and three messages that nobody can read."""

    async def until(what: str, condition: Callable[[list[Received]], bool]) -> None:
        await suite.until(lambda: condition(received(file)), what)

    infused = suite.in_future(0)
    await suite.publish(broker, IN_HL7, hl7("ADT^A04", "M1"))
    units.cool("cap-01")
    await until("the unit is seen to run", lambda messages: came_to(messages, "running"))
    over = suite.in_future(1).replace(microsecond=0)  # HL7 has whole seconds
    await asyncio.sleep((over - suite.in_future(0)).total_seconds())
    await suite.publish(broker, IN_HL7, mar("M2", infused, None))
    await suite.publish(broker, IN_HL7, mar("M3", infused, over))
    await suite.publish(broker, IN_HL7, hl7("ADT^A04", "M4").replace("PV1|1|O|", f"PV1|{GIVEN}|{VISIT}|{MRN}"))
    await suite.publish(broker, IN_HL7, hl7("ORU^R42", "M5", f"OBR|{VISIT}", f"OBX|{MRN}||{FAMILY}"))
    await suite.publish(broker, IN_HL7, f'{{"specversion": "1.0", "id": "M6", "data": {{"{VISIT}": "{FAMILY}')
    await until("all are answered", lambda messages: sum("/result/" in each.topic for each in messages) >= 6)
    await until("an increment is attained", lambda messages: any("/increment/" in each.topic for each in messages))
    units.stop("cap-01")
    await until("the unit is seen to stop", lambda messages: came_to(messages, "stopped"))
    signed: dict[str, object] = {"visit": VISIT, "person": "rn-1"}
    await suite.send_event(broker, "M7", "preparation.charted", suite.in_future(0), signed)
    await suite.send_event(broker, "M8", "session.finalized", suite.in_future(0), signed)
    await until(
        "it is charged", lambda messages: len({each.topic for each in messages if "/charge/" in each.topic}) == 3
    )


def came_to(messages: list[Received], state: str) -> bool:
    """Whether the cap was said to have come into that run state."""
    return any(each.topic.endswith("/cap/1/event") and f'"to":"{state}"' in each.payload for each in messages)


def found(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary.lower() in text.lower()]


@pytest.mark.requirement("REQ-PRIVACY-1")
@pytest.mark.timeout(300)
async def test_a_patient_is_named_in_what_the_ehr_reads_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "heard.txt"
    with Mosquitto(tmp_path) as broker:
        async with (
            suite.serving(tmp_path, suite.one_line("cap-01")) as units,
            suite.listener(broker, file, "%t|%P %C %D %R|%x"),
        ):
            suite.write_configuration(tmp_path, units.url, broker, 2, 2)
            config = tmp_path / "gateway.toml"
            config.write_text(config.read_text().replace("[[line]]", f"{TABLES}[[line]]", 1))
            gateway = suite.Gateway(tmp_path)
            await gateway.start()
            await gateway.connected()
            await day(broker, file, units)
            page = await asyncio.to_thread(metrics, tmp_path)
            archive = await diagnosed(config)
            assert await gateway.end(signal.SIGTERM) == 0
    messages = received(file)

    charges = {each.topic.rpartition("/")[2]: each.payload for each in messages if "/charge/" in each.topic}
    assert found(charges["json"]) == [VISIT, MRN, ACCOUNT]
    assert found(charges["hl7"]) == [VISIT, MRN, ACCOUNT, FAMILY, GIVEN, BIRTH]
    assert found(charges["fhir"]) == [VISIT, MRN, ACCOUNT]
    named = {each.topic.partition("/ehr/gw-01/")[2] for each in messages if found(each.payload)}
    assert named - {"observation/hl7", "observation/fhir"} == {
        "charge/json",
        "charge/hl7",
        "charge/fhir",
        "increment/json",
        "session/json",
    }

    with closing(sqlite3.connect(gateway.ledger)) as ledger:
        ids = ledger.execute("SELECT event_id, topic FROM message").fetchall()
        chain = ledger.execute("SELECT body FROM entry").fetchall()
    ids += [(json.loads(each.payload)["id"],) for each in messages if each.topic.endswith("/json")]
    places = {
        "topics": "".join(each.topic for each in messages),
        "user properties and the like": "".join(each.properties for each in messages),
        "ids": json.dumps(ids),
        "the ledger's chain": json.dumps(chain),
        "metrics": page,
        "the diagnose archive": "".join(f"{name} {text}" for name, text in archive.items()),
        "the gateway's log": (tmp_path / "gateway.log").read_text(),
        "the broker's log, which has client ids": (tmp_path / "mosquitto.log").read_text(),
    }
    assert [place for place, text in places.items() if found(text)] == []
    assert all(places.values()), "each place was looked at"
    assert "gw-01" in places["the broker's log, which has client ids"]
    assert "capgate_increments_total" in page
    assert 'capgate_charges_total{op="charge"} 1.0' in page
    assert archive["metrics.txt"].startswith("# HELP")
    assert '"msg":"started"' in archive["log.jsonl"]
    assert json.loads(archive["ledger.json"])["sound"]
