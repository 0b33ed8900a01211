"""The messages of a charge or credit, in every notation of the site; built once, so that repeats are byte-equal."""

from collections.abc import Iterator

import msgspec

from gateway.messages.cloudevents import Event, encode_event
from gateway.messages.details import NO_DETAILS, Details
from gateway.messages.identity import Identity
from gateway.messages.notation import Notation
from gateway.messages.outbound.ehr import ChargeData
from gateway.messages.outbound.fhir import charge_bundle
from gateway.messages.outbound.hl7_dft import charge_message
from gateway.messages.outbound.hl7_segments import control_id
from gateway.messages.outbound.site import ChargeSite


class ReleasedCharge(msgspec.Struct, frozen=True):
    """A charge or credit with everything that any notation needs."""

    event: Event
    data: ChargeData
    identity: Identity
    recorded_us: int
    details: Details = NO_DETAILS


class ChargeMessage(msgspec.Struct, frozen=True):
    """The message in one notation. `id` is its id in the outbox; a receipt names it or the charge's key."""

    form: Notation
    id: str
    payload: bytes


def charge_messages(site: ChargeSite, released: ReleasedCharge) -> Iterator[ChargeMessage]:
    """A message for each of the site's notations."""
    key = released.data.charge
    for form in site.formats:
        match form:
            case Notation.JSON:
                yield ChargeMessage(form, released.event.id, encode_event(released.event))
            case Notation.HL7:
                payload = charge_message(released.data, released.identity, site, released.recorded_us, released.details)
                yield ChargeMessage(form, control_id(key), payload)
            case Notation.FHIR:
                payload = charge_bundle(
                    released.data, released.identity, site, released.recorded_us, key, released.details
                )
                yield ChargeMessage(form, f"{key}.fhir", payload)
