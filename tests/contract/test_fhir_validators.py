"""FHIR messages are valid for whoever reads them: three validators that others wrote, and what all of them miss."""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import fhir.resources as fhir_r5
import pytest
from fhir.resources import R4B as FHIR_R4B

from gateway.messages.outbound.site import FhirRelease
from tests.contract.fhir_messages import messages

Json = dict[str, Any]

CHECK = Path(__file__).parents[1] / "node" / "fhir_check.mjs"
STATUSES = {"planned", "billable", "not-billable", "aborted", "billed", "entered-in-error", "unknown"}
SERVICES = {  # R4, ChargeItem.service
    "DiagnosticReport",
    "ImagingStudy",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "Observation",
    "Procedure",
    "SupplyDelivery",
}
BACKWARDS = {"start": "2026-03-10T17:00:00Z", "end": "2026-03-10T16:00:00Z"}
MUTATIONS: dict[str, Callable[[Json], object]] = {
    "a status that is not in the set": lambda item: item.update(status="charged"),
    "no subject": lambda item: item.pop("subject"),
    "no code": lambda item: item.pop("code"),
    "a start that is no instant": lambda item: item.update(occurrencePeriod={"start": "10 March 2026"}),
    "an element that does not exist": lambda item: item.update(increments=3),
    "two choices of one element": lambda item: item.update(occurrenceDateTime="2026-03-10T16:00:00Z"),
    "a quantity that is text": lambda item: item.update(quantity={"value": "1"}),
    "the encounter of R5": lambda item: item.update(encounter={"reference": "Encounter/x"}),
    "a service that is a patient": lambda item: item.update(service=[{"reference": "Patient/x"}]),
    "an end before the start": lambda item: item.update(occurrencePeriod=BACKWARDS),
    "an empty list": lambda item: item.update(code={"coding": [], "text": "x"}),
    "a null": lambda item: item.update(enteredDate=None),
    "a type that does not exist": lambda item: item.update(resourceType="ChargeItems"),
}
R4 = messages(FhirRelease.R4)
R5 = messages(FhirRelease.R5)


def mutated(name: str) -> Json:
    item = copy.deepcopy(R4["charge"]["entry"][0]["resource"])
    MUTATIONS[name](item)
    return item


@cache
def node_verdicts() -> dict[str, list[str]]:
    """What the two Node validators find, by case; one run for all."""
    cases = R4 | {name: mutated(name) for name in MUTATIONS}
    run = subprocess.run(
        ["node", CHECK], input=json.dumps(cases), capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return cast(dict[str, list[str]], json.loads(run.stdout))


def library_verdict(release: FhirRelease, resource: Json) -> list[str]:
    """What fhir.resources finds; it has R4B for R4."""
    library = cast(Any, FHIR_R4B if release is FhirRelease.R4 else fhir_r5)
    try:
        library.get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValueError as error:  # the library's ValidationError too
        return [f"fhir.resources: {error}"]
    return []


def own_verdict(resource: Json) -> list[str]:
    """What the validators miss."""
    found = [f"{path}: empty" for path, value in walk(resource) if value in ([], {}, "", None)]
    kinds = {each["fullUrl"]: each["resource"]["resourceType"] for each in resource.get("entry", [])}
    references = {path: value for path, value in walk(resource) if path.endswith(".reference")}
    inside = {path: value for path, value in references.items() if str(value).startswith("urn:uuid:")}
    found += [f"{path}: leads nowhere" for path, value in inside.items() if value not in kinds]
    for path, part in walk(resource):
        if not isinstance(part, dict):
            continue
        part = cast(Json, part)
        if {"start", "end"} <= part.keys() and instant(part["end"]) < instant(part["start"]):
            found.append(f"{path}: ends before it starts")
        if part.get("resourceType") == "ChargeItem":
            found += [f"{path}: such a status is not in the set"] if part.get("status") not in STATUSES else []
            targets = [value for _, value in walk(part.get("service")) if isinstance(value, str)]  # R5 nests them
            served = {kinds.get(target, target.split("/")[0]) for target in targets}
            found += [f"{path}: serves {kind}" for kind in served - SERVICES]
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    yield path, value
    if isinstance(value, dict):
        for name, part in cast(Json, value).items():
            yield from walk(part, f"{path}.{name}")
    elif isinstance(value, list):
        for index, part in enumerate(cast(list[object], value)):
            yield from walk(part, f"{path}[{index}]")


@pytest.mark.parametrize("name", R4)
def test_a_message_in_r4_is_valid_for_everybody(name: str) -> None:
    assert node_verdicts()[name] + library_verdict(FhirRelease.R4, R4[name]) + own_verdict(R4[name]) == []


@pytest.mark.parametrize("name", R5)
def test_a_message_in_r5_is_valid_for_everybody(name: str) -> None:
    assert library_verdict(FhirRelease.R5, R5[name]) + own_verdict(R5[name]) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_charge_is_rejected_by_at_least_one(name: str) -> None:
    item = mutated(name)
    assert node_verdicts()[name] + library_verdict(FhirRelease.R4, item) + own_verdict(item) != []


def test_each_validator_finds_something() -> None:
    by = {found.split(":")[0] for name in MUTATIONS for found in node_verdicts()[name]}
    assert by == {"medplum", "schema"}
    assert sum(library_verdict(FhirRelease.R4, mutated(name)) != [] for name in MUTATIONS) >= 6
    assert sum(own_verdict(mutated(name)) != [] for name in MUTATIONS) >= 4


def test_a_charge_of_r5_is_none_of_r4() -> None:
    (entry,) = R5["charge"]["entry"]
    assert library_verdict(FhirRelease.R4, entry["resource"]) != []
