"""The samples of docs/reference/messages.md: one story, built by the product's own builders.

`python -m tests.contract.message_samples` writes tests/data/messages/out_*.json and the page's samples anew.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drivers.reading import CapReading, Evidence, FaultKind, Measurement, Quality, Reading, Reason, RunState, Stamp
from gateway.ledger.checkpointer import Checkpointer, checkpoint_event
from gateway.ledger.entry import Head
from gateway.ledger.keys import SigningKey
from gateway.messages.cloudevents import Event, Origin, Trace, encode_event, serial_id
from gateway.messages.destination import Destination
from gateway.messages.details import Details, Diagnosis, Person
from gateway.messages.inbound.answers import Accepted, Ignored, InboundFormat, Rejected
from gateway.messages.instants import Rfc3339, rfc3339
from gateway.messages.notation import Mode
from gateway.messages.outbound import device as dev
from gateway.messages.outbound import ehr
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.facts import EndSource
from gateway.session.increments import Op
from gateway.session.outcome import SessionState

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = ROOT / "tests" / "data" / "messages"
PAGE = ROOT / "docs" / "reference" / "messages.md"
SCHEMAS = ROOT / "gateway" / "messages" / "schemas"

ORIGIN = Origin("demo", "gw-01")
TOKEN = "9RX2M7KQ4"
POLICY = ehr.PolicyData("midpoint", "2")
PATIENT = ehr.PatientData("V770012")
DEVICES = (ehr.Device("cap-07", 1, "CU-20417"),)
MAR_MESSAGE = "urn:demo:interface-engine|RX55821-1.end.1"


def us(clock: str) -> int:
    """UTC microseconds of a time of day on the story's day."""
    return round(datetime.fromisoformat(f"2026-03-10T{clock}+00:00").timestamp() * 1_000_000)


def at(clock: str) -> Rfc3339:
    """The same as text."""
    return rfc3339(us(clock))


def _id(sequence: int) -> str:
    return serial_id(ORIGIN, "9f1c0a7be2d45310", sequence)


def _cap(run_state: RunState, front: Measurement) -> CapReading:
    supply = Measurement(-3.8, "Cel")
    return CapReading(1, run_state, True, True, {"cap_front": front, "coolant_supply": supply}, 811, 7205)


def _gateway_status() -> dict[str, Event]:
    online = dev.GatewayStatus(
        state=dev.GatewayState.ONLINE,
        epoch=42,
        software="0.1.0",
        protocol="5.0",
        mode=Mode.LIVE,
        clock=dev.ClockState(True, 12.0),
    )
    lost = msgspec.structs.replace(
        online, state=dev.GatewayState.OFFLINE, reason=dev.StatusReason.CONNECTION_LOST, clock=None, protocol=None
    )
    gone = msgspec.structs.replace(lost, reason=dev.StatusReason.SHUTDOWN)
    return {
        "gateway_birth": dev.gateway_status_event(ORIGIN, us("12:30"), online, "birth"),
        "gateway_will": dev.gateway_status_event(ORIGIN, us("12:30"), lost, "will"),
        "gateway_farewell": dev.gateway_status_event(ORIGIN, us("22:00"), gone, "farewell"),
    }


NOWHERE = Destination("", 1, retain=True, expiry_s=None, content_type="")


def _checkpoint() -> Event:
    """Signed with a key of no use to anybody, for the sample must not change."""
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    head = Head("9f1c0a7be2d45310", 163, "5f2c" * 16, ORIGIN.gateway)
    return checkpoint_event(ORIGIN, Checkpointer(key, ORIGIN, NOWHERE).sign(head, us("16:35:01")), us("16:35:01"))


