"""Temperatures for charting: of whom, how often, and nothing that could be taken for a body temperature."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from drivers.reading import CapReading, Measurement, Quality, Reading, Reason, RunState
from gateway.messages.destination import Destination
from gateway.messages.notation import Notation
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttCounters
from gateway.telemetry.charting import Observations
from tests.contract.hl7_messages import observation
from tests.support.hl7_validators import missed_by_all, refused_by_hl7apy
from tests.support.story import POLICIES, Day, a_day

COOLANT = Measurement(-3.814, "Cel")
DEAD = Measurement(-999.0, "Cel", Quality.BAD, Reason.SENTINEL)


class Sent(Telemetry):
    """Keeps what is put."""

    def __init__(self) -> None:
        super().__init__(MqttCounters())
        self.messages: list[tuple[Destination, bytes]] = []

    def put(self, destination: Destination, payload: bytes) -> None:
        self.messages.append((destination, payload))

    def lines(self) -> list[list[str]]:
        return [payload.decode().split("\r")[:-1] for _, payload in self.messages]


def observing(day: Day, formats: Sequence[Notation] = (Notation.HL7,)) -> tuple[Observations, Sent]:
    plan = msgspec.structs.replace(day.config.outbound, observations=tuple(formats))
    sent = Sent()
    topics = Topics(day.config.site, day.config.id, day.config.mode)
    return Observations(plan, topics, sent, day.pipeline.identity), sent


def reading(day: Day) -> Reading:
    shown = {"coolant_supply": COOLANT, "cap_front": DEAD}
    caps = tuple(CapReading(cap, RunState.RUNNING, True, True, shown) for cap in (1, 2))
    return Reading("cap-07", day.clock.now(), caps, {}, (), "CU-20417")


async def bound(day: Day) -> None:
    await day.say("adt_a04_register")
    await day.until("08:55")
    await day.say("oru_r01_dev52_associate")
    await day.until("09:00")
    day.state = RunState.RUNNING


@pytest.fixture
def policy() -> str:
    return (POLICIES / "story.toml").read_text()


async def test_a_cap_is_charted_once_a_period_while_it_serves_a_visit(tmp_path: Path, policy: str) -> None:
    async with a_day(tmp_path, policy) as day:
        observations, sent = observing(day)
        await observations.take(reading(day), day.pipeline.state)
        assert sent.messages == [], "nobody is bound"
        await bound(day)
        await day.until("09:10")
        for minute in range(10, 20):
            await day.until(f"09:{minute}")
            await observations.take(reading(day), day.pipeline.state)
            await observations.take(reading(day), day.pipeline.state)
        assert len(sent.messages) == 10, "of the cap in the session alone"
        to, payload = sent.messages[0]
        assert to.topic == "capgate-test/v1/ward/ehr/gw-01/observation/hl7"
        assert (to.expiry_s, to.content_type) == (3600, "application/hl7-v2; charset=utf-8")
        assert (refused_by_hl7apy(payload.decode()), missed_by_all(payload.decode())) == ("", [])
        who, stay = sent.lines()[0][1:3]
        assert who.startswith("PID|1||90001234^^^DEMO^MR||^^^^^^U|")
        assert stay.endswith("V770012^^^DEMO^VN")
        await day.until("09:30")
        day.state = RunState.STOPPED
        await day.until("09:40")


async def test_a_value_that_is_not_good_is_none_and_no_number(tmp_path: Path, policy: str) -> None:
    async with a_day(tmp_path, policy) as day:
        observations, sent = observing(day)
        await bound(day)
        await day.until("09:10")
        await observations.take(reading(day), day.pipeline.state)
        coolant, dead = (line.split("|") for line in sent.lines()[0][-2:])
        assert (coolant[5], coolant[11]) == ("-3.81", "R")
        assert (dead[5], dead[11]) == ("", "X")
        assert "-999" not in sent.messages[0][1].decode()


async def test_where_the_site_charts_nothing_nothing_is_sent_and_fhir_is_where_it_asks(
    tmp_path: Path, policy: str
) -> None:
    async with a_day(tmp_path, policy) as day:
        await bound(day)
        await day.until("09:10")
        for formats, topics in (((), []), ((Notation.HL7, Notation.FHIR), ["hl7", "fhir"])):
            observations, sent = observing(day, formats)
            await observations.take(reading(day), day.pipeline.state)
            assert [to.topic.rpartition("/")[2] for to, _ in sent.messages] == topics


@pytest.mark.requirement("REQ-DEVICE-7")
def test_no_code_of_a_body_temperature_is_ever_used() -> None:
    text = observation().decode()
    assert not any(code in text for code in ("150344", "MDC_TEMP^", "150364", "150368", "150388", "8310-5", "vital"))
