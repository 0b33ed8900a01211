"""The synthetic messages of `send-test`: complete, valid, and marked as test (mode, visit and unit)."""

import msgspec

from drivers.reading import Evidence, Measurement
from gateway.commissioning.trial import Trial, What, draw_token
from gateway.config.load import GatewayConfig
from gateway.messages.cloudevents import Event, Origin, Trace, encode_event
from gateway.messages.identity import Identity
from gateway.messages.instants import rfc3339
from gateway.messages.notation import Mode, Notation
from gateway.messages.outbound import ehr
from gateway.messages.outbound.charge import ReleasedCharge, charge_messages
from gateway.messages.outbound.fhir import ChartSample
from gateway.messages.outbound.hl7_oru import observation_message
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import OutgoingMessage
from gateway.session.facts import EndSource
from gateway.session.increments import Op
from gateway.session.keys import charge_key, increment_key
from gateway.session.release import ReleaseState

TEST_VISIT = "TEST-VISIT"
TEST_UNIT = "test-unit"
POLICY = ehr.PolicyData("test", "0")
DEVICES = (ehr.Device(TEST_UNIT, 1, "TEST"),)
_MINUTES_30_US = 1_800_000_000
_NOBODY = Identity("", TEST_VISIT)


def build_trial(what: What, config: GatewayConfig, now_us: int) -> Trial:
    """A test message for the real topic of its kind; a charge in the notation for which the site's receipts count."""
    origin, topics = Origin(config.site, config.id), Topics(config.site, config.id, config.mode)
    token = draw_token()
    match what:
        case What.CHARGE:
            return _charge(token, config, topics, now_us)
        case What.INCREMENT:
            event = increment_event(token, origin, now_us)
            return Trial(event.id, OutgoingMessage.to(topics.increment, encode_event(event)))
        case What.OBSERVATION:
            return _observation(token, config, topics, now_us)


def _charge(token: str, config: GatewayConfig, topics: Topics, now_us: int) -> Trial:
    data = charge_data(token, now_us)
    event = charge_event(token, Origin(config.site, config.id), now_us)
    form = config.receipts.form
    site = msgspec.structs.replace(config.outbound.site, formats=(form,), mode=Mode.TEST)
    (message,) = charge_messages(site, ReleasedCharge(event, data, _NOBODY, now_us))
    return Trial(data.charge, OutgoingMessage.to(topics.charge(form), message.payload))


def _observation(token: str, config: GatewayConfig, topics: Topics, now_us: int) -> Trial:
    sample = ChartSample(
        session=token,
        device=DEVICES[0],
        at_us=now_us,
        temperatures={"coolant_supply": Measurement(-4.0, "Cel")},
        mode=Mode.TEST,
    )
    site = msgspec.structs.replace(config.outbound.site, mode=Mode.TEST)
    payload = observation_message(sample, _NOBODY, site)
    to = topics.observation(Notation.HL7)
    # QoS 1 without expiry, unlike real observations, so that the broker's PUBACK shows whether it was taken.
    return Trial(sample.key, OutgoingMessage(to.topic, payload, content_type=to.content_type))


def charge_event(token: str, origin: Origin, now_us: int) -> Event:
    """A charge of one unit: the 30 minutes up to now."""
    return ehr.charge_event(origin, charge_data(token, now_us), at_us=now_us, trace=Trace(recorded_at=rfc3339(now_us)))


def charge_data(token: str, now_us: int) -> ehr.ChargeData:
    """The data of `charge_event`."""
    return ehr.ChargeData(
        charge=charge_key(token, "A"),
        action=ehr.ChargeAction.CHARGE,
        session=token,
        code=ehr.Code(),
        quantity=1,
        increments=(increment_key(token, 1, "A"),),
        service_date=rfc3339(now_us)[:10],
        start=rfc3339(now_us - _MINUTES_30_US),
        end=rfc3339(now_us),
        net_s=1800.0,
        policy=POLICY,
        devices=DEVICES,
        mode=Mode.TEST,
        patient=ehr.PatientData(TEST_VISIT),
    )


def increment_event(token: str, origin: Origin, now_us: int) -> Event:
    """One increment, attained now."""
    start, end = rfc3339(now_us - _MINUTES_30_US), rfc3339(now_us)
    data = ehr.IncrementData(
        session=token,
        increment=increment_key(token, 1),
        index=1,
        revision="A",
        op=Op.EMIT,
        attained_at=end,
        known_at=end,
        policy=POLICY,
        threshold_s=1800,
        code=ehr.Code(),
        infusion_end=ehr.InfusionEndData(time=start, source=EndSource.PERSON, order="TEST"),
        net_s=1800.0,
        chart_minutes=30,
        intervals=(ehr.IntervalData(start, end, TEST_UNIT, 1),),
        devices=DEVICES,
        evidence=Evidence.FLOW,
        mode=Mode.TEST,
        flags=(),
        release=ehr.ReleaseData(ReleaseState.HELD, ("dry_run",)),
        patient=ehr.PatientData(TEST_VISIT),
    )
    return ehr.increment_event(origin, data, Trace(recorded_at=end))
