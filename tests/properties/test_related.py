"""A session is the same whether it is sorted out of all facts or of those that a search from it finds."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.attribution import Session, sessions
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    InfusionEnded,
    InfusionStarted,
    OrderChecked,
    PatientBound,
    PatientLeft,
    PreparationCharted,
    cap_key,
)
from gateway.session.known_facts import KnownFacts
from gateway.session.policy import Policy
from gateway.session.related import Anchor, related
from gateway.session.spans import US_PER_S

_HOUR_US = 3600 * US_PER_S
_CAPS = (CapRef("SC-A", 1), CapRef("SC-A", 2), CapRef("SC-B", 1))
_IDLE_US = Policy().session_idle_s * US_PER_S


@st.composite
def _treatment(draw: st.DrawFn, begins_h: int) -> list[AnyFact]:
    at_us = begins_h * _HOUR_US
    cap = draw(st.sampled_from(_CAPS))
    bound_us = at_us - draw(st.integers(0, 2)) * _HOUR_US
    over_us = at_us + draw(st.integers(1, 10)) * _HOUR_US
    return [
        PatientBound(at_us=bound_us, known_at_us=bound_us, cap=cap, patient="P1", evidence="scan"),
        CoolingStarted(at_us=at_us, known_at_us=at_us, cap=cap),
        CoolingStopped(at_us=over_us, known_at_us=over_us, cap=cap),
    ]


@st.composite
def _statement(draw: st.DrawFn) -> AnyFact:
    at_us = draw(st.integers(-48, 24 * 12)) * _HOUR_US
    order = draw(st.sampled_from("AB"))
    match draw(st.integers(0, 4)):
        case 0:
            return InfusionStarted(at_us=at_us, known_at_us=at_us, order=order, admin=AgentClass.CHEMO, patient="P1")
        case 1:
            return InfusionEnded(at_us=at_us, known_at_us=at_us, order=order, patient="P1")
        case 2:
            return OrderChecked(at_us=at_us, known_at_us=at_us, patient="P1", found=True)
        case 3:
            return PreparationCharted(at_us=at_us, known_at_us=at_us, patient="P1")
        case _:
            return PatientLeft(at_us=at_us, known_at_us=at_us, patient="P1")


@st.composite
def _weeks(draw: st.DrawFn) -> list[AnyFact]:
    """Treatments of one patient, hours to days apart, and statements about it at any time."""
    facts: list[AnyFact] = []
    begins_h = 0
    for apart_h in draw(st.lists(st.integers(14, 80), min_size=1, max_size=4)):
        facts += draw(_treatment(begins_h))
        begins_h += apart_h
    return facts + draw(st.lists(_statement(), max_size=8))


@given(_weeks())
def test_a_session_does_not_depend_on_what_else_is_looked_at(facts: list[AnyFact]) -> None:
    every = [each for each in sessions(facts) if each.cooled]
    assert every
    for session in every:
        assert _alone(facts, session) == _content(session)


def _alone(facts: Sequence[AnyFact], session: Session) -> tuple[str, frozenset[AnyFact]]:
    assert session.cap is not None
    known = KnownFacts().added(sorted(facts, key=lambda each: each.at_us))
    anchor = Anchor(cap_key(session.cap), session.opened_us)
    found = sessions(related(known, [anchor], _IDLE_US))
    return next(_content(each) for each in found if (each.cap, each.opened_us) == (session.cap, session.opened_us))


def _content(session: Session) -> tuple[str, frozenset[AnyFact]]:
    return session.patient, frozenset(session.facts)
