"""The tables [charges] and [observations]: what is sent to the EHR and how, and what contradicts itself."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.config.load import examine, load_config
from gateway.messages.details import Detail
from gateway.messages.notation import Mode, Notation
from gateway.messages.outbound.site import ChargeSite, CreditForm, FhirRelease, OutboundPlan, ServiceTime
from gateway.session.facts import CapRef
from tests.support.ehr_config import errors, written

CHAIRS = {CapRef("cap-01", 1): "c01", CapRef("cap-01", 2): "c02"}


def plan(folder: Path, tables: str) -> OutboundPlan:
    return load_config(written(folder, tables)).outbound


def test_without_tables_charges_are_json_alone_and_nothing_is_charted(tmp_path: Path) -> None:
    assert plan(tmp_path, "") == OutboundPlan(ChargeSite(chairs=CHAIRS, mode=Mode.TEST))


def test_every_key_reaches_the_messages(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
[charges]
formats = ["json", "hl7", "fhir", "hl7"]
sending_application = "A"
sending_facility = "B"
receiving_application = "C"
receiving_facility = "D"
assigning_authority = "E"
department = "F"
location = "G"
performer = "1"
orderer = "2"
charge_code = "H"
description = "I"
credit_as = "CG-negative"
ft1_4 = "start"
offset = false
fhir_release = "R5"
mrn_system = "urn:oid:1.2"
visit_system = "https://north.example/visit"
account_system = "urn:a"
modifiers = ["59", "GA"]
details = ["orderer", "diagnosis", "orderer"]
staff_system = "urn:s"
filler_order_number = false
cost_center = "J"
performing_organization = "K"
organization_system = "urn:o"
patient = []
[observations]
formats = ["hl7"]
period_s = 30
""",
    )
    path.write_text(path.read_text().replace("state_dir", 'time_zone = "America/New_York"\nstate_dir', 1))
    assert load_config(path).outbound == OutboundPlan(
        ChargeSite(
            formats=(Notation.JSON, Notation.HL7, Notation.FHIR),
            sending_application="A",
            sending_facility="B",
            receiving_application="C",
            receiving_facility="D",
            assigning_authority="E",
            department="F",
            location="G",
            performer="1",
            orderer="2",
            charge_code="H",
            description="I",
            credit_as=CreditForm.CG_NEGATIVE,
            ft1_4=ServiceTime.START,
            offset=False,
            zone=ZoneInfo("America/New_York"),
            fhir_release=FhirRelease.R5,
            mrn_system="urn:oid:1.2",
            visit_system="https://north.example/visit",
            account_system="urn:a",
            modifiers=("59", "GA"),
            details=frozenset({Detail.ORDERER, Detail.DIAGNOSIS}),
            staff_system="urn:s",
            filler_order_number=False,
            cost_center="J",
            performing_organization="K",
            organization_system="urn:o",
            kept=frozenset(),
            chairs=CHAIRS,
        ),
        (Notation.HL7,),
        30,
    )


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ("[charges]\nformats = []", "charges.formats"),
        ('[charges]\nformats = ["xml"]', "charges.formats"),
        ("[charges]\noffset = false", "charges.offset: times without an offset need a zone"),
        ('[charges]\ndepartment = "a name of more than twenty"', "charges.department"),
        ('[charges]\nsending_application = ""', "charges.sending_application"),
        ('[charges]\nperformer = "1234567890123456"', "charges.performer"),
        ('[charges]\ndescription = "a\\rb"', "charges.description"),
        ('[charges]\nmrn_system = "mrn"', "charges.mrn_system"),
        ('[charges]\ndetails = ["drug"]', "charges.details"),
        ('[charges]\nmodifiers = ["59", "0^"]', "charges.modifiers[1]: not of the right form"),
        ('[receipts]\nexpected = "hl7"', "receipts.expected: charges.formats has no hl7"),
        (
            '[receipts]\nexpected = "json"\n[charges]\nformats = ["hl7"]',
            "charges.formats has no json",
        ),
        ('[observations]\nformats = ["json"]', "observations.formats"),
        ("[observations]\nperiod_s = 1", "observations.period_s"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, tables: str, said: str) -> None:
    (problem, *_) = errors(tmp_path, tables).splitlines()
    assert said in problem
    assert examine(written(tmp_path, tables)).config is None
