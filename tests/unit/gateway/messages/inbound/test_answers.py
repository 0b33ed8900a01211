"""Whose an inbound message is, what is refused and how, and that nothing raises."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages.inbound.answers import Accepted, Ignored, Inbound, Receipt, Rejected, ServedCaps
from gateway.messages.inbound.dispatch import MAX_BYTES, read_json
from gateway.session import facts
from gateway.session.facts import CapRef, decode_fact, encode_fact
from tests.unit.gateway.messages.inbound.inbound_support import (
    CAP,
    LOCAL_SITE,
    LONE_CAP,
    MESSAGES,
    NOW,
    OTHER_CAP,
    SITE,
    TOKEN,
    accepted,
    completed,
    event,
    fact_field,
    fact_of,
    ignored,
    read,
    rejected,
)

# --- whose


def test_a_chair_stands_for_the_visit_that_its_cap_serves() -> None:
    message = event("infusion.started", {"order": "RX1", "chair": "C12", "agent_class": "chemo"})
    assert fact_field(message, "patient") == "s(V770012)"


@pytest.mark.parametrize("place", [{}, {"chair": "C13"}, {"unit": "cap-08"}])
def test_without_a_visit_and_a_bound_cap_an_infusion_is_refused(place: dict[str, Any]) -> None:
    assert rejected(event("infusion.started", {"order": "RX1", **place})).code == "no-visit"


@pytest.mark.parametrize("place", [{"chair": "Z1"}, {"unit": "cap-99"}])
def test_another_gateways_chair_or_unit_is_not_ours(place: dict[str, Any]) -> None:
    assert ignored(event("infusion.started", {"order": "RX1", "visit": "V1", **place})).code == "not-ours"
    assert ignored(event("infusion.started", {"order": "RX1", **place})).code == "not-ours"
    bind = {"visit": "V1", "validated": True, **place}
    assert ignored(event("association.bound", bind)).code == "not-ours"
    assert ignored(event("cap.removed", place)).code == "not-ours"


def test_a_visit_that_has_a_session_here_is_ours_wherever_the_patient_sits_now() -> None:
    assert fact_field(completed(chair="Z1"), "patient") == "s(V770012)"


def test_a_visit_may_be_plain_text_or_an_identifier_under_either_name() -> None:
    identifier = {"system": "urn:x", "value": "V770012"}
    forms: list[dict[str, Any]] = [
        {"visit": "V770012"},
        {"visit": identifier},
        {"visit": None, "patient": {"visit": "V770012"}},
        {"visit": None, "patient": {"visit": identifier}},
    ]
    assert {fact_field(completed(**form), "patient") for form in forms} == {"s(V770012)"}


def test_two_visits_in_one_message_are_refused() -> None:
    assert rejected(completed(patient={"visit": "V2"})).code == "two-visits"


@pytest.mark.parametrize(
    ("place", "cap"),
    [
        ({"unit": "cap-08"}, LONE_CAP),
        ({"unit": "cap-07", "cap": 2}, OTHER_CAP),
        ({"unit": "cap-07", "chair": "C13"}, OTHER_CAP),
        ({"unit": "cap-08", "chair": "C13"}, LONE_CAP),  # a unit on wheels: what is named goes before the chair's usual
        ({"chair": "C13"}, OTHER_CAP),
        ({"chair": "C13", "cap": 2}, OTHER_CAP),
        ({"chair": "c13"}, OTHER_CAP),
        ({"unit": "CAP-08"}, LONE_CAP),
    ],
)
def test_a_binding_finds_its_cap(place: dict[str, Any], cap: CapRef) -> None:
    assert fact_field(event("association.bound", {"visit": "V1", "validated": True, **place}), "cap") == cap


@pytest.mark.parametrize("place", [{"unit": "cap-07"}, {"unit": "cap-07", "cap": 3}, {"chair": "C12", "cap": 2}, {}])
def test_a_binding_that_does_not_say_which_cap_is_refused(place: dict[str, Any]) -> None:
    rejected(event("association.bound", {"visit": "V1", "validated": True, **place}))


def test_a_binding_needs_a_visit_and_a_confirmation() -> None:
    assert rejected(event("association.bound", {"chair": "C12", "validated": True})).code == "no-visit"
    assert "data.validated" in rejected(event("association.bound", {"chair": "C12", "visit": "V1"})).text
    assert ignored(event("association.bound", {"chair": "C12", "visit": "V1", "validated": False})).code == (
        "unconfirmed"
    )


@pytest.mark.parametrize("thing", ["patient.left", "cooling.stop-charted"])
def test_what_ends_cooling_may_name_the_visit_alone_and_ends_it_on_every_cap(thing: str) -> None:
    fact = fact_of(event(thing, {"visit": "V770012"}))
    assert isinstance(fact, facts.PatientLeft | facts.CoolingStopCharted)
    assert (fact.cap, fact.patient) == (None, "s(V770012)")
    assert ignored(event(thing, {"visit": "V1"})).code == "not-ours"
    assert rejected(event(thing, {})).code == "no-cap"


def test_a_removed_cap_is_the_one_named_or_the_visits_only_one() -> None:
    site = msgspec.structs.replace(SITE, bound=ServedCaps({CAP: "s(V1)", LONE_CAP: "s(V1)"}))
    assert fact_field(event("cap.removed", {"visit": "V770012"}), "cap") == CAP
    assert fact_field(event("cap.removed", {"visit": "V770012", "chair": "C13"}), "cap") == OTHER_CAP
    assert rejected(event("cap.removed", {"visit": "V1"}), site).code == "no-cap"
    assert ignored(event("cap.removed", {"visit": "V1"})).code == "not-ours"


def test_a_person_signs_a_session_of_ours_by_token_or_by_visit() -> None:
    by_token = event("session.finalized", {"session": TOKEN, "person": "rn"})
    by_visit = event("session.finalized", {"visit": "V770012", "person": "rn"})
    assert (fact_field(by_token, "token"), fact_field(by_token, "patient")) == (TOKEN, "s(V770012)")
    assert (fact_field(by_visit, "token"), fact_field(by_visit, "patient")) == ("", "s(V770012)")
    assert ignored(event("session.finalized", {"session": "000000000", "person": "rn"})).code == "not-ours"
    assert ignored(event("session.finalized", {"visit": "V1", "person": "rn"})).code == "not-ours"
    assert "data.person" in rejected(event("session.finalized", {"session": TOKEN})).text


@pytest.mark.parametrize(
    ("thing", "data"),
    [
        ("preparation.charted", {"person": "rn"}),
        ("tolerance.checked", {"person": "rn", "comfort": "ok"}),
        ("patient.left", {}),
    ],
)
def test_a_visit_that_a_cap_was_bound_to_stays_ours_without_a_session(thing: str, data: dict[str, Any]) -> None:
    """Its cooling was not seen, or passes for another's until a person says whose it is."""
    site = msgspec.structs.replace(SITE, was_served={"s(V1)"}.__contains__)
    assert fact_field(event(thing, {"visit": "V1", **data}), "patient", site) == "s(V1)"


