"""How far all units are observed, as one fact: nothing of what is known of each is lost."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.session.facts import (
    CapCounters,
    ClockStepped,
    ObservedUntil,
    TreatmentMark,
    UnitMark,
    UnitsObserved,
    decode_fact,
    encode_fact,
)
from gateway.session.marks import combined, observed_units

NOW_US = 1_790_000_000_000_000
S = 1_000_000


def observed(
    device: str, until_us: int, *marks: TreatmentMark, boot: str = "b1", ahead_us: int = 7 * S
) -> ObservedUntil:
    boot_us = until_us - ahead_us if boot else 0
    return ObservedUntil(at_us=until_us, known_at_us=NOW_US, device=device, marks=marks, boot=boot, boot_us=boot_us)


def test_all_units_that_were_read_by_one_clock_are_one_fact() -> None:
    units = [
        observed("cap-01", NOW_US - 3 * S, TreatmentMark(1, 34, 600), TreatmentMark(2, 9, 60, NOW_US - 5 * S)),
        observed("cap-02", NOW_US - S),
    ]
    (fact,) = combined(units)
    assert fact == UnitsObserved(
        at_us=NOW_US - S,
        known_at_us=NOW_US,
        units=(
            UnitMark("cap-01", 2 * S, (CapCounters(1, 34, 600), CapCounters(2, 9, 60, 2 * S))),
            UnitMark("cap-02", 0),
        ),
        boot="b1",
        boot_us=NOW_US - 8 * S,
    )
    assert encode_fact(fact) == (
        b'{"fact":"units_observed","at_us":1789999999000000,"known_at_us":1790000000000000,'
        b'"units":[["cap-01",2000000,[[1,34,600,0],[2,9,60,2000000]]],["cap-02",0,[]]],'
        b'"boot":"b1","boot_us":1789999992000000}'
    )


def test_units_that_were_read_by_other_clocks_are_another_fact() -> None:
    """The wall clock was aligned between two readings, or a unit that was removed has no reading of this boot."""
    units = [
        observed("cap-01", NOW_US),
        observed("cap-02", NOW_US, ahead_us=9 * S),
        observed("cap-03", NOW_US, boot=""),
    ]
    facts = combined(units)
    assert [[unit.device for unit in fact.units] for fact in facts] == [["cap-01"], ["cap-02"], ["cap-03"]]
    assert [unit for fact in facts for unit in observed_units(fact)] == units


def test_a_unit_by_itself_as_an_earlier_version_recorded_it_is_read_the_same_way() -> None:
    before = observed("cap-01", NOW_US, TreatmentMark(1, 2, 3))
    assert observed_units(before) == (before,)
    assert observed_units(ClockStepped(at_us=1, known_at_us=1, source="gateway", step_s=1.0)) == ()


_instants = st.integers(NOW_US - 10**12, NOW_US + 10**12)
_marks = st.builds(
    TreatmentMark, st.integers(1, 2), st.integers(0, 99_999), st.integers(0, 99_999), st.none() | _instants
)


@st.composite
def _units(draw: st.DrawFn) -> list[ObservedUntil]:
    names = draw(st.lists(st.sampled_from(["cap-01", "cap-02", "cap-03", "cap-04"]), min_size=1, unique=True))
    clocks = {"boot": st.sampled_from(["", "b1", "b2"]), "ahead_us": st.sampled_from([0, 5])}
    units = [draw(st.builds(observed, st.just(name), _instants, **clocks)) for name in names]
    return [_normal(unit, draw(st.lists(_marks, max_size=2))) for unit in units]


def _normal(unit: ObservedUntil, marks: list[TreatmentMark]) -> ObservedUntil:
    """As `session.observe.marks` makes them: an instant that is the fact's own is not repeated."""
    own = [msgspec.structs.replace(mark, at_us=None) if mark.at_us == unit.at_us else mark for mark in marks]
    return msgspec.structs.replace(unit, marks=tuple(own))


@given(_units())
def test_what_is_put_together_comes_apart_as_it_was(units: list[ObservedUntil]) -> None:
    recorded = [decode_fact(encode_fact(fact)) for fact in combined(units)]
    assert sorted((each for fact in recorded for each in observed_units(fact)), key=lambda each: each.device) == sorted(
        units, key=lambda each: each.device
    )
