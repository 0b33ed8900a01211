"""A policy in sentences: every choice that it can make is heard in them, and flags and gaps have words."""

from datetime import date
from enum import StrEnum

import msgspec
import pytest

from drivers.reading import Evidence
from gateway.session.flags import Flag
from gateway.session.outcome import Missing
from gateway.session.policy import Policy
from gateway.session.policy_text import PROOF_TEXTS, policy_sentences
from gateway.session.review_texts import FLAG_TEXTS, MISSING_TEXTS

SAID_BESIDE = {"name", "revision", "effective", "approved_by"}  # a record has them in its heading
ONE_VALUE = {"gap_between_agents"}
CHOICES = [name for name in Policy.__struct_fields__ if name not in SAID_BESIDE | ONE_VALUE]


def others(value: object) -> list[object]:
    """Values of the same kind that differ."""
    match value:
        case bool():
            return [not value]
        case StrEnum():
            return [each for each in type(value) if each is not value]
        case int() | float():
            return [value + 60]
        case None:
            return [7.5]
        case str():
            return ["America/New_York"]
        case _:
            raise AssertionError(value)


@pytest.mark.parametrize("name", CHOICES)
def test_another_choice_is_said_in_other_words(name: str) -> None:
    choices = others(getattr(Policy(), name))
    said = {" ".join(policy_sentences(msgspec.structs.replace(Policy(), **{name: each}))) for each in choices}
    assert len(said | {" ".join(policy_sentences(Policy()))}) == len(choices) + 1


def test_the_default_policy_is_said_as_the_rules_have_it() -> None:
    said = list(policy_sentences(Policy(effective=date(2026, 1, 1))))
    assert said[0] == "Unit 1 takes 16 min of counted cooling, each further unit 30 min more (P1)."
    assert "No interruption counts; one of up to 10 min does not end the count (P9, P12)." in said
    assert "Days are those of UTC (P27)." in said


@pytest.mark.parametrize(
    ("words", "needed"), [(FLAG_TEXTS, set(Flag)), (MISSING_TEXTS, set(Missing)), (PROOF_TEXTS, set(Evidence))]
)
def test_every_flag_gap_and_proof_has_words(words: dict[str, str], needed: set[str]) -> None:
    assert set(words) == needed