# --- what is refused, and how


@pytest.mark.parametrize("field", ["specversion", "type", "source", "id", "time", "data"])
def test_a_missing_attribute_is_named_with_what_is_accepted(field: str) -> None:
    message = completed()
    del message[field]
    answer = rejected(message)
    assert answer.text.startswith(f"{field}: missing; accepted: ")
    assert answer.message_id == ("" if field in ("source", "id") else "urn:engine|m1")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"final": "true"}, "data.final"),
        ({"visit": 770012}, "data.visit"),
        ({"visit": {"system": "urn:x"}}, "data.visit"),
        ({"visit": " "}, "data.visit"),
        ({"patient": {"mrn": 9}}, "data.patient.mrn"),
        ({"source": "rumour"}, "data.source"),
        ({"version": 1.5}, "data.version"),
        ({"version": 10**40}, "data.version"),
        ({"remaining_chemo_orders": -1}, "data.remaining_chemo_orders"),
        ({"order": None}, "data.order"),
        ({"order": "x" * 65}, "data.order"),
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(data: dict[str, Any], field: str) -> None:
    answer = rejected(completed(**data))
    assert answer.text.startswith(f"{field}: ")
    assert "accepted: " in answer.text


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = rejected(completed(final=1, source="x")).text
    assert "data.final" in text
    assert "data.source" in text


