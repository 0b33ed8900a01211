"""From the tables [charges] and [observations] to what is sent to the EHR, and how it is written."""

from collections.abc import Iterable
from datetime import UTC
from zoneinfo import ZoneInfo

import msgspec

from gateway.config.lines import UnitSpec
from gateway.config.problems import Problems
from gateway.config.tables import ChargesTable, GatewayTable, ObservationsTable
from gateway.messages.notation import Notation
from gateway.messages.outbound.site import ChargeSite
from gateway.session.facts import CapRef


class OutboundPlan(msgspec.Struct, frozen=True):
    """How charges are sent, and temperatures where a site charts them."""

    site: ChargeSite = ChargeSite()
    observations: tuple[Notation, ...] = ()
    period_s: int = 60  # between two observations of one cap


JSON_ALONE = OutboundPlan()


def resolve_outbound(
    problems: Problems,
    charges: ChargesTable,
    observations: ObservationsTable,
    gateway: GatewayTable,
    units: Iterable[UnitSpec],
    time_zone: ZoneInfo | None,
) -> OutboundPlan:
    """The plan; what contradicts itself is found as an error."""
    if not charges.offset and time_zone is None:
        message = "times without an offset need a zone, accepted: true, or false together with gateway.time_zone"
        problems.error(("charges", "offset"), message)
    site = ChargeSite(
        formats=tuple(dict.fromkeys(charges.formats)),
        sending_application=charges.sending_application,
        sending_facility=charges.sending_facility,
        receiving_application=charges.receiving_application,
        receiving_facility=charges.receiving_facility,
        assigning_authority=charges.assigning_authority,
        department=charges.department,
        location=charges.location,
        performer=charges.performer,
        orderer=charges.orderer,
        charge_code=charges.charge_code,
        description=charges.description,
        credit_as=charges.credit_as,
        ft1_4=charges.ft1_4,
        offset=charges.offset,
        zone=time_zone or UTC,
        fhir_release=charges.fhir_release,
        mrn_system=charges.mrn_system,
        visit_system=charges.visit_system,
        account_system=charges.account_system,
        kept=frozenset(charges.patient),
        chairs={CapRef(unit.id, cap): chair for unit in units for cap, chair in unit.chairs.items()},
        mode=gateway.mode,
    )
    return OutboundPlan(site, tuple(dict.fromkeys(observations.formats)), observations.period_s)
