"""HL7 messages of one story, as the product builds them: for validators and for docs/reference/messages.md.

`python -m tests.contract.hl7_messages` writes tests/data/messages/hl7_*.hl7, a segment a line; on the wire each ends in
CR. tests.contract.message_samples then writes them into the page.
"""

from zoneinfo import ZoneInfo

import msgspec

from gateway.messages.details import NO_DETAILS, Details, Diagnosis, Person
from gateway.messages.identity import Identity
from gateway.messages.notation import Mode
from gateway.messages.outbound.ehr import ChargeData
from gateway.messages.outbound.fhir import ChartSample
from gateway.messages.outbound.hl7_dft import charge_message
from gateway.messages.outbound.hl7_oru import observation_message
from gateway.messages.outbound.site import ChargeSite, CreditForm, ServiceTime
from gateway.messages.vocabulary import PatientField
from gateway.session.facts import CapRef
from tests.contract.fhir_messages import charge_data, sample
from tests.contract.message_samples import MESSAGES, us

RECORDED_US = us("18:00:01")
WHOLE = Identity("s", "V770012", "90001234", "770012", "TESTPATIENT^ALPHA", "1970-01-01", "F")
VISIT_ALONE = Identity("s", "V770012")
SITE = ChargeSite(
    sending_facility="NORTH",
    receiving_application="EHR",
    receiving_facility="HOSPITAL",
    assigning_authority="HOSPITAL",
    location="INFA",
    zone=ZoneInfo("America/New_York"),
    chairs={CapRef("cap-07", 1): "c12"},
    mode=Mode.LIVE,
)
FULL = msgspec.structs.replace(
    SITE,
    department="INFUSION",
    performer="88801",
    orderer="99901",
    charge_code="CDM4711",
    description="Cooling | after ^ infusion",
    kept=frozenset(PatientField),
)
DETAILED = msgspec.structs.replace(FULL, modifiers=("59", "GA"), filler_order_number=False)
DETAILS = Details(
    patient_class="R",
    attending=(Person("77701", "ATTENDING", "ANN", "HOSPITAL", "DN"),),
    orderers=(Person("99902", "ORDERER", "OLIVIA", "&1.2.840.1"), Person("1234567893", kind="NPI")),
    performers=(Person("rn-1"),),
    diagnoses=(Diagnosis("C50.912", "Cancer | breast", "I10C"), Diagnosis("Z51.11", "", "http://example.org/local")),
)
LONG = Person("9" * 40, "F" * 40, "G" * 30, "A" * 20 + "&" + "1." * 20 + "1", "NPI")
LONGEST_DETAILS = Details(
    patient_class="R",
    attending=(LONG,),
    orderers=(LONG,),
    performers=(Person("9" * 15),),
    diagnoses=(Diagnosis("9" * 20, "x" * 199, "I10C"),),
)
SPARSE = ChargeSite(ft1_4=ServiceTime.START, offset=False, credit_as=CreditForm.CG_NEGATIVE)
LONGEST = msgspec.structs.replace(
    FULL,
    **dict.fromkeys(("sending_application", "sending_facility", "receiving_application"), "X" * 20),
    **dict.fromkeys(("receiving_facility", "assigning_authority", "department", "location", "charge_code"), "X" * 20),
    **dict.fromkeys(("performer", "orderer"), "9" * 15),
    description="x" * 120,
)


def charge(
    name: str = "charge",
    site: ChargeSite = SITE,
    who: Identity = WHOLE,
    data: ChargeData | None = None,
    details: Details = NO_DETAILS,
) -> bytes:
    """The story's `charge` or `credit` as it is sent."""
    return charge_message(data or charge_data(name, mode=site.mode), who, site, RECORDED_US, details)


def observation(site: ChargeSite = SITE, who: Identity = WHOLE, at: ChartSample | None = None) -> bytes:
    """A sample of a cap of which one sensor is broken."""
    return observation_message(at or sample(), who, site)


def messages() -> dict[str, bytes]:
    """Every kind of message, with as much and as little known as there may be."""
    return {
        f"{name} {of}": charge(name, site, who, details=details)
        for name in ("charge", "credit")
        for of, site, who, details in (
            ("of a site", SITE, WHOLE, NO_DETAILS),
            ("with all that can be said", FULL, WHOLE, NO_DETAILS),
            ("with all that is stated, and every option", DETAILED, WHOLE, DETAILS),
            ("with the longest names", LONGEST, WHOLE, LONGEST_DETAILS),
            ("of a test gateway, of a visit alone", SPARSE, VISIT_ALONE, NO_DETAILS),
        )
    } | {
        "observation": observation(),
        "observation with all that can be said": observation(FULL),
        "observation of a test gateway, of a visit alone": observation(SPARSE, VISIT_ALONE),
    }


def lines(message: bytes) -> str:
    """The message with a segment a line, as files and pages show it."""
    return message.decode().replace("\r", "\n")


def samples() -> dict[str, str]:
    """What the page shows, by the names of its files."""
    shown = {"hl7_charge": charge(), "hl7_credit": charge("credit"), "hl7_observation": observation()}
    return {name: lines(message) for name, message in shown.items()}


if __name__ == "__main__":
    for name, text in samples().items():
        (MESSAGES / f"{name}.hl7").write_text(text)
