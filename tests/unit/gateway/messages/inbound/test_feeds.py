"""Messages shaped after what real feeds send, each with the answer and the facts that it must give."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.describe.dry_run import explain
from gateway.messages.inbound.answers import Accepted, Ignored, Rejected
from gateway.messages.inbound.dispatch import read_message
from gateway.session import facts
from gateway.session.facts import AnyFact, EndSource
from tests.unit.gateway.messages.inbound.feed_messages import (
    FEEDS,
    KNOWN,
    MESSAGES,
    Message,
)
from tests.unit.gateway.messages.inbound.inbound_support import NOW


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


def given(payload: bytes) -> tuple[str, tuple[str, ...]]:
    """The answer and the facts, at a gateway that serves the patient and knows the order."""
    answer, _ = read_message(payload, NOW, KNOWN)
    match answer:
        case Accepted():
            return "accepted", tuple(map(shown, answer.facts))
        case Ignored() | Rejected():
            return f"{type(answer).__name__.lower()} {answer.code}", ()
        case _:
            return "receipt", ()


def test_there_are_enough_and_none_is_forgotten() -> None:
    assert len(MESSAGES) >= 120
    on_disk = {path for path in FEEDS.glob("*/*") if path.name != "expected.toml"}
    assert on_disk == {each.path for each in MESSAGES.values()}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_each_gives_what_its_sidecar_says(message: Message) -> None:
    assert given(message.path.read_bytes()) == (message.answer, message.facts)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_explain_tells_the_same_facts(message: Message) -> None:
    """But for what only a gateway or its site knows: who is served, other wards' chairs, which drugs are flushes."""
    explained = explain(message.path.read_bytes(), None, NOW)
    told = [str(fact["fact"]).replace("flush", "infusion") for fact in explained.facts if fact["fact"] != "work_raised"]
    wanted = [said.split()[0].replace("flush", "infusion") for said in message.facts if not said.startswith("work ")]
    if message.answer != "ignored not-ours":
        assert told == wanted
