"""From each shape of feed to an acknowledged charge, with the installed programs, the deployed files and TLS, live.

One patient at one chair; the thresholds are such that cooling is one unit however slow the machine is.
"""

import asyncio
import importlib
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from tests.broker.authority import Authority
from tests.broker.command_side import capgate
from tests.broker.live_site import ANSWERS, FIRST_S, TOPICS, Site, bridge, context_of, event, live_site, says
from tests.broker.mllp_peers import EngineLog, engine
from tests.support import suite
from tests.support.hl7_validators import fields_of, refused_by_hl7apy
from tests.support.operator import Json

pytestmark = pytest.mark.timeout(600)  # many processes, one after the other

FEEDS = Path(__file__).parents[1] / "data" / "feeds"
_hl7 = cast(Any, importlib.import_module("hl7"))
_streams = cast(Any, importlib.import_module("hl7.mllp"))
VISIT, MRN = "V770012", "55501882"
PATIENT = (VISIT, MRN, "QUILLFEATHER", "OTTOLINE", "88120045", "19580214")


class Feed(NamedTuple):
    """The vocabulary of a site whose feed has the shape, and its messages in the order in which they are sent."""

    vocabulary: str
    started: tuple[str, ...]
    hints: tuple[str, ...]  # ends that do not count
    ended: str


Send = Callable[[str], Awaitable[None]]
STARTED, STOPPED = "status-words/start-STARTED.hl7", "status-words/end-STOPPED_Stopped_L.hl7"
HL7 = {
    "actions": Feed("actions-in-rxa-20", ("actions/start-New_Bag.hl7",), (), "actions/stop-Stopped.hl7"),
    "status words": Feed("status-in-rxa-20", (STARTED,), (), STOPPED),
    "pumps and MAR": Feed("common", ("pumps/start.hl7", STARTED), ("pumps/complete.hl7",), STOPPED),
}
JSON = {
    "events": Feed(
        "common", ("json/started.json",), ("json/completed-by-the-pump.json",), "json/completed-by-the-mar.json"
    ),
    "FHIR R4": Feed("common", ("fhir/r4-running.json",), (), "fhir/r4-completed.json"),
    "FHIR R5": Feed("common", ("fhir/r5-running.json",), (), "fhir/r5-completed.json"),
}
PLACE: Json = {
    "chair": "C12",
    "patient": {"visit": {"value": VISIT}, "mrn": {"value": MRN}},
    "validated": True,
    "asserted_by": "scan",
}


def retimed(file: str, started_at: datetime, ended_at: datetime) -> str:
    """The message with its morning's start and what was charted of it, and its end, at other instants."""

    def at(found: re.Match[str]) -> datetime:
        return started_at if found[1] in ("09", "13") else ended_at

    # The sample of an end is of another bag than that of a start.
    one_bag = (FEEDS / file).read_bytes().decode().replace("RXA|0|2|", "RXA|0|1|")
    hl7 = re.sub(r"20260310(\d\d)\d{4}-0400", lambda each: f"{at(each):%Y%m%d%H%M%S+0000}", one_bag)
    return re.sub(r"2026-03-10T(\d\d):\d\d:00Z", lambda each: f"{at(each):%Y-%m-%dT%H:%M:%SZ}", hl7)


async def next_second() -> datetime:
    """The next whole second, when it has come: messages of the EHR have no fractions."""
    at = suite.in_future(1).replace(microsecond=0)
    await suite.until(lambda: suite.in_future(0) >= at, "the clock goes on")
    return at


async def seen(site: Site, state: str) -> None:
    """Wait until the gateway says that the cap is in that state, or the session in that phase."""
    await suite.until(
        lambda: any(each["data"]["to"] == state for each in site.engine.events("/unit/cap-07/cap/1/event")), state
    )


@asynccontextmanager
async def by_mllp(site: Site, charges: EngineLog) -> AsyncGenerator[Send]:
    """The engine's two MLLP ends, by TLS; yields what sends a message, which must be accepted."""
    async with engine(charges, serving_context(site.authority)) as port, bridge(site, port) as bridge_port:
        tls = context_of(site.authority, "engine-out")
        reader, writer = await _streams.open_hl7_connection(
            "127.0.0.1", bridge_port, encoding="utf-8", ssl=tls, server_hostname="bridge-01"
        )

        async def send(message: str) -> None:
            writer.writemessage(_hl7.parse(message))
            await writer.drain()
            answer = str(await reader.readmessage())
            assert f"\rMSA|AA|{message.split('|')[9]}" in answer, answer

        yield send
        writer.close()


