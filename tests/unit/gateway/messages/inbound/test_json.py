"""What an engine's JSON becomes: the facts, by whose word, and when."""

from typing import Any

import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Receipt
from gateway.session import facts
from gateway.session.facts import AgentClass, EndSource, decode_fact, encode_fact
from tests.unit.gateway.messages.inbound.inbound_support import (
    CAP,
    LOCAL_SITE,
    NOW,
    TOKEN,
    accepted,
    completed,
    event,
    fact_field,
    fact_of,
    ignored,
    read,
    rejected,
    sample,
    us,
)

# --- the samples


def test_the_story_of_the_samples_becomes_these_facts() -> None:
    visit = "s(V770012)"
    engine = "urn:demo:interface-engine|"
    end_us, amended_us = us("2026-03-10T15:00:00+00:00"), us("2026-03-10T15:20:00+00:00")
    recorded_us = us("2026-03-10T17:09:00+00:00")
    names = ["association_bound", "infusion_started", "infusion_completed", "infusion_amended", "infusion_voided"]
    assert [fact_of(sample(name)) for name in names] == [
        facts.PatientBound(
            at_us=us("2026-03-10T12:55:00+00:00"),
            known_at_us=NOW,
            cap=CAP,
            patient=visit,
            evidence="scan",
            msg=engine + "A7001",
        ),
        facts.InfusionStarted(
            at_us=us("2026-03-10T13:30:00+00:00"),
            known_at_us=NOW,
            order="RX55821",
            patient=visit,
            admin=AgentClass.CHEMO,
            msg=engine + "RX55821-1.start",
            administration="RX55821-1",
            charted_us=us("2026-03-10T13:31:00+00:00"),
        ),
        facts.InfusionEnded(
            at_us=end_us,
            known_at_us=NOW,
            order="RX55821",
            patient=visit,
            admin=AgentClass.CHEMO,
            msg=engine + "RX55821-1.end.1",
            administration="RX55821-1",
            charted_us=us("2026-03-10T15:02:00+00:00"),
            source=EndSource.MAR,
        ),
        facts.InfusionEndCorrected(
            at_us=recorded_us,
            known_at_us=NOW,
            order="RX55821",
            patient=visit,
            admin=AgentClass.CHEMO,
            msg=engine + "RX55821-1.end.2",
            administration="RX55821-1",
            charted_us=recorded_us,
            version=recorded_us,
            new_end_us=amended_us,
            source=EndSource.MAR,
        ),
        facts.InfusionEndVoided(
            at_us=us("2026-03-10T15:40:00+00:00"),
            known_at_us=NOW,
            order="RX55821",
            patient=visit,
            msg=engine + "RX55821-1.end.1.void",
            charted_us=us("2026-03-10T15:40:00+00:00"),
        ),
    ]


def test_identifiers_travel_beside_the_facts_and_never_in_them() -> None:
    answer = accepted(sample("association_bound"))
    (identity,) = answer.identities
    assert identity == Identity(
        "s(V770012)",
        "V770012",
        "90001234",
        "770012",
        visit_authority="&urn:example:visit",
        mrn_authority="&urn:example:mrn",
        account_authority="&urn:example:account",
    )
    assert b"90001234" not in encode_fact(answer.facts[0])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("infusion_restarted", facts.InfusionRestarted),
        ("association_released", facts.PatientReleased),
        ("order_checked", facts.OrderChecked),
        ("session_finalized", facts.SessionFinalized),
        ("preparation_charted", facts.PreparationCharted),
        ("tolerance_checked", facts.ToleranceChecked),
        ("cap_identified", facts.CapIdentified),
        ("cap_removed", facts.CapRemoved),
        ("cooling_stop_charted", facts.CoolingStopCharted),
        ("patient_left", facts.PatientLeft),
        ("infusion_hint", facts.InfusionEnded),
    ],
)
def test_every_other_sample_becomes_its_fact(name: str, kind: type) -> None:
    fact = fact_of(sample(name))
    assert type(fact) is kind
    assert decode_fact(encode_fact(fact)) == fact


@pytest.mark.parametrize("name", ["ack_accepted", "ack_rejected"])
def test_a_receipt_names_the_message_it_is_for_and_becomes_no_fact(name: str) -> None:
    answer = read(sample(name))
    assert isinstance(answer, Receipt)
    assert answer.result == name.removeprefix("ack_")
    assert answer.for_id == sample(name)["data"]["for"]
    assert (answer.code, answer.text != "") == (("204", True) if name == "ack_rejected" else ("", False))


