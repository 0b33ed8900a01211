"""One charge or credit in every notation that the site wants, built once: what is sent again is the same bytes."""

from collections.abc import Iterator

import msgspec

from gateway.messages.cloudevents import Event, encode_event
from gateway.messages.identity import Identity
from gateway.messages.notation import Notation
from gateway.messages.outbound.ehr import ChargeData
from gateway.messages.outbound.fhir import charge_bundle
from gateway.messages.outbound.hl7_dft import charge_message
from gateway.messages.outbound.hl7_segments import control_id
from gateway.messages.outbound.site import ChargeSite


class ReleasedCharge(msgspec.Struct, frozen=True):
    """A charge or credit with all that any notation says of it."""

    event: Event
    data: ChargeData
    identity: Identity
    recorded_us: int


class ChargeMessage(msgspec.Struct, frozen=True):
    """One form of it. `id` is the outbox's; a receipt names the charge's key, or this id."""

    form: Notation
    id: str
    payload: bytes


def charge_messages(site: ChargeSite, released: ReleasedCharge) -> Iterator[ChargeMessage]:
    """A message for each of the site's formats."""
    key = released.data.charge
    for form in site.formats:
        match form:
            case Notation.JSON:
                yield ChargeMessage(form, released.event.id, encode_event(released.event))
            case Notation.HL7:
                payload = charge_message(released.data, released.identity, site, released.recorded_us)
                yield ChargeMessage(form, control_id(key), payload)
            case Notation.FHIR:
                payload = charge_bundle(released.data, site, released.recorded_us, key)
                yield ChargeMessage(form, f"{key}.fhir", payload)
