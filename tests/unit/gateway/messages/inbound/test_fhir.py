"""What a FHIR `MedicationAdministration` becomes, as R4 and as R5."""

import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted
from gateway.session import facts
from gateway.session.facts import AgentClass, AnyFact
from gateway.session.infusion import infusions
from tests.unit.gateway.messages.hl7_support import EHR_SITE, VISIT, accepted, facts_of, fhir, kinds, read, refusal
from tests.unit.gateway.messages.inbound.inbound_support import NOW, us
from tests.unit.gateway.messages.inbound.infusion_facts import END, KNOWN, POLICY, START

DONE, GOING = "medicationadministration_completed", "medicationadministration_in_progress"
LATER = "2026-03-10T15:20:00Z"


def period(end: str | None = None, start: str = "2026-03-10T13:30:00Z") -> dict[str, object]:
    return {"effectivePeriod": {"start": start} | ({"end": end} if end else {})}


def ends(*payloads: bytes) -> int | None:
    """When the infusion is over by all that is said, in this order of arrival."""
    read_facts: list[AnyFact] = []
    for number, payload in enumerate(payloads):
        answer = read(payload, KNOWN, NOW + number)
        assert isinstance(answer, Accepted)
        read_facts += answer.facts
    end = infusions(read_facts, POLICY).end
    return None if end is None else end.at_us


@pytest.mark.parametrize("release", ["r4", "r5"])
def test_it_starts_and_ends(release: str) -> None:
    assert kinds(fhir(f"{release}_{GOING}")) == ["InfusionStarted"]
    started, ended = facts_of(fhir(f"{release}_{DONE}"))
    assert isinstance(started, facts.InfusionStarted)
    assert (started.at_us, started.order, started.patient, started.admin, started.presumed) == (
        START,
        "RX55821",
        VISIT,
        AgentClass.CHEMO,
        False,
    )
    assert isinstance(ended, facts.InfusionEndCorrected)
    assert ended.new_end_us == END
    assert accepted(fhir(f"{release}_{DONE}")).identities == (
        Identity(VISIT, "V770012", "90001234", visit_authority="&urn:example:visit", mrn_authority="&urn:example:mrn"),
    )
    assert ends(fhir(f"{release}_{GOING}"), fhir(f"{release}_{DONE}")) == END


def test_the_latest_version_stands_however_they_arrive() -> None:
    first = fhir(f"r4_{DONE}", meta={"lastUpdated": "2026-03-10T15:02:00Z"})
    amended = fhir(f"r4_{DONE}", meta={"lastUpdated": "2026-03-10T17:09:00Z"}, **period(LATER))
    going = fhir(f"r4_{GOING}", meta={"lastUpdated": "2026-03-10T13:31:00Z"})
    for read_facts in ((going, first, amended), (amended, first, going), (first, going, amended, first)):
        assert ends(*read_facts) == us("2026-03-10T15:20:00+00:00")
    assert ends(first, fhir(f"r4_{GOING}", meta={"lastUpdated": "2026-03-10T16:00:00Z"})) is None, "it runs again"


@pytest.mark.parametrize("status", ["in-progress", "on-hold", "unknown"])
def test_what_is_not_over_has_no_end(status: str) -> None:
    assert ends(fhir(f"r4_{DONE}", status=status)) is None


def test_stopped_early_is_an_end() -> None:
    assert ends(fhir(f"r4_{DONE}", status="stopped")) == END


@pytest.mark.parametrize("release", ["r4", "r5"])
def test_an_end_that_is_not_clear_starts_no_count(release: str) -> None:
    name = "effectivePeriod" if release == "r4" else "occurencePeriod"
    for end in (None, "2026-03-10T13:30:00Z", "2026-03-10"):
        payload = fhir(f"{release}_{DONE}", **{name: {"start": "2026-03-10T13:30:00Z"} | ({"end": end} if end else {})})
        assert ends(payload) is None
    at = "effectiveDateTime" if release == "r4" else "occurenceDateTime"
    for status, instant in (("in-progress", "2026-03-10T13:30:00Z"), ("stopped", "2026-03-10T13:30:00Z")):
        assert kinds(fhir(f"{release}_{DONE}", status=status, **{name: None, at: instant})) == ["InfusionStarted"]


@pytest.mark.parametrize("release", ["r4", "r5"])
def test_a_dose_of_one_instant_starts_and_ends_there(release: str) -> None:
    name, at = ("effectivePeriod", "effectiveDateTime") if release == "r4" else ("occurencePeriod", "occurenceDateTime")
    assert ends(fhir(f"{release}_{DONE}", **{name: None, at: "2026-03-10T13:30:00Z"})) == START


@pytest.mark.parametrize("status", ["entered-in-error", "not-done"])
def test_what_is_taken_back_leaves_no_end_and_work_for_a_person(status: str) -> None:
    payload = fhir(f"r4_{DONE}", status=status)
    assert kinds(payload) == ["InfusionEndVoided"], "what it takes back may still come"
    assert kinds(payload, KNOWN) == ["InfusionEndVoided", "WorkRaised"]
    assert ends(fhir(f"r4_{DONE}"), payload) is None


def test_drug_codes_become_classes() -> None:
    saline = fhir(f"r4_{GOING}", medicationCodeableConcept={"coding": [{"code": "x"}, {"code": "Saline"}]})
    assert getattr(facts_of(saline)[0], "admin", None) is AgentClass.HYDRATION
    unknown = accepted(fhir(f"r4_{GOING}", medicationCodeableConcept={"text": "Secret drug"}))
    assert getattr(unknown.facts[0], "presumed", None) is True
    assert "Secret" not in unknown.note


def test_the_order_is_the_requests_else_its_own_identifier() -> None:
    def order(**changes: object) -> str:
        return getattr(facts_of(fhir(f"r4_{GOING}", **changes))[0], "order", "")

    assert order() == "RX55821"
    assert order(request=None) == "RX55821-1"
    assert order(request=None, identifier=None) == "ma-1"
    assert refusal(fhir(f"r4_{GOING}", request=None, identifier=None, id=None)).startswith("rejected bad-data: request")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"context": None}, "rejected no-visit: context or encounter"),
        ({"context": {"reference": "Encounter/1"}}, "rejected no-visit: context or encounter"),
        ({"context": {"identifier": {"value": "x" * 65}}}, "rejected bad-data: context.identifier.value: too long"),
        ({"status": "charged"}, "rejected bad-data: status"),
        ({"status": None}, "rejected bad-data: status"),
        ({"effectivePeriod": None}, "rejected bad-time: effectivePeriod"),
        (period("yesterday"), "rejected bad-time: effectivePeriod.end: no date"),
        (period("2026-03-10T15:00:00"), "rejected bad-time: effectivePeriod.end: the offset is missing"),
        (period("2026-03-10T13:00:00Z"), "rejected bad-time: effectivePeriod.end: before"),
        ({"effectivePeriod": {"start": 7}}, "rejected bad-time: effectivePeriod.start"),
        ({"resourceType": "Patient"}, "ignored not-used: resourceType"),
    ],
)
def test_what_cannot_be_meant_says_what_to_mend(changes: dict[str, object], says: str) -> None:
    assert refusal(fhir(f"r4_{DONE}", **changes)).startswith(says)


def test_a_message_is_named_by_its_resource_and_its_content() -> None:
    one, other = accepted(fhir(f"r4_{GOING}")).message_id, accepted(fhir(f"r4_{DONE}")).message_id
    assert one != other
    assert one.startswith("MedicationAdministration/ma-1|")
    assert accepted(fhir(f"r4_{GOING}"), EHR_SITE).message_id == one