# --- who ended the infusion


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ({"source": "mar"}, EndSource.MAR),
        ({"source": "mar", "final": True}, EndSource.MAR),
        ({"source": "person"}, EndSource.PERSON),
        ({"source": "manual"}, EndSource.PERSON),
        ({"source": None, "final": True}, EndSource.ENGINE_FINAL),
        ({"source": "pump", "final": True}, EndSource.ENGINE_FINAL),
    ],
)
def test_the_chart_a_person_or_a_final_event_ends_an_infusion(data: dict[str, Any], source: EndSource) -> None:
    answer = accepted(completed(**data))
    assert isinstance(answer.facts[0], facts.InfusionEnded)
    assert answer.facts[0].source is source
    assert answer.note == ""


@pytest.mark.parametrize("data", [{"source": "pump"}, {"source": None}, {"source": None, "final": False}])
def test_any_other_end_is_a_hint_and_the_answer_says_that_it_starts_no_count(data: dict[str, Any]) -> None:
    answer = accepted(completed(**data))
    assert isinstance(answer.facts[0], facts.InfusionEnded)
    assert answer.facts[0].source is EndSource.PUMP
    assert "starts no count" in answer.note


def test_open_orders_are_passed_on() -> None:
    assert fact_field(completed(remaining_chemo_orders=2), "remaining_chemo_orders") == 2


@pytest.mark.parametrize("name", [agent.value for agent in AgentClass if agent is not AgentClass.FLUSH])
def test_the_gateways_own_agent_classes_are_taken_by_name(name: str) -> None:
    answer = accepted(completed(agent_class=name))
    assert isinstance(answer.facts[0], facts.InfusionEnded)
    assert answer.facts[0].admin == name
    assert answer.note == ""


@pytest.mark.parametrize(
    ("name", "agent"), [("scalp-cooling-relevant", AgentClass.CHEMO), ("other", AgentClass.HYDRATION)]
)
def test_the_coarse_agent_classes_are_understood(name: str, agent: AgentClass) -> None:
    assert fact_field(completed(agent_class=name), "admin") is agent


@pytest.mark.parametrize("thing", ["started", "restarted", "completed"])
@pytest.mark.parametrize("name", ["unknown", "platinum", None])
def test_an_unknown_agent_is_presumed_to_be_chemo_and_the_answer_says_so(thing: str, name: str | None) -> None:
    data: dict[str, Any] = {"order": "RX1", "visit": "V770012", "agent_class": name, "source": "mar"}
    answer = accepted(event(f"infusion.{thing}", data))
    (fact,) = answer.facts
    assert isinstance(fact, facts.InfusionStarted | facts.InfusionRestarted | facts.InfusionEnded)
    assert (fact.admin, fact.presumed) == (AgentClass.CHEMO, True)
    assert "agent_class: unknown" in answer.note


def test_a_known_agent_is_told_and_not_presumed() -> None:
    assert fact_field(completed(), "presumed") is False


def test_a_flush_is_a_flush() -> None:
    data = {"order": "F", "visit": "V770012", "agent_class": "flush", "source": "mar"}
    assert type(fact_of(event("infusion.started", data))) is facts.FlushStarted
    assert type(fact_of(event("infusion.completed", data))) is facts.FlushEnded


# --- sessions


def test_what_a_person_says_of_a_session_goes_by_its_token_or_its_patient() -> None:
    by_token = fact_of(event("preparation.charted", {"session": TOKEN, "person": "rn-1", "reason": "cap refitted"}))
    by_chair = fact_of(event("preparation.charted", {"chair": "C12", "person": "rn-1"}))
    assert isinstance(by_token, facts.PreparationCharted)
    assert isinstance(by_chair, facts.PreparationCharted)
    assert (by_token.token, by_token.patient, by_token.reason) == (TOKEN, "s(V770012)", "cap refitted")
    assert (by_chair.token, by_chair.patient, by_chair.person) == ("", "s(V770012)", "rn-1")


@pytest.mark.parametrize("thing", ["session.finalized", "preparation.charted", "tolerance.checked", "cap.identified"])
@pytest.mark.parametrize("whose", [{"session": "9RX2M7KQ5"}, {"visit": "V1"}])
def test_a_session_of_another_gateway_is_not_ours(thing: str, whose: dict[str, str]) -> None:
    data = {"person": "rn-1", "comfort": "ok", "cap_id": "M-1", **whose}
    assert ignored(event(thing, data)).code == "not-ours"


