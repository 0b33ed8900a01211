"""The topic table, and what may stand in a topic."""

import pytest

from gateway.messages.notation import Mode, Notation
from gateway.mqtt.topics import BadSegment, Topics

LIVE = Topics("north", "gw-1", Mode.LIVE)


def test_every_topic_of_the_table_is_built_as_documented() -> None:
    assert LIVE.status.topic == "capgate/v1/north/dev/gw-1/status"
    assert LIVE.unit_status("u1").topic == "capgate/v1/north/dev/gw-1/unit/u1/status"
    assert LIVE.temperature("u1", 2).topic == "capgate/v1/north/dev/gw-1/unit/u1/cap/2/temperature"
    assert LIVE.cap_event("u1", 1).topic == "capgate/v1/north/dev/gw-1/unit/u1/cap/1/event"
    assert LIVE.alarm("line-down").topic == "capgate/v1/north/dev/gw-1/alarm/line-down"
    assert LIVE.session("9RX2M7KQ4").topic == "capgate/v1/north/dev/gw-1/session/9rx2m7kq4"
    assert LIVE.increment.topic == "capgate/v1/north/ehr/gw-1/increment/json"
    assert LIVE.session_event.topic == "capgate/v1/north/ehr/gw-1/session/json"
    assert LIVE.charge(Notation.HL7).topic == "capgate/v1/north/ehr/gw-1/charge/hl7"
    assert LIVE.observation(Notation.FHIR).topic == "capgate/v1/north/ehr/gw-1/observation/fhir"
    assert LIVE.result.topic == "capgate/v1/north/ehr/gw-1/result/json"
    assert LIVE.inbound(Notation.JSON).topic == "capgate/v1/north/ehr/in/json"


def test_a_test_gateway_has_a_root_of_its_own() -> None:
    assert Topics("north", "gw-1", Mode.TEST).status.topic == "capgate-test/v1/north/dev/gw-1/status"


@pytest.mark.parametrize("name", ["", "North", "a/b", "a+b", "#", "ä", "a" * 33, "a b", "a\n"])
def test_a_name_that_is_no_segment_is_refused(name: str) -> None:
    with pytest.raises(BadSegment):
        Topics(name, "gw-1", Mode.LIVE)
    with pytest.raises(BadSegment):
        LIVE.unit_status(name)