def _unit() -> dict[str, Event]:
    idle = CapReading(2, RunState.STOPPED, False, None, {})
    cap = _cap(RunState.READY, Measurement(2.1, "Cel"))
    reading = Reading("cap-07", Stamp(us("15:00:00.400"), 0), (cap, idle), {}, ("coolant-low",), "CU-20417")
    return {
        "unit_status_up": dev.unit_up_event(
            ORIGIN,
            reading,
            event_id=_id(118),
            profile="reference-cap-unit",
            line="5b0a91c4e27f38d6",
            since_us=us("12:31"),
            chairs={1: "c12", 2: "c13"},
            trace=Trace(sequence=118),
        ),
        "unit_status_down": dev.unit_down_event(
            ORIGIN,
            "cap-07",
            FaultKind.TIMEOUT,
            event_id=_id(131),
            profile="reference-cap-unit",
            at_us=us("15:20:09"),
            since_us=us("15:20:09"),
            caps={1: "c12", 2: "c13"},
            observed_us=us("15:20:00.400"),
            trace=Trace(sequence=131),
        ),
        "cap_run_state": dev.cap_event(
            ORIGIN,
            dev.CapEvent(
                unit="cap-07",
                cap=1,
                aspect=dev.Aspect.RUN_STATE,
                from_=RunState.STOPPED,
                to=RunState.RUNNING,
                at=at("13:00"),
                cause="reading",
                session=TOKEN,
            ),
            event_id=_id(101),
            trace=Trace(101, TOKEN, recorded_at=at("13:00:00.600")),
        ),
        "cap_phase": dev.cap_event(
            ORIGIN,
            dev.CapEvent(
                unit="cap-07",
                cap=1,
                aspect=dev.Aspect.PHASE,
                from_=Phase.INFUSION,
                to=Phase.POST_INFUSION,
                at=at("15:00"),
                cause="infusion-end",
                session=TOKEN,
            ),
            event_id=_id(119),
            trace=Trace(119, TOKEN, MAR_MESSAGE, at("15:02:04")),
        ),
        "alarm": dev.alarm_event(
            ORIGIN,
            dev.AlarmData(
                code="unit-unreachable",
                state=dev.AlarmState.RAISED,
                since=at("15:20:09"),
                text="cap-07: no readings; check that it is switched on, its cable, and capgate probe",
            ),
            us("15:20:09"),
        ),
        "checkpoint": _checkpoint(),
        "session_head": dev.session_head_event(
            ORIGIN,
            dev.SessionHead(
                session=TOKEN,
                unit="cap-07",
                cap=1,
                attained=3,
                charged=3,
                events=14,
                first_sequence=100,
                last_sequence=163,
                head_hash="5f2c" * 16,
                phase=Phase.POST_INFUSION,
                started_at=rfc3339(us("13:00:00")),
                next_at=rfc3339(us("16:46:00")),
            ),
            us("16:35:01"),
        ),
    }


def _increments() -> dict[str, Event]:
    first = ehr.IncrementData(
        session=TOKEN,
        increment=f"{TOKEN}01",
        index=1,
        revision="A",
        op=Op.EMIT,
        attained_at=at("15:16"),
        known_at=at("15:16:03.250"),
        policy=POLICY,
        threshold_s=960,
        code=ehr.Code(),
        infusion_end=ehr.InfusionEndData(time=at("15:00"), source=EndSource.MAR, order="RX55821"),
        net_s=960.0,
        chart_minutes=16,
        intervals=(ehr.IntervalData(at("15:00"), at("15:16"), "cap-07", 1),),
        devices=DEVICES,
        evidence=Evidence.FLOW,
        mode=Mode.LIVE,
        flags=(),
        release=ehr.ReleaseData(ehr.ReleaseState.PROVISIONAL),
        patient=PATIENT,
    )
    moved = ehr.InfusionEndData(
        time=at("15:20"), source=EndSource.MAR, order="RX55821", version=us("17:09"), skew_s=0.0
    )
    amended = msgspec.structs.replace(
        first,
        revision="B",
        op=Op.AMEND,
        attained_at=at("15:36"),
        known_at=at("17:09:02"),
        was=at("15:16"),
        infusion_end=moved,
        net_s=4500.0,
        chart_minutes=75,
        intervals=(ehr.IntervalData(at("15:20"), at("16:35"), "cap-07", 1),),
        flags=("late_entry",),
        release=ehr.ReleaseData(ehr.ReleaseState.HELD, ("no_order",)),
    )
    retracted = msgspec.structs.replace(
        amended,
        increment=f"{TOKEN}03",
        index=3,
        revision="A",
        threshold_s=4560,
        op=Op.RETRACT,
        attained_at=None,
        was=at("16:16"),
    )
    correction = "urn:demo:interface-engine|RX55821-1.end.2"
    return {
        "increment_emit": ehr.increment_event(ORIGIN, first, Trace(124, recorded_at=at("15:16:03.250"))),
        "increment_amend": ehr.increment_event(
            ORIGIN, amended, Trace(171, cause=correction, recorded_at=at("17:09:02"))
        ),
        "increment_retract": ehr.increment_event(
            ORIGIN, retracted, Trace(170, cause=correction, recorded_at=at("17:09:02"))
        ),
    }


