"""Charges and credits as DFT^P03, byte for byte, and what a site may change in them."""

from datetime import UTC

import msgspec
import pytest

from gateway.messages.identity import Identity
from gateway.messages.outbound.ehr import Device
from gateway.messages.outbound.site import ChargeSite, CreditForm, ServiceTime
from gateway.messages.vocabulary import PatientField
from tests.contract.fhir_messages import charge_data
from tests.contract.hl7_messages import DETAILS, FULL, SITE, VISIT_ALONE, WHOLE, charge, lines

CHARGE = [
    r"MSH|^~\&|CAPGATE|NORTH|EHR|HOSPITAL|20260310140001-0400||DFT^P03^DFT_P03|CG9RX2M7KQ400A|P|2.5.1"
    "|||NE|AL||UNICODE UTF-8",
    "EVN|P03|20260310140001-0400||||20260310123500-0400",
    "PID|1||90001234^^^HOSPITAL^MR||TESTPATIENT^ALPHA||19700101|F||||||||||770012^^^HOSPITAL^AN",
    "PV1|1|O|INFA^^c12||||||||||||||||V770012^^^HOSPITAL^VN",
    r"FT1|1|9RX2M7KQ400A||20260310112000-0400^20260310123500-0400|20260310140001-0400|CG"
    r"|CDM4711^Cooling \F\ after \S\ infusion^L|||2|||INFUSION|||INFA^^c12||||88801|99901"
    r"||9RX2M7KQ400A^CAPGATE||97009^^C4",
]
CREDIT_FT1 = (
    "FT1|1|9RX2M7KQ4A0A||20260310112000-0400^20260310123500-0400|20260310140001-0400|CD|97009^^C4"
    "|REVERSES 9RX2M7KQ400A||2||||||INFA^^c12|||||||9RX2M7KQ400A^CAPGATE||97009^^C4"
)


def field(message: bytes, name: str, number: int) -> str:
    """A field, by no reader but the separators."""
    (line,) = (line for line in message.decode().split("\r") if line.startswith(name))
    fields = line.split("|")
    at = number - (1 if name == "MSH" else 0)
    return fields[at] if at < len(fields) else ""


def test_a_charge_says_all_that_a_site_may_have_it_say() -> None:
    message = charge(site=FULL)
    assert lines(message).splitlines() == CHARGE
    assert b"\n" not in message


def test_a_credit_names_its_charge_and_shares_its_number() -> None:
    assert lines(charge("credit")).splitlines()[-1] == CREDIT_FT1


def test_keys_fit_the_fields_of_the_standard() -> None:
    for name in ("charge", "credit"):
        message = charge(name)
        lengths = {("MSH", 10): 20, ("FT1", 2): 12, ("FT1", 23): 22, ("FT1", 8): 40}
        assert all(len(field(message, *place)) <= most for place, most in lengths.items())


def test_who_it_is_says_no_more_than_the_site_sends() -> None:
    bare = msgspec.structs.replace(SITE, kept=frozenset())
    message = charge(site=bare)
    assert lines(message).splitlines()[2:4] == [
        "PID|1||V770012^^^HOSPITAL^VN||^^^^^^U",
        "PV1|1|O|INFA^^c12||||||||||||||||V770012^^^HOSPITAL^VN",
    ]
    named = msgspec.structs.replace(SITE, kept=frozenset({PatientField.NAME}))
    assert field(charge(site=named), "PID", 5) == "TESTPATIENT^ALPHA"
    assert field(charge(site=named), "PID", 7) == ""


@pytest.mark.parametrize(
    ("fhir_sex", "written"), [("F", "F"), ("female", "F"), ("Male", "M"), ("other", "O"), ("unknown", "U"), ("A", "A")]
)
def test_a_sex_that_fhir_told_is_written_as_hl7_has_it(fhir_sex: str, written: str) -> None:
    assert field(charge(site=FULL, who=msgspec.structs.replace(WHOLE, sex=fhir_sex)), "PID", 8) == written


def test_without_a_record_number_the_account_stands_in_its_place() -> None:
    assert field(charge(who=Identity("s", "V1", account="770012")), "PID", 3) == "770012^^^HOSPITAL^AN"
    assert field(charge(who=VISIT_ALONE), "PID", 3) == "V770012^^^HOSPITAL^VN"


def test_a_credit_may_be_a_charge_below_zero() -> None:
    negative = msgspec.structs.replace(SITE, credit_as=CreditForm.CG_NEGATIVE)
    credit, plain = charge("credit", negative), charge("charge", negative)
    assert (field(credit, "FT1", 6), field(credit, "FT1", 10)) == ("CG", "-2")
    assert (field(plain, "FT1", 6), field(plain, "FT1", 10)) == ("CG", "2")


def test_times_may_lack_an_offset_and_an_end() -> None:
    site = msgspec.structs.replace(SITE, offset=False, ft1_4=ServiceTime.START)
    assert field(charge(site=site), "FT1", 4) == "20260310112000"
    utc = msgspec.structs.replace(SITE, zone=UTC)
    assert field(charge(site=utc), "FT1", 4) == "20260310152000+0000^20260310163500+0000"


def test_what_is_stated_takes_the_place_of_constants() -> None:
    message = charge(details=DETAILS)
    assert [field(message, "PV1", 2), field(message, "PV1", 7)] == ["R", "77701^ATTENDING^ANN^^^^^^HOSPITAL^^^^DN"]
    assert field(message, "FT1", 19) == r"C50.912^Cancer \F\ breast^I10C~Z51.11"
    assert field(message, "FT1", 20) == "rn-1"
    assert field(message, "FT1", 21) == "99902^ORDERER^OLIVIA^^^^^^&1.2.840.1&ISO~1234567893^^^^^^^^^^^^NPI"
    for name in ("charge", "credit"):
        stated, alone = charge(name, FULL, details=DETAILS), charge(name, FULL)
        places = [("PV1", 2), ("PV1", 7), ("FT1", 19), ("FT1", 20), ("FT1", 21)]
        assert [field(stated, *at) for at in places] == [field(message, *at) for at in places]
        assert [field(alone, *at) for at in places] == ["O", "", "", "88801", "99901"]


def test_modifiers_are_those_of_the_site_each_a_repetition() -> None:
    for name in ("charge", "credit"):
        assert field(charge(name, msgspec.structs.replace(SITE, modifiers=("59", "GA"))), "FT1", 26) == "59~GA"


def test_the_filler_order_number_can_be_left_out_of_charges_and_credits() -> None:
    site = msgspec.structs.replace(SITE, filler_order_number=False)
    assert [field(charge(name, site), "FT1", 23) for name in ("charge", "credit")] == ["", ""]
    assert field(charge("credit", site), "FT1", 8) == "REVERSES 9RX2M7KQ400A"


def test_a_test_gateway_says_so() -> None:
    assert field(charge(site=ChargeSite()), "MSH", 11) == "T"
    assert field(charge(), "MSH", 11) == "P"


def test_the_place_is_that_of_the_cap_that_cooled_last() -> None:
    data = charge_data()
    moved = msgspec.structs.replace(data, devices=(*data.devices, Device("cap-08", 2)))
    assert field(charge(data=moved), "FT1", 16) == "INFA"


def test_the_same_charge_is_the_same_bytes() -> None:
    assert charge(site=FULL) == charge(site=FULL)
