"""A site with three caps, messages to it, and what the reader makes of them: for the tests of inbound JSON."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.messages.inbound.answers import Accepted, Ignored, Inbound, ReaderSite, Rejected, ServedCaps
from gateway.messages.inbound.dispatch import read_message
from gateway.session.facts import AnyFact, CapRef

MESSAGES = Path(__file__).resolve().parents[4] / "data" / "messages"
CAP, OTHER_CAP, LONE_CAP = CapRef("cap-07", 1), CapRef("cap-07", 2), CapRef("cap-08", 1)
TOKEN = "9RX2M7KQ4"


def subject_of(visit: str) -> str:
    visit.encode()  # as the salted hash does: fails on text that is no text
    return f"s({visit})"


SITE = ReaderSite(
    chairs={"c12": CAP, "c13": OTHER_CAP},
    caps=frozenset({CAP, OTHER_CAP, LONE_CAP}),
    bound=ServedCaps({CAP: "s(V770012)"}),
    treated=frozenset(["s(V770012)"]),
    session_of={TOKEN: "s(V770012)"}.get,
    subject_of=subject_of,
)
LOCAL_SITE = msgspec.structs.replace(SITE, zone=ZoneInfo("America/New_York"))


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


NOW = us("2026-03-10T20:00:00+00:00")


def sample(name: str) -> dict[str, Any]:
    return json.loads((MESSAGES / f"in_{name}.json").read_text())


def read(message: dict[str, Any], site: ReaderSite = SITE, known_at_us: int = NOW) -> Inbound:
    return read_message(json.dumps(message).encode(), known_at_us, site)[0]


def event(thing: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": f"com.hospital.engine.{thing}.v1",
        "source": "urn:engine",
        "id": "m1",
        "time": "2026-03-10T15:00:00Z",
        "data": data,
    }


def completed(**data: object) -> dict[str, Any]:
    usual: dict[str, object] = {"order": "RX1", "visit": "V770012", "agent_class": "chemo", "source": "mar"}
    return event("infusion.completed", usual | data)


def accepted(message: dict[str, Any], site: ReaderSite = SITE, known_at_us: int = NOW) -> Accepted:
    answer = read(message, site, known_at_us)
    assert isinstance(answer, Accepted), answer
    return answer


def fact_of(message: dict[str, Any], site: ReaderSite = SITE, known_at_us: int = NOW) -> AnyFact:
    (fact,) = accepted(message, site, known_at_us).facts
    return fact


def fact_field(message: dict[str, Any], field: str, site: ReaderSite = SITE) -> object:
    return getattr(fact_of(message, site), field)


def rejected(message: dict[str, Any], site: ReaderSite = SITE) -> Rejected:
    answer = read(message, site)
    assert isinstance(answer, Rejected), answer
    return answer


def ignored(message: dict[str, Any], site: ReaderSite = SITE) -> Ignored:
    answer = read(message, site)
    assert isinstance(answer, Ignored), answer
    return answer
