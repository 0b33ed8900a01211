"""Messages shaped after what real feeds send, each with what its sidecar says it must give."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.session import facts
from gateway.session.facts import AnyFact, EndSource
from tests.unit.gateway.messages.hl7_support import EHR_SITE

FEEDS = Path(__file__).resolve().parents[4] / "data" / "feeds"


def _known(subject: str, order: str) -> bool:
    return True


KNOWN = msgspec.structs.replace(EHR_SITE, knows_order=_known)


class Message(NamedTuple):
    """One message of a feed, and what it must give."""

    path: Path
    answer: str
    facts: tuple[str, ...]


class Expected(msgspec.Struct, frozen=True):
    """What a sidecar says of one message."""

    answer: str
    facts: tuple[str, ...]


def _messages() -> dict[str, Message]:
    found: dict[str, Message] = {}
    for sidecar in sorted(FEEDS.glob("*/expected.toml")):
        for name, each in msgspec.toml.decode(sidecar.read_bytes(), type=dict[str, Expected]).items():
            found[f"{sidecar.parent.name}/{name}"] = Message(sidecar.parent / name, each.answer, each.facts)
    return found


MESSAGES = _messages()


def shown(fact: AnyFact) -> str:
    """The fact as a sidecar has it."""
    tag = str(msgspec.to_builtins(fact)["fact"])
    match fact:
        case facts.WorkRaised():
            return f"work {fact.what}"
        case facts.InfusionEndVoided():
            return tag
        case facts.InfusionEndCorrected():
            return f"{tag} {_clock(fact.new_end_us)}"
        case facts.InfusionEnded() if fact.no_time:
            return f"{tag} no time"
        case facts.InfusionEnded() if fact.source is EndSource.PUMP:
            return f"{tag} {_clock(fact.at_us)} a hint"
        case _:
            return f"{tag} {_clock(fact.at_us)}"


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M")
