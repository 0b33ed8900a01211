"""Administrations of one order: what stands of them, and what is said of the order as a whole beside them."""

import msgspec

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    EndSource,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionStarted,
)
from gateway.session.flags import Flag
from gateway.session.infusion import Infusions, infusions
from gateway.session.policy import Policy
from tests.unit.gateway.session.session_timelines import at, clock, times

POLICY = Policy(name="p", revision="1")
RECEIVED = "18:00"


def begun(t: str, number: str = "1", charted: str = "", *, began: str = "", replaces: bool = False) -> InfusionStarted:
    return InfusionStarted(
        **times(t, RECEIVED),
        order="A",
        admin=AgentClass.CHEMO,
        administration=number,
        charted_us=at(charted or t),
        began_us=at(began) if began else None,
        replaces=replaces,
    )


def ended(t: str, number: str = "1", charted: str = "", *, began: str = "") -> InfusionEnded:
    return InfusionEnded(
        **times(t, RECEIVED),
        order="A",
        admin=AgentClass.CHEMO,
        administration=number,
        charted_us=at(charted or t),
        began_us=at(began) if began else None,
    )


def voided(charted: str, number: str = "1", *, began: str = "", version: int | None = None) -> InfusionEndVoided:
    return InfusionEndVoided(
        **times(charted, RECEIVED),
        order="A",
        administration=number,
        charted_us=at(charted),
        began_us=at(began) if began else None,
        replaces=True,
        version=version,
    )


def known(*facts: AnyFact) -> Infusions:
    return infusions(facts, POLICY)


def end_of(*facts: AnyFact) -> str:
    end = known(*facts).end
    return "" if end is None else clock(end.at_us)


LONG = (begun("09:00"), ended("11:00"))


def test_an_administration_within_another_does_not_move_the_end() -> None:
    assert end_of(*LONG) == "11:00"
    assert end_of(*LONG, begun("10:00", "2", "12:00"), ended("10:01", "2", "12:00")) == "11:00"
    assert end_of(*LONG, begun("10:00", "2", "12:00"), ended("11:20", "2", "12:00")) == "11:20"


def test_what_runs_on_keeps_the_order_open_whatever_else_of_it_ended() -> None:
    assert end_of(begun("09:00"), begun("10:00", "2"), ended("10:01", "2")) == ""
    assert end_of(*LONG, begun("10:00", "2")) == ""


def test_a_withdrawal_takes_its_own_administration_alone() -> None:
    twice = (*LONG, begun("09:00", "2"), ended("11:30", "2"))
    assert end_of(*twice, voided("12:00", "2")) == "11:00"
    assert end_of(*twice, voided("12:00", "2"), voided("12:01", "1")) == "", "nothing stands, and it was given"
    assert end_of(*LONG, voided("12:00"), begun("09:00", charted="12:05"), ended("11:10", charted="12:05")) == "11:10"


def test_the_charting_orders_what_is_said_and_not_what_happened() -> None:
    assert end_of(*LONG, ended("10:50", charted="12:00")) == "10:50"
    assert end_of(ended("11:00", charted="12:00"), begun("09:00"), ended("10:50", charted="11:00")) == "11:00"
    runs_on = begun("09:00", charted="11:05", replaces=True)
    assert end_of(*LONG, runs_on) == ""
    assert end_of(*LONG, runs_on, ended("11:00", charted="11:10")) == "11:00"


def test_a_withdrawal_that_may_mean_either_of_two_leaves_the_order_in_doubt() -> None:
    bags = [
        *(begun("09:00", began="09:00"), ended("09:55", began="09:00")),
        *(begun("09:50", began="09:50"), ended("11:00", began="09:50")),
    ]
    assert end_of(*bags) == "11:00"
    assert end_of(*bags, voided("12:00", began="09:50")) == "09:55"
    assert end_of(*bags, voided("12:00", began="09:40")) == ""


def test_a_withdrawal_of_a_version_takes_it_and_the_lower_ones() -> None:
    first, second, third = (
        InfusionEndCorrected(
            **times("18:00", None), order="A", administration="1", version=version, new_end_us=at(f"11:0{version}")
        )
        for version in (1, 2, 3)
    )
    void = InfusionEndVoided(**times("18:01", None), order="A", administration="1", version=2)
    assert end_of(begun("09:00"), first, second, third, void) == "11:03"
    assert end_of(begun("09:00"), first, second, void) == ""
    plain = (
        InfusionStarted(**times("09:00", None), order="A", admin=AgentClass.CHEMO),
        *(msgspec.structs.replace(each, administration="") for each in (first, second, void)),
    )
    assert end_of(*plain) == "", "of the order as a whole it is the same"


def test_a_persons_end_is_about_the_whole_order() -> None:
    end = InfusionEnded(**times("11:00", "18:30"), order="A", admin=AgentClass.CHEMO, source=EndSource.PERSON)
    assert end_of(begun("09:00"), begun("10:00", "2"), end) == "11:00"
    correction = InfusionEndCorrected(
        **times("18:40", None), order="A", version=2, new_end_us=at("10:40"), source=EndSource.PERSON
    )
    assert end_of(*LONG, correction) == "10:40", "and stands above what was charted before"
    later = msgspec.structs.replace(ended("11:10", charted="18:50"), known_at_us=at("18:50"))
    assert end_of(*LONG, correction, later) == "11:10"


def test_a_withdrawal_of_the_whole_order_takes_all_of_it() -> None:
    void = InfusionEndVoided(**times("12:00", RECEIVED), order="A", charted_us=at("12:00"))
    assert end_of(*LONG, void) == ""
    assert end_of(*LONG, void, ended("11:05", charted="12:05")) == "11:05"


def test_an_order_of_which_only_a_withdrawal_came_holds_nothing() -> None:
    other = msgspec.structs.replace(voided("12:00"), order="B")
    assert end_of(*LONG, other) == "11:00"
    assert not known(*LONG, other).class_unknown


def test_an_order_that_only_a_pump_names_holds_nothing_open_and_is_flagged() -> None:
    pump = InfusionStarted(
        **times("10:00", None), order="17", admin=AgentClass.CHEMO, presumed=True, source=EndSource.PUMP, of_order=True
    )
    assert end_of(*LONG, pump) == "11:00"
    assert Flag.PUMP_WITHOUT_ORDER in known(*LONG, pump).flags
    named = msgspec.structs.replace(pump, order="A", at_us=at("11:05"))
    assert end_of(*LONG, named) == "", "of an order that the MAR names it holds the count open"
    recorded_before = InfusionStarted(**times("10:00", None), order="17", admin=AgentClass.CHEMO, presumed=True)
    assert end_of(*LONG, recorded_before) == "", "as ledgers of earlier versions have it"


def test_what_was_charted_after_its_receipt_flags_the_senders_clock() -> None:
    def flags(seconds: int) -> frozenset[Flag]:
        return known(*LONG[:1], ended("11:00", charted=f"18:0{seconds // 60}:{seconds % 60:02d}")).flags

    assert Flag.SENDER_CLOCK_AHEAD not in flags(60)
    assert Flag.SENDER_CLOCK_AHEAD in flags(61)
