"""Sessions found without looking at all of them, against looking at all of them."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.assessment import Phase
from gateway.session.facts import CapRef
from gateway.session.outcome import Published, SessionRecord
from gateway.session.policy import Policy
from gateway.session.session_index import SessionIndex
from gateway.session.spans import FOREVER

_UNITS = ["u1", "u2", "u3"]
_PATIENTS = ["", "p1", "p2"]
_INSTANTS = [0, 1, 2, 3, FOREVER]
_some_units = st.frozensets(st.sampled_from(_UNITS))


@st.composite
def _records(draw: st.DrawFn) -> SessionRecord:
    published = Published(Phase.WAITING, patient=draw(st.sampled_from(_PATIENTS)), closed=draw(st.booleans()))
    return SessionRecord(
        token=draw(st.sampled_from("ABCDE")),
        cap=CapRef("u1", 1),
        policy=Policy(),
        opened_us=0,
        published=draw(st.sampled_from([None, published])),
        units=draw(_some_units),
        watched=draw(_some_units),
        due_us=draw(st.sampled_from(_INSTANTS)),
        wake_us=draw(st.sampled_from(_INSTANTS)),
    )


_observed = st.dictionaries(st.sampled_from(_UNITS), st.integers(0, 3))


def tokens(records: Iterable[SessionRecord]) -> list[str]:
    return sorted(record.token for record in records)


@given(st.lists(_records()), st.sets(st.sampled_from("ABCDE")), _observed)
def test_what_is_found_is_what_a_walk_over_all_finds(
    changes: list[SessionRecord], gone: set[str], observed: dict[str, int]
) -> None:
    index = SessionIndex().updated(changes).without(gone)
    all_of_them = [record for record in {each.token: each for each in changes}.values() if record.token not in gone]
    now_us = max(observed.values(), default=0)

    assert tokens(index.by_token.values()) == tokens(all_of_them)
    assert tokens(index.going_on.values()) == tokens(each for each in all_of_them if each.open)
    for patient in _PATIENTS:
        own = [each for each in all_of_them if each.patient == patient]
        assert tokens(index.of_patient(patient)) == tokens(own)
        assert tokens(index.open_of(patient)) == tokens(each for each in own if each.open)
        assert (patient in index.of_patients) == bool(own)
        assert index.is_done(patient) == (bool(own) and not any(each.open for each in own))
    for unit in _UNITS:
        watching = [each for each in all_of_them if unit in each.watched]
        assert tokens(index.open_on(unit)) == tokens(each for each in all_of_them if each.open and unit in each.units)
        assert index.due_us(unit) == min((each.due_us for each in watching), default=FOREVER)
        assert (unit in index.watched) == bool(watching)
    due = [
        each
        for each in all_of_them
        if each.wake_us <= now_us or any(observed.get(unit, 0) >= each.due_us for unit in each.watched)
    ]
    assert tokens(index.due(observed, now_us)) == tokens(due)


def test_the_units_that_are_watched_are_another_value_only_if_they_are_others() -> None:
    record = SessionRecord(token="A", cap=CapRef("u1", 1), policy=Policy(), opened_us=0, watched=frozenset(["u1"]))
    index = SessionIndex().updated([record])
    assert index.updated([record]).watched is index.watched == {"u1"}
    assert index.without(["A"]).watched == set()
