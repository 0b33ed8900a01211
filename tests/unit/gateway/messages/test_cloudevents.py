"""The envelope, and what the builders put in it beyond the schemas' reach."""

import json
from typing import Any

from drivers.reading import CapReading, FaultKind, Measurement, Quality, Reading, Reason, RunState, Stamp
from gateway.messages.cloudevents import Origin, Trace, encode_event, make_event, serial_id
from gateway.messages.inbound.answers import InboundFormat, Rejected
from gateway.messages.outbound import device as dev
from gateway.messages.outbound.ehr import inbound_result_event

ORIGIN = Origin("demo", "gw-01")
AT_US = 1_773_155_100_400_000


def cap(**temperatures: Measurement) -> CapReading:
    return CapReading(1, RunState.READY, True, True, temperatures)


def alarm(trace: Trace) -> dict[str, Any]:
    raised = dev.AlarmData(code="x", state=dev.AlarmState.RAISED, since=dev.rfc3339(AT_US), text="t")
    at = dev.rfc3339(AT_US)
    event = make_event(ORIGIN, dev.ALARM, event_id="1", time=at, subject="alarm/x", data=raised, trace=trace)
    return json.loads(encode_event(event))


def test_sequences_sort_as_text_in_the_order_of_their_numbers() -> None:
    texts = [alarm(Trace(sequence=n))["sequence"] for n in (2, 9, 10, 99_999, 10**15)]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {16}


def test_what_is_unknown_is_left_out_of_the_envelope() -> None:
    assert {"sequence", "correlationid", "causationid", "recordedtime"}.isdisjoint(alarm(Trace()))
    full = alarm(Trace(1, "9RX2M7KQ4", "urn:x|1", dev.rfc3339(AT_US)))
    assert (full["correlationid"], full["causationid"], full["recordedtime"]) == (
        "9RX2M7KQ4",
        "urn:x|1",
        "2026-03-10T15:05:00.400Z",
    )


def test_the_ledgers_place_names_what_has_no_key_of_its_own() -> None:
    assert serial_id(ORIGIN, "9f1c0a7be2d45310", 118) == "gw-01.9f1c0a7be2d45310.000118"


def test_one_reading_is_one_event_whenever_it_is_built() -> None:
    reading = cap(cap_front=Measurement(2.1, "Cel"))
    first = dev.temperature_event(ORIGIN, "cap-07", reading, AT_US)
    assert dev.temperature_event(ORIGIN, "cap-07", reading, AT_US) == first
    assert dev.temperature_event(ORIGIN, "cap-07", reading, AT_US + 1) != first


def test_a_temperature_without_a_value_says_why_and_never_zero() -> None:
    reading = cap(coolant_supply=Measurement(None, "Cel", Quality.BAD, Reason.PROBE_FAULT))
    (value,) = json.loads(dev.temperature_event(ORIGIN, "cap-07", reading, AT_US))["data"]["values"]
    assert value == {
        "name": "coolant_supply",
        "value": None,
        "unit": "Cel",
        "quality": "bad",
        "reason": "probe-fault",
    }


def test_what_a_unit_cannot_tell_is_null_and_stays_in_the_message() -> None:
    reading = Reading("cap-07", Stamp(AT_US, 0), (CapReading(1, RunState.RUNNING, None, None, {}),), {})
    event = dev.unit_up_event(
        ORIGIN, reading, event_id="1", profile="p", line=None, since_us=AT_US, chairs={}, trace=Trace()
    )
    (cap_status,) = json.loads(encode_event(event))["data"]["caps"]
    assert cap_status == {"cap": 1, "run_state": "running", "connected": None, "circulating": None}


def test_a_unit_that_was_never_read_has_no_last_reading() -> None:
    event = dev.unit_down_event(
        ORIGIN,
        "cap-07",
        FaultKind.LINE_DOWN,
        event_id="1",
        profile="p",
        at_us=AT_US,
        since_us=AT_US,
        caps={1: None},
        observed_us=None,
        trace=Trace(),
    )
    data = json.loads(encode_event(event))["data"]
    assert (data["observed_at"], data["fault"], data["caps"][0]["run_state"]) == (None, "line-down", "unknown")


def test_the_answer_to_a_message_without_an_id_says_null() -> None:
    answer = Rejected("", "not-json", "not JSON")
    event = json.loads(
        encode_event(inbound_result_event(ORIGIN, answer, InboundFormat.HL7V2, event_id="1", at_us=AT_US))
    )
    assert event["data"]["for"] is None
    assert "causationid" not in event
