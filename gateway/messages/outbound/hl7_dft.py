"""A charge or credit as HL7 2.5.1 `DFT^P03`, one transaction a message. Pure.

A key has 12 characters because FT1-2 has; MSH-10 has 20, FT1-23 has 22. FT1-23 is equal on a charge and on its credit:
no other field of 2.5.1 links them. FT1-8 has the same in words; it is withdrawn from 2.7 on.
"""

from gateway.messages.details import NO_DETAILS, Details
from gateway.messages.hl7v2 import Segment, Value, encode, segment
from gateway.messages.identity import Identity
from gateway.messages.instants import read_instant
from gateway.messages.outbound.code_systems import hl7_system
from gateway.messages.outbound.ehr import ChargeData
from gateway.messages.outbound.hl7_segments import header, patient, persons, visit
from gateway.messages.outbound.site import CPT_CODE, ChargeSite, CreditForm, ServiceTime
from gateway.session.facts import CapRef

_KIND = ("DFT", "P03", "DFT_P03")
_CPT = "C4"  # CPT in HL7 table 0396
_LOCAL = "L"  # a code of the site's own in the same table
_NAMESPACE = "CAPGATE"  # of FT1-23


def charge_message(
    charge: ChargeData, identity: Identity, site: ChargeSite, at_us: int, details: Details = NO_DETAILS
) -> bytes:
    """The message of `charge`, recorded at `at_us`."""
    who, device = site.shown(identity), charge.devices[-1]
    place = site.place(CapRef(device.unit, device.cap))
    recorded = site.hl7_time(at_us)
    return encode(
        [
            header(site, _KIND, charge.charge, at_us, {12: "2.5.1", 15: "NE", 16: "AL"}),
            segment("EVN", {1: "P03", 2: recorded, 6: _time(site, charge.end)}),
            patient(site, who),
            visit(site, who, place, details),
            _transaction(charge, site, recorded, place, details),
        ]
    )


def _transaction(
    charge: ChargeData, site: ChargeSite, recorded: str, place: tuple[str, ...], details: Details
) -> Segment:
    start, end = _time(site, charge.start), _time(site, charge.end)
    credit = charge.reverses is not None
    negative = credit and site.credit_as is CreditForm.CG_NEGATIVE
    code = (site.charge_code, site.description, _LOCAL) if site.charge_code else (CPT_CODE, site.description, _CPT)
    fields: dict[int, Value | list[Value]] = {
        1: "1",
        2: charge.charge,
        4: start if site.ft1_4 is ServiceTime.START else (start, end),
        5: recorded,
        6: "CD" if credit and not negative else "CG",
        7: code,
        8: f"REVERSES {charge.reverses}" if credit else "",
        10: str(-charge.quantity if negative else charge.quantity),
        13: (site.department,),
        16: place,
        19: [(each.code, each.text, hl7_system(each.system)) for each in details.diagnoses],
        20: persons(details.performers) or (site.performer,),
        21: persons(details.orderers) or (site.orderer,),
        23: (charge.reverses or charge.charge, _NAMESPACE) if site.filler_order_number else "",
        25: (CPT_CODE, "", _CPT),
        26: [*site.modifiers],
    }
    return segment("FT1", fields)


def _time(site: ChargeSite, instant: str) -> str:
    return site.hl7_time(read_instant(instant, 0).at_us)
