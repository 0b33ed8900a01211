"""The sentences of a count: every cause, obstacle, ending and hold has words, and figures add up."""

from zoneinfo import ZoneInfo

import pytest

from gateway.session import why_text
from gateway.session.assessment import review_of
from gateway.session.facts import AnyFact
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
from gateway.session.policy import Policy
from gateway.session.why import Cause, Ending, Obstacle, why
from gateway.session.why_text import sentences
from tests.unit.gateway.session.session_timelines import at, day, pause, resume, start, stop

ZONE = ZoneInfo("America/New_York")  # four hours behind on that day


def said(facts: list[AnyFact], *held: HeldReason) -> list[str]:
    found = why(review_of(facts, Policy(), at("13:00"), {"SC-A": at("13:00")}))
    return list(sentences(found, held, Policy(), ZONE))


def test_a_count_is_said_in_local_time_with_all_that_it_comes_from() -> None:
    facts = day(pause("11:10"), resume("11:19:12"), stopped="12:16:52")
    assert said(facts, HeldReason.PREPARATION_MISSING) == [
        "2 units: 67 min 40 s of cooling counted after the infusion's end at 07:00:00 (order A, charted in the MAR).",
        "Attained: unit 1 at 07:25:12 and unit 2 at 07:55:12.",
        "Unit 3 needs 76 min, which is 8 min 20 s more; the first takes 16 min, each further one 30 min (P1).",
        "Not counted: 9 min 12 s, 07:10:00 to 07:19:12: the cap was disconnected (P9).",
        "Cooling ended at 08:16:52: the unit stopped (P13).",
        "Held: nobody has charted the preparation (preparation_missing).",
    ]


def test_where_nothing_counts_it_is_said_why() -> None:
    assert said([start("09:00"), stop("12:00")])[0] == "0 units: no infusion of an agent that counts is known."
    assert said(day(stopped="10:30"))[:2] == [
        "0 units: 0 min of cooling counted after the infusion's end at 07:00:00 (order A, charted in the MAR).",
        "Nothing counts: cooling was over, or no unit was in sight any more, when the infusion ended (P11, P15).",
    ]


def test_of_no_cooling_no_end_is_told() -> None:
    text = " ".join(said([]))
    assert "no cooling is known" in text
    assert "goes on" not in text


def test_a_second_that_is_missing_is_said() -> None:
    assert "Unit 1 needs 16 min, which is 1 s more" in said(day(stopped="11:15:59"))[1]


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (HELD_TEXTS, set(HeldReason)),
        (why_text.OBSTACLE_TEXTS, set(Obstacle)),
        (why_text.CAUSE_TEXTS, set(Cause) - {Cause.COUNTED}),
        (why_text.ENDING_TEXTS, set(Ending)),
    ],
)
def test_every_member_has_words(words: dict[str, str], needed: set[str]) -> None:
    assert set(words) == needed