def test_a_tolerance_check_that_found_nothing_is_none() -> None:
    assert "data.comfort" in rejected(event("tolerance.checked", {"session": TOKEN, "person": "rn-1"})).text
    assert (
        fact_field(event("tolerance.checked", {"session": TOKEN, "person": "rn-1", "scalp": "concern"}), "scalp")
        == "concern"
    )


# --- corrections


def test_a_correction_has_the_version_it_states_or_the_instant_it_was_recorded() -> None:
    plain = completed(amends="m0")
    assert fact_field(completed(amends="m0", version=3), "version") == 3
    assert fact_field(plain | {"recordedtime": "2026-03-10T17:00:00Z"}, "version") == us("2026-03-10T17:00:00+00:00")
    assert fact_field(plain, "version") == NOW


def test_a_second_version_is_a_correction_and_a_first_is_none() -> None:
    assert type(fact_of(completed(version=2))) is facts.InfusionEndCorrected
    assert type(fact_of(completed(version=1))) is facts.InfusionEnded


def test_a_correction_leaves_a_class_that_it_does_not_state_as_it_is() -> None:
    assert fact_field(completed(amends="m0", agent_class=None), "admin") is None


def test_a_completion_may_withdraw_an_end() -> None:
    fact = fact_of(completed(voided=True, version=4))
    assert isinstance(fact, facts.InfusionEndVoided)
    assert fact.version == 4


def test_a_start_cannot_be_withdrawn() -> None:
    message = event("infusion.started", {"order": "RX1", "visit": "V770012", "voided": True})
    assert "data.voided" in rejected(message).text


# --- time


def test_a_time_without_an_offset_needs_the_sites_zone() -> None:
    message = completed() | {"time": "2026-03-10T11:00:00"}
    assert "offset" in rejected(message).text
    assert fact_field(message, "at_us", LOCAL_SITE) == us("2026-03-10T15:00:00+00:00")


@pytest.mark.parametrize("type_", ["infusion.started.v1", "infusion.restarted.v1", "infusion.completed.v1"])
def test_a_time_in_the_repeated_hour_keeps_both_readings(type_: str) -> None:
    message = completed() | {"time": "2026-11-01T01:20:00"}
    fact = fact_of(message | {"type": type_}, LOCAL_SITE, us("2026-11-01T01:22:00-05:00"))
    assert isinstance(fact, facts.InfusionStarted | facts.InfusionRestarted | facts.InfusionEnded)
    assert (fact.at_us, fact.ambiguous, fact.other_reading_us) == (
        us("2026-11-01T01:20:00-05:00"),
        True,
        us("2026-11-01T01:20:00-04:00"),
    )


def test_a_corrected_end_in_the_repeated_hour_keeps_both_readings() -> None:
    message = completed(amends="m0") | {"time": "2026-11-01T01:20:00"}
    fact = fact_of(message, LOCAL_SITE, us("2026-11-01T03:00:00-05:00"))
    assert isinstance(fact, facts.InfusionEndCorrected)
    assert fact.new_end_us == us("2026-11-01T01:20:00-05:00")
    assert (fact.ambiguous, fact.other_reading_us) == (True, us("2026-11-01T01:20:00-04:00"))


def test_an_end_of_cooling_in_the_repeated_hour_is_the_earlier_one() -> None:
    message = event("cap.removed", {"chair": "C12"}) | {"time": "2026-11-01T01:20:00"}
    fact = fact_of(message, LOCAL_SITE, us("2026-11-01T03:00:00-05:00"))
    assert fact.at_us == us("2026-11-01T01:20:00-04:00")


def test_an_end_with_a_date_alone_is_kept_without_a_time() -> None:
    answer = accepted(completed() | {"time": "2026-03-10"})
    assert isinstance(answer.facts[0], facts.InfusionEnded)
    assert answer.facts[0].no_time
    assert "date alone" in answer.note


@pytest.mark.parametrize("name", ["infusion_started", "infusion_amended", "association_bound", "cap_removed"])
def test_everything_else_needs_a_time_of_day(name: str) -> None:
    assert rejected(sample(name) | {"time": "2026-03-10"}).code == "bad-time"


def test_a_time_in_the_future_is_accepted_and_remarked() -> None:
    answer = accepted(completed() | {"time": "2026-03-10T20:00:01Z"})
    assert "future" in answer.note