def test_an_answer_repeats_no_content() -> None:
    secret = "Doe-19470312"
    for data in ({"source": secret}, {"visit": {"value": [secret]}}, {"patient": {"mrn": {"value": {"a": secret}}}}):
        assert secret not in rejected(completed(**data)).text
    assert secret not in rejected(completed() | {"time": secret}).text
    assert secret not in rejected(completed() | {"recordedtime": secret}).text
    assert secret not in rejected(completed() | {"type": secret}).text


def test_unknown_fields_are_passed_over() -> None:
    assert accepted(completed(drug="x", dose={"mg": 1}) | {"traceparent": "00-1"}).note == ""


def test_an_unknown_type_is_told_which_there_are() -> None:
    answer = rejected(completed() | {"type": "org.x.infusion.ended.v1"})
    assert answer.code == "unknown-type"
    assert "infusion.completed.v1" in answer.text


@pytest.mark.parametrize("type_", ["infusion.completed.v1", "a.infusion.completed.v1", "org.b.c.infusion.completed.v1"])
def test_any_prefix_of_a_type_is_accepted(type_: str) -> None:
    accepted(completed() | {"type": type_})


def test_an_ending_counts_from_a_dot_on() -> None:
    assert rejected(completed() | {"type": "org.x.noninfusion.completed.v1"}).code == "unknown-type"
    assert rejected(completed() | {"type": "org.x.back.v1"}).code == "unknown-type"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "not-json"),
        (b"MSH|^~\\&|", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b'"\xed\xa0\x80"', "not-json"),
        (b"[]", "not-an-event"),
        (b"[" * 60_000, "not-json"),
        (b" " * (MAX_BYTES + 1), "too-large"),
        (b"{}", "bad-envelope"),
    ],
)
def test_what_is_no_event_is_refused(payload: bytes, code: str) -> None:
    answer = read_json(payload, NOW, SITE)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.message_id) == (code, "")


# --- never raises

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
SAMPLES = sorted(path.read_text() for path in MESSAGES.glob("in_*.json"))


def well_formed(answer: Inbound) -> None:
    match answer:
        case Accepted():
            for fact in answer.facts:
                assert decode_fact(encode_fact(fact)) == fact
        case Ignored() | Rejected():
            assert answer.code
            assert answer.text
        case Receipt():
            assert answer.for_id


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    well_formed(read_json(payload, NOW, SITE))


@given(json_values)
def test_no_json_raises(value: object) -> None:
    well_formed(read_json(json.dumps(value).encode(), NOW, SITE))


@given(st.sampled_from(SAMPLES), st.data())
def test_no_sample_with_one_field_replaced_raises(text: str, data: st.DataObject) -> None:
    message = json.loads(text)
    target = data.draw(st.sampled_from([message, message["data"]]))
    target[data.draw(st.sampled_from([*target, "time", "visit", "patient", "cap", "unit"]))] = data.draw(json_values)
    well_formed(read(message, data.draw(st.sampled_from([SITE, LOCAL_SITE]))))


@given(st.sampled_from(SAMPLES), st.data())
def test_no_damaged_sample_raises(text: str, data: st.DataObject) -> None:
    payload = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    well_formed(read_json(bytes(payload), NOW, SITE))
