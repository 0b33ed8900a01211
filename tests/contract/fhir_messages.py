"""FHIR messages of one story, as the product builds them: for validators and for docs/reference/messages.md.

`python -m tests.contract.fhir_messages` writes tests/data/messages/fhir_*.json; tests.contract.message_samples then
writes them into the page.
"""

import json
from typing import Any, cast

import msgspec

from drivers.reading import Measurement, Quality, Reason
from gateway.messages.details import NO_DETAILS, Detail, Details, Diagnosis, Person
from gateway.messages.identity import Identity
from gateway.messages.notation import Mode
from gateway.messages.outbound.ehr import ChargeData, Device
from gateway.messages.outbound.fhir import ChartSample, charge_bundle, observation_bundle
from gateway.messages.outbound.site import ChargeSite, FhirRelease
from tests.contract.message_samples import MESSAGES, TOKEN, built, us

Json = dict[str, Any]

RECORDED_US = us("18:00:01")
BARE = Identity("s", "V770012")
KNOWN = Identity("s", "V770012", mrn="90001234", account="770012")
NAMED = ChargeSite(mrn_system="urn:example:mrn", visit_system="urn:example:visit", account_system="urn:example:account")
DETAILS = Details(
    performers=(Person("rn-1"),),
    diagnoses=(Diagnosis("C50.912", "Cancer, breast", "I10C"), Diagnosis("X1", "Of the house", "99LOCAL")),
)


def charge_data(name: str = "charge", mode: Mode = Mode.LIVE) -> ChargeData:
    """The story's `charge` or `credit`."""
    data = msgspec.json.decode(built()[name], type=Json)["data"]
    return msgspec.structs.replace(msgspec.convert(data, ChargeData), mode=mode)


def charge(
    name: str = "charge",
    who: Identity = KNOWN,
    mode: Mode = Mode.LIVE,
    site: ChargeSite = NAMED,
    details: Details = NO_DETAILS,
) -> Json:
    """The same of this patient, as the Bundle that is sent."""
    data = charge_data(name, mode)
    return cast(Json, json.loads(charge_bundle(data, who, site, RECORDED_US, data.charge, details)))


def observation(who: Identity = KNOWN, mode: Mode = Mode.LIVE, site: ChargeSite = NAMED) -> Json:
    """The sample as the Bundle that is sent."""
    seen = sample(mode)
    return cast(Json, json.loads(observation_bundle(seen, who, site, us("15:05:01"), seen.key)))


def sample(mode: Mode = Mode.LIVE) -> ChartSample:
    """A sample of a cap of which one sensor is broken."""
    return ChartSample(
        session=TOKEN,
        device=Device("cap-07", 1, "CU-20417"),
        at_us=us("15:05:00.400"),
        temperatures={
            "coolant_supply": Measurement(-3.8, "Cel"),
            "cap_front": Measurement(None, "Cel", Quality.BAD, Reason.SENTINEL),
        },
        mode=mode,
    )


def detailed(release: FhirRelease = FhirRelease.R4) -> ChargeSite:
    """A site that has charges say all that they can."""
    return msgspec.structs.replace(
        NAMED,
        fhir_release=release,
        description="Cooling after infusion, 30 min",
        details=frozenset(Detail),
        cost_center="4711",
        performing_organization="INFUSION",
        staff_system="urn:example:staff",
        organization_system="urn:example:organization",
    )


def messages(release: FhirRelease) -> dict[str, Json]:
    """Every kind of message, with as much and as little known as there may be."""
    site = msgspec.structs.replace(NAMED, fhir_release=release, description="Cooling after infusion, 30 min")
    unnamed = ChargeSite(fhir_release=release, kept=frozenset())
    plain = ChargeSite(fhir_release=release)
    every = detailed(release)
    return {
        "charge with every option": charge(site=every, details=DETAILS),
        "credit with every option": charge("credit", site=every, details=DETAILS),
        "charge of a test gateway, of a visit alone, with every option": charge(
            who=BARE, mode=Mode.TEST, site=every, details=DETAILS
        ),
        "charge of which nothing is stated, with every option": charge(site=every),
        "charge": charge(site=site),
        "credit": charge("credit", site=site),
        "charge of a visit alone": charge(who=BARE, site=site),
        "charge of numbers that nobody is known to have assigned": charge(site=plain),
        "charge of a test gateway": charge(mode=Mode.TEST, site=site),
        "charge by the visit alone": charge(site=unnamed),
        "observation": observation(site=site),
        "observation of a test gateway, of a visit alone": observation(BARE, Mode.TEST, site),
    }


def samples() -> dict[str, str]:
    """What the page shows, by the names of its files."""
    shown = {"fhir_charge": charge(), "fhir_credit": charge("credit"), "fhir_observation": observation()}
    return {name: json.dumps(bundle, indent=2) + "\n" for name, bundle in shown.items()}


if __name__ == "__main__":
    for name, text in samples().items():
        (MESSAGES / f"{name}.json").write_text(text)
