"""Facts in words: none of those that people chart or decide is left without, and none of the infusion's."""

import json
from typing import get_args

import pytest

from gateway.audit.fact_words import AGENT_TEXTS, charted, stated
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    BindingVoided,
    CapRef,
    CoolingPaused,
    Fact,
    HoldLifted,
    InfusionEnded,
    PatientBound,
    SessionFact,
    decode_fact,
)
from gateway.session.statements import InfusionFact

CAP = CapRef("cap-01", 1)
NEEDED = {
    "units": 2,
    "holds": ["no_order"],
    "charge": "9RX2M7KQ400A",
    "approved": False,
    "cap_id": "SC-1",
    "to": "m.curie",
    "hold": "unit_shared",
    "text": "fits well",
    "order": "O-1",
    "version": 2,
    "new_end_us": 9,
}


def made(kind: type[Fact]) -> AnyFact:
    """A fact of that kind, with no more than it needs."""
    fields = {name: value for name, value in NEEDED.items() if name in kind.__struct_fields__}
    return decode_fact(json.dumps({"fact": kind.__struct_config__.tag, "at_us": 1, "known_at_us": 2, **fields}))


@pytest.mark.parametrize("kind", [each for each in get_args(AnyFact) if issubclass(each, SessionFact)])
def test_every_fact_about_a_session_has_words(kind: type[SessionFact]) -> None:
    said = charted(made(kind))
    assert said is not None
    assert said.what


@pytest.mark.parametrize("kind", get_args(InfusionFact))
def test_every_statement_of_an_infusion_has_words(kind: type[Fact]) -> None:
    said = stated(made(kind))
    assert said is not None
    assert said.what
    assert (said.order, said.agent, said.charted_us) == ("O-1", "not said", 2)
    assert charted(made(kind)) is None


def test_every_class_of_agent_has_words() -> None:
    assert set(AGENT_TEXTS) == set(AgentClass)


def test_what_is_assumed_is_said_to_be() -> None:
    ended = InfusionEnded(
        at_us=1,
        known_at_us=5,
        order="O-1",
        admin=AgentClass.CHEMO,
        presumed=True,
        no_time=True,
        remaining_chemo_orders=2,
        charted_us=3,
        person="rn-1",
    )
    said = stated(ended)
    assert said is not None
    assert (said.agent, said.what, said.at_us) == ("chemotherapy (presumed)", "ended, 2 orders remain", None)
    assert (said.said_by, said.charted_us) == ("charted in the MAR, rn-1", 3)


def test_holds_are_named_by_what_they_mean_and_unknown_ones_by_their_code() -> None:
    said = charted(HoldLifted(at_us=1, known_at_us=1, holds=("no_order", "of_a_later_version"), person="rn-1"))
    assert said is not None
    assert said.what.endswith("although an order for scalp cooling was looked for and not found; of_a_later_version")


def test_bindings_are_charted_and_readings_are_not() -> None:
    bound = charted(PatientBound(at_us=1, known_at_us=1, cap=CAP, evidence="scan", person="rn-1"))
    voided = charted(BindingVoided(at_us=1, known_at_us=1, cap=CAP, patient="p"))
    assert bound is not None
    assert voided is not None
    assert (bound.what, bound.person) == ("cap-01:1 serves the patient (by scan)", "rn-1")
    assert voided.what == "cap-01:1 never served the patient: its binding is void"
    assert charted(CoolingPaused(at_us=1, known_at_us=1, cap=CAP)) is None
