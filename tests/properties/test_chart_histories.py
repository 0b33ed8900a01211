"""The same history of the chart gives the same count, whatever tells it, in whatever order, however often."""

from collections.abc import Callable, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.messages.inbound.answers import Accepted
from gateway.messages.inbound.dispatch import read_message
from gateway.session.assessment import assess
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    InfusionEnded,
    InfusionStarted,
    deduplicated,
)
from gateway.session.infusion import infusions
from gateway.session.policy import Policy
from gateway.session.statements import InfusionFact
from tests.properties.chart_histories import (
    NOTATIONS,
    Entry,
    History,
    actions,
    histories,
    minute,
    standing,
    status_words,
)
from tests.properties.painted_seconds import attained_s
from tests.unit.gateway.messages.hl7_support import EHR_SITE

_US = 1_000_000
_MINUTE_S = 60
_UNTIL_S = 420 * _MINUTE_S
_ORIGIN_US = int(minute(0).timestamp()) * _US
_POLICY = Policy(name="p", revision="1")
_COOLING = CoolingStarted(at_us=0, known_at_us=0, cap=CapRef("SC-A", 1), patient="P1")


def facts_of(messages: Sequence[bytes]) -> list[AnyFact]:
    """What a gateway keeps of the messages, read one a second in this order, instants from the day's beginning on."""
    found: list[AnyFact] = []

    def knows_order(_: str, order: str) -> bool:
        return any(isinstance(fact, InfusionFact) and fact.order == order for fact in found)

    site = msgspec.structs.replace(EHR_SITE, knows_order=knows_order)
    seen: set[str] = set()
    for number, payload in enumerate(messages):
        answer, _ = read_message(payload, _ORIGIN_US + (400 * _MINUTE_S + number) * _US, site)
        if isinstance(answer, Accepted) and answer.message_id not in seen:
            seen.add(answer.message_id)
            found += answer.facts
    return found


def _from_origin(fact: AnyFact) -> AnyFact:
    """The fact with its instants counted from the day's beginning, as the oracle has them."""
    fields = {
        name: value - _ORIGIN_US
        for name, value in msgspec.structs.asdict(fact).items()
        if name.endswith("_us") and isinstance(value, int)
    }
    return msgspec.structs.replace(fact, **fields)


def counted(messages: Sequence[bytes]) -> list[int]:
    facts = [_COOLING, *map(_from_origin, facts_of(messages))]
    return [each.attained_at_us // _US for each in assess(facts, _POLICY, _UNTIL_S * _US).increments]


def expected(history: History) -> list[int]:
    """What the oracle that paints seconds counts of what stands."""
    facts: list[AnyFact] = [_COOLING]
    for order, (start, end) in standing(history).items():
        start_us = start * _MINUTE_S * _US
        facts.append(InfusionStarted(at_us=start_us, known_at_us=start_us, order=order, admin=AgentClass.CHEMO))
        if end is not None:
            end_us = end * _MINUTE_S * _US
            facts.append(InfusionEnded(at_us=end_us, known_at_us=end_us, order=order))
    return attained_s(facts, _POLICY, _UNTIL_S)


def in_any_order(messages: list[bytes], chance: Random) -> list[bytes]:
    several = [*messages, *chance.choices(messages, k=3)]
    chance.shuffle(several)
    return several


@pytest.mark.slow
@pytest.mark.parametrize("messages_of", NOTATIONS.values(), ids=NOTATIONS)
@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_every_notation_gives_the_count_of_what_stands(
    messages_of: Callable[[History], list[bytes]], history: History, chance: Random
) -> None:
    assert counted(in_any_order(messages_of(history), chance)) == expected(history)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(histories(one_at_a_time=True), st.randoms(use_true_random=False))
def test_so_do_the_steps_of_a_mar(history: History, chance: Random) -> None:
    """A step says of the order that it stopped, so a bag that runs on must be the last one."""
    stand = [entry for entry in {each.bag: each for each in history}.values() if not entry.withdrawn]
    assume(
        not any(one.end is None and one.order == two.order and one.start < two.start for one in stand for two in stand)
    )
    assert counted(in_any_order(actions(history), chance)) == expected(history)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(histories(moving_starts=False), st.randoms(use_true_random=False))
def test_a_sender_that_has_one_number_for_all_bags_loses_none(history: History, chance: Random) -> None:
    last: dict[tuple[str, int], Entry] = {}
    for each in history:
        others = [one for one in last.values() if one.order == each.order and one.bag != each.bag]
        assume(all(one.end is not None or one.withdrawn for one in others))
        last[each.order, each.bag] = each
    assume(len({(each.order, each.start) for each in history}) == len({(each.order, each.bag) for each in history}))
    assert counted(in_any_order(status_words(history, numbered=False), chance)) == expected(history)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 59), st.integers(1, 60), st.integers(200, 300), st.sampled_from(list(NOTATIONS.values())))
def test_an_administration_within_another_never_moves_the_end_back(
    start: int, length: int, charted: int, messages_of: Callable[[History], list[bytes]]
) -> None:
    long = Entry("RX1", 1, 100, 0, 60)
    within = Entry("RX1", 2, charted, start, min(start + length, 60))
    alone, both = counted(messages_of((long,))), counted(messages_of((long, within)))
    assert both == alone


@settings(max_examples=80, deadline=None)
@given(histories(), st.sampled_from(list(NOTATIONS.values())), st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_repeats_change_nothing(
    history: History, messages_of: Callable[[History], list[bytes]], chance: Random
) -> None:
    messages = messages_of(history)
    assert _end(in_any_order(messages, chance)) == _end(messages)


def _end(messages: Sequence[bytes]) -> tuple[int, str] | None:
    end = infusions(deduplicated(facts_of(messages)), _POLICY).end
    return None if end is None else (end.at_us, end.order)
