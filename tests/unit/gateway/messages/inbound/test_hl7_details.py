"""What HL7 messages state of a visit and its orders for charges: only what the site asks for, and nothing chosen."""

from collections.abc import Iterable

import msgspec
import pytest

from gateway.messages.details import About, Detail, Details, Diagnosis, Person, Stated
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted, FieldRead, ReaderSite
from gateway.messages.inbound.dispatch import read_message
from tests.unit.gateway.messages.hl7_support import EHR_SITE, VISIT, WORDS, hl7, knowing
from tests.unit.gateway.messages.inbound.inbound_support import NOW

STAFF = "77701^ATTENDING^ANN^^^^^^NORTH&1.2.3&ISO^^^^DN~77701X"
ORDERERS = "99902^ORDERER^OLIVIA^^^^^^NORTH~1234567893^^^^^^^^^^^^NPI"


def ward(details: Iterable[Detail] = Detail) -> ReaderSite:
    return msgspec.structs.replace(EHR_SITE, words=msgspec.structs.replace(WORDS, details=frozenset(details)))


def told(payload: bytes, site: ReaderSite | None = None) -> dict[tuple[About, str], Details]:
    read, _ = read_message(payload, NOW, site or ward())
    assert isinstance(read, Accepted), read
    assert {each.subject for each in read.details} <= {VISIT}
    return {(each.about, each.name): each.details for each in read.details}


def with_lines(payload: bytes, after: str, *lines: str) -> bytes:
    segments = payload.decode().split("\r")
    at = 1 + max(index for index, each in enumerate(segments) if each.startswith(after))
    return "\r".join([*segments[:at], *lines, *segments[at:]]).encode()


def test_the_mar_states_the_visit_and_who_ordered() -> None:
    message = hl7("ras_o17_complete", PV1_2="R", PV1_7=STAFF, ORC_12=ORDERERS)
    assert told(message) == {
        (About.VISIT, ""): Details(
            patient_class="R",
            attending=(Person("77701", "ATTENDING", "ANN", "NORTH&1.2.3", "DN"), Person("77701X")),
        ),
        (About.ORDER, "RX55821"): Details(
            orderers=(Person("99902", "ORDERER", "OLIVIA", "NORTH"), Person("1234567893", kind="NPI"))
        ),
    }


def test_diagnoses_are_all_that_stand_there_each_with_whom_they_stand() -> None:
    message = hl7("ras_o17_complete", PV1_2="", PV1_7="", ORC_12="")
    message = with_lines(message, "PV1", "DG1|1||C50.912^Cancer^I10C|||W", "DG1|2||Z17.0^^I10C|||F")
    message = with_lines(message, "RXA", "DG1|1||Z51.11^Chemotherapy^I10C^77^other^L")
    assert told(message) == {
        (About.VISIT, ""): Details(diagnoses=(Diagnosis("C50.912", "Cancer", "I10C"), Diagnosis("Z17.0", "", "I10C"))),
        (About.ORDER, "RX55821"): Details(diagnoses=(Diagnosis("Z51.11", "Chemotherapy", "I10C"),)),
    }


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("DG1|1|I9|174.9|Cancer of old", Diagnosis("174.9", "Cancer of old", "I9")),
        ("DG1|1||C50.1^Cancer^I10C|||F|||||||||||||||D", None),
        ("DG1|1||^no code", None),
        ('DG1|1||""', None),
        ("DG1|1||" + "9" * 21, None),
    ],
)
def test_a_diagnosis_without_a_usable_code_or_taken_back_is_none(line: str, read: Diagnosis | None) -> None:
    message = with_lines(hl7("adt_a04_register", PV1_2="", PV1_7=""), "PV1", line)
    assert told(message) == ({} if read is None else {(About.VISIT, ""): Details(diagnoses=(read,))})


@pytest.mark.parametrize("kind", ["adt_a04_register", "adt_a08_update"])
def test_registration_and_update_state_the_visit(kind: str) -> None:
    assert told(hl7(kind, PV1_2="R", PV1_7="77701")) == {
        (About.VISIT, ""): Details(patient_class="R", attending=(Person("77701"),))
    }


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        (Detail.PATIENT_CLASS, Stated(VISIT, About.VISIT, "", Details(patient_class="R"))),
        (Detail.ATTENDING, Stated(VISIT, About.VISIT, "", Details(attending=(Person("77701"),)))),
        (Detail.VISIT_DIAGNOSIS, Stated(VISIT, About.VISIT, "", Details(diagnoses=(Diagnosis("C50.1"),)))),
        (Detail.DIAGNOSIS, Stated(VISIT, About.ORDER, "RX55821", Details(diagnoses=(Diagnosis("Z51.11"),)))),
        (Detail.ORDERER, Stated(VISIT, About.ORDER, "RX55821", Details(orderers=(Person("99902"),)))),
        (Detail.PERFORMER, None),
        (Detail.DEVICE, None),
    ],
)
def test_only_what_the_site_asks_for_is_taken_of_what_is_read(detail: Detail, kept: Stated | None) -> None:
    message = hl7("ras_o17_complete", PV1_2="R", PV1_7="77701", ORC_12="99902")
    message = with_lines(with_lines(message, "PV1", "DG1|1||C50.1"), "RXA", "DG1|1||Z51.11")
    fields: list[FieldRead] = []
    read, _ = read_message(message, NOW, ward([detail]), fields)
    assert isinstance(read, Accepted)
    assert read.details == (() if kept is None else (kept,))
    stated = {Detail.PATIENT_CLASS, Detail.ATTENDING, Detail.VISIT_DIAGNOSIS, Detail.ORDERER, Detail.DIAGNOSIS}
    assert {each.detail for each in fields if each.detail is not None} == stated
    assert isinstance(plain := read_message(message, NOW, EHR_SITE)[0], Accepted)
    assert plain == msgspec.structs.replace(read, details=())


def test_what_is_too_long_costs_itself_alone() -> None:
    staff = f"{'9' * 41}^LONG~77702^{'F' * 41}^{'G' * 31}^^^^^^{'A' * 65}~^NAMELESS"
    message = hl7("ras_o17_complete", PV1_2="O" * 21, PV1_7=staff, ORC_12="")
    assert told(message) == {(About.VISIT, ""): Details(attending=(Person("77702"), Person("", "NAMELESS")))}


@pytest.mark.parametrize("trigger", ["A08", "A31"])
def test_an_update_of_the_person_states_nothing_of_the_visit(trigger: str) -> None:
    known = Identity(VISIT, "V770012", "90001234")
    site = knowing(ward(), known)
    update = hl7("adt_a08_update", MSH_9=f"ADT^{trigger}", PV1_2="I", PV1_3="", PV1_19="", PID_18="")
    read, _ = read_message(update, NOW, site)
    assert isinstance(read, Accepted)
    assert [each.subject for each in read.identities] == [VISIT]
    assert read.details == ()
    assert told(hl7("adt_a08_update", MSH_9=f"ADT^{trigger}", PV1_2="I"), site)[About.VISIT, ""].patient_class == "I"


def test_two_patients_in_one_message_state_nothing() -> None:
    swapped = hl7("adt_a04_register", MSH_9="ADT^A17").decode().split("\r")[:-1]
    other = [line.replace("V770012", "V880012").replace("90001234", "80001234") for line in swapped[2:]]
    read, _ = read_message("\r".join([*swapped, *other, ""]).encode(), NOW, ward())
    assert getattr(read, "details", ()) == ()
