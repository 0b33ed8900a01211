"""Messages shaped after what real feeds send, each with the answer and the facts that it must give."""

import pytest

from gateway.describe.dry_run import explain
from gateway.messages.inbound.answers import Accepted, Ignored, Rejected
from gateway.messages.inbound.dispatch import read_message
from tests.unit.gateway.messages.inbound.feed_messages import (
    FEEDS,
    KNOWN,
    MESSAGES,
    Message,
    shown,
)
from tests.unit.gateway.messages.inbound.inbound_support import NOW


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
    kinds = [
        str(fact["fact"]).replace("flush", "infusion") for fact in explained.facts if fact["fact"] != "work_raised"
    ]
    wanted = [said.split()[0].replace("flush", "infusion") for said in message.facts if not said.startswith("work ")]
    if message.answer != "ignored not-ours":
        assert kinds == wanted