def serving_context(authority: Authority) -> ssl.SSLContext:
    """TLS of the engine's listener, which wants a certificate of the same authority."""
    host = authority.issue("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(host.certificate, host.key)
    return context


def admission(message: str) -> str:
    """An ADT^A04 for the patient of a message, at the same chair."""
    head, *rest = message.split("\r")
    fields = head.split("|")
    fields[8], fields[9] = "ADT^A04^ADT_A01", "ADT00001"
    person = [line for line in rest if line.startswith(("PID", "PV1"))]
    return "\r".join(["|".join(fields), f"EVN||{fields[6]}", *person, ""])


@pytest.mark.parametrize("shape", HL7)
async def test_an_hl7_feed_ends_in_a_charge_that_the_engine_has_by_mllp(shape: str, tmp_path: Path) -> None:
    feed, charges = HL7[shape], EngineLog()
    async with (
        live_site(tmp_path, feed.vocabulary, '["hl7"]', "hl7") as site,
        by_mllp(site, charges) as send,
    ):
        admitted_at = await next_second()
        await send(admission(retimed(feed.started[-1], admitted_at, admitted_at)))
        await treated(site, feed, send)
        who = ("--person", "rn-4471", "--reason", "as charted", "--config", site.config)
        for act in ("prepared", "finalise"):
            assert (await capgate("session", act, "c12", *who))[0] == 0
        await suite.until(lambda: charges.messages != [], "the engine has a charge")
        await says("the engine has everything", "outbox", "list", "--config", site.config)
        (charge,) = {each: fields_of(each) for each in charges.messages}.values()
        assert refused_by_hl7apy(charges.messages[0].rstrip("\r") + "\r") == ""
        assert (charge["MSH-11"], charge["FT1-6"], charge["FT1-10"]) == ("P", "CG", "1")
        assert (charge["PV1-19"].partition("^")[0], charge["PID-3"].partition("^")[0]) == (VISIT, MRN)
    await sound(site)


@pytest.mark.parametrize("shape", JSON)
async def test_a_json_or_fhir_feed_ends_in_a_charge_that_the_engine_has_by_mqtt(shape: str, tmp_path: Path) -> None:
    feed = JSON[shape]
    async with live_site(tmp_path, feed.vocabulary, '["json", "fhir"]', "json") as site:

        async def send(message: str) -> None:
            notation = "fhir" if "resourceType" in message else "json"
            answers = len(site.engine.events(ANSWERS))
            topic = f"{TOPICS}/ehr/in/{notation}"
            assert await asyncio.to_thread(site.engine.publish, topic, message.encode()) == 0
            await suite.until(lambda: len(site.engine.events(ANSWERS)) > answers, "the gateway answers")

        await send(event("association.bound", "a-1", suite.in_future(0), PLACE))
        await treated(site, feed, send)
        for name in ("preparation.charted", "session.finalized"):
            await send(event(name, name, suite.in_future(0), {"visit": VISIT, "person": "rn-4471"}))
        await suite.until(lambda: site.engine.events("/charge/fhir") != [], "the engine has a charge")
        await says("the engine has everything", "outbox", "list", "--config", site.config)
        (charge,) = {each["id"]: each["data"] for each in site.engine.events("/charge/json")}.values()
        assert (charge["mode"], charge["action"], charge["quantity"]) == ("live", "charge", 1)
        assert (charge["patient"]["visit"], charge["patient"]["mrn"]) == (VISIT, MRN)
        (bundle,) = {each["identifier"]["value"]: each for each in site.engine.events("/charge/fhir")}.values()
        item = bundle["entry"][-1]["resource"]
        assert (bundle["identifier"]["value"], item["status"]) == (charge["charge"], "billable")
        assert item["quantity"]["value"] == 1
    await sound(site)


async def treated(site: Site, feed: Feed, send: Send) -> None:
    """Cooled and infused as the feed says it, until the unit has been stopped."""
    site.units.cool("cap-07")
    await seen(site, "running")
    started_at = await next_second()
    for file in feed.started:
        await send(retimed(file, started_at, started_at))
    for file in feed.hints:
        await send(retimed(file, started_at, await next_second()))
    ended_at = await next_second()
    await send(retimed(feed.ended, started_at, ended_at))
    await counted(site, ended_at)
    site.units.stop("cap-07")
    await seen(site, "ended")


async def counted(site: Site, ended_at: datetime) -> None:
    """Wait for the first unit; it was attained when that much cooling had followed the infusion's end."""
    await suite.until(lambda: site.engine.events("/increment/json") != [], "a unit is attained")
    (data,) = [each["data"] for each in site.engine.events("/increment/json")]
    assert (data["op"], data["index"], data["release"]["state"]) == ("emit", 1, "provisional")
    assert datetime.fromisoformat(data["attained_at"]) == ended_at + timedelta(seconds=FIRST_S)


async def sound(site: Site) -> None:
    """The ledger bears an audit, nothing was denied or went wrong, and patient data stayed where it may be."""
    code, said = await capgate("ledger", "verify", site.gateway.ledger)
    assert code == 0, said
    assert {each["data"]["result"] for each in site.engine.events(ANSWERS)} == {"accepted"}
    assert [each["data"]["op"] for each in site.engine.events("/increment/json")] == ["emit"]
    assert site.broker.denied == []
    for alarm in ("topic-refused", "subscription-refused"):
        assert {each["data"]["state"] for each in site.engine.events(f"/alarm/{alarm}")} == {"cleared"}
    logs = "".join(path.read_text() for path in site.folder.glob("*.log"))
    assert "Traceback" not in logs
    outside = [topic + payload.decode() for topic, payload in site.engine.heard if "/ehr/" not in topic]
    topics = [topic for topic, _ in site.engine.heard]
    assert not [word for word in PATIENT if word in logs + "".join(outside) + "".join(topics)]