def _session() -> dict[str, Event]:
    opened = ehr.SessionData(
        what=ehr.SessionChange.OPENED,
        session=TOKEN,
        unit="cap-07",
        cap=1,
        state=SessionState.OPEN,
        phase=Phase.PRE_COOLING,
        started_at=at("13:00"),
        cooling_stopped_at=None,
        policy=POLICY,
        counts=ehr.Counts(0, 0, 0, 0),
        flags=(),
        release=ehr.ReleaseData(ehr.ReleaseState.PROVISIONAL),
        missing=("infusion-end", "order", "preparation", "tolerance-check", "cap-identifier"),
        mode=Mode.LIVE,
        patient=PATIENT,
    )
    finalised = msgspec.structs.replace(
        opened,
        what=ehr.SessionChange.FINALISED,
        state=SessionState.RELEASED,
        phase=Phase.ENDED,
        cooling_stopped_at=at("16:35"),
        counts=ehr.Counts(2, 0, 1, 2),
        flags=("late_entry",),
        release=ehr.ReleaseData(ehr.ReleaseState.RELEASED),
        missing=(),
        person="rn-4471",
    )
    in_question = msgspec.structs.replace(
        finalised,
        what=ehr.SessionChange.CORRECTION,
        counts=ehr.Counts(1, 0, 2, 2),
        flags=("correction_after_release", "late_entry"),
        corrections=(ehr.CorrectionData(f"{TOKEN}00A", 2, 1, CorrectionReason.COUNT),),
    )
    return {
        "session_opened": ehr.session_event(ORIGIN, opened, event_id=_id(100), at_us=us("13:00"), trace=Trace(100)),
        "session_finalised": ehr.session_event(
            ORIGIN, finalised, event_id=_id(180), at_us=us("18:00"), trace=Trace(180)
        ),
        "session_correction": ehr.session_event(
            ORIGIN, in_question, event_id=_id(186), at_us=us("19:40"), trace=Trace(186)
        ),
    }


def _charges() -> dict[str, Event]:
    charge = ehr.ChargeData(
        charge=f"{TOKEN}00A",
        action=ehr.ChargeAction.CHARGE,
        session=TOKEN,
        code=ehr.Code(),
        quantity=2,
        increments=(f"{TOKEN}01B", f"{TOKEN}02B"),
        service_date="2026-03-10",
        start=at("15:20"),
        end=at("16:35"),
        net_s=4500.0,
        policy=POLICY,
        devices=DEVICES,
        mode=Mode.LIVE,
        details=Details(
            patient_class="R",
            orderers=(Person("99902", "ORDERER", "OLIVIA"),),
            performers=(Person("rn-4471"),),
            diagnoses=(Diagnosis("C50.912", system="I10C"),),
        ),
        patient=PATIENT,
    )
    credit = msgspec.structs.replace(
        charge,
        charge=f"{TOKEN}A0A",
        action=ehr.ChargeAction.CREDIT,
        reverses=f"{TOKEN}00A",
        reason=CorrectionReason.COUNT,
    )
    return {
        "charge": ehr.charge_event(ORIGIN, charge, at_us=us("18:00:01"), trace=Trace(181)),
        "credit": ehr.charge_event(ORIGIN, credit, at_us=us("20:10"), trace=Trace(190)),
    }


def _results() -> dict[str, Event]:
    accepted = Accepted(MAR_MESSAGE, ())
    ignored = Ignored("urn:demo:interface-engine|A7003", "not-ours", "data.chair: no chair of this gateway")
    rejected = Rejected(
        "",
        "not-json",
        "not JSON; accepted: a CloudEvents 1.0 event in UTF-8",
    )
    answers = {"result_accepted": accepted, "result_ignored": ignored, "result_rejected": rejected}
    return {
        name: ehr.inbound_result_event(ORIGIN, answer, InboundFormat.JSON, event_id=_id(201 + n), at_us=us("15:02:04"))
        for n, (name, answer) in enumerate(answers.items())
    }


def _temperature() -> bytes:
    dead = Measurement(None, "Cel", Quality.BAD, Reason.SENTINEL)
    return dev.temperature_event(ORIGIN, "cap-07", _cap(RunState.READY, dead), us("15:05:00.400"))


def built() -> dict[str, bytes]:
    """Every outbound sample by name, as it goes over the wire."""
    events = _gateway_status() | _unit() | _increments() | _session() | _charges() | _results()
    return {name: encode_event(event) for name, event in events.items()} | {"temperature": _temperature()}


def pretty(message: bytes) -> str:
    """A message as the files and the page show it."""
    return json.dumps(json.loads(message), indent=2, ensure_ascii=False) + "\n"


def sample_files() -> Mapping[str, str]:
    """The text of every sample file, outbound and inbound, by name."""
    return {path.stem: path.read_text() for path in sorted(MESSAGES.glob("*.*"))}


def fill_page(page: str, samples: Mapping[str, str]) -> str:
    """The page with the sample named by each `<!-- sample: NAME -->` in the block that follows it."""
    return re.sub(
        r"(<!-- sample: (\w+) -->\n```\w+\n)(.*?)(```\n)",
        lambda match: match[1] + samples[match[2]] + match[4],
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for name, message in built().items():
        (MESSAGES / f"out_{name}.json").write_text(pretty(message))
    if PAGE.exists():
        PAGE.write_text(fill_page(PAGE.read_text(), sample_files()))
