"""Temperatures of a cap for charting as `ORU^R01` of HL7 2.6 (IHE PCD-01). Pure.

The values are the device's, never the body's: the codes are private, for IEEE 11073-10101 has none for a coolant, and
150344^MDC_TEMP is not used, for receivers take it for a body temperature. A value without good quality is sent with
OBX-11 = X and empty, never as a placeholder number. HL7 is 2.6 because OBX-18 of 2.5.1 has no room for a serial number
with its name space.
"""

from drivers.reading import Measurement, Quality
from gateway.messages.hl7v2 import Segment, Value, encode, segment
from gateway.messages.identity import Identity
from gateway.messages.outbound.ehr import Device
from gateway.messages.outbound.fhir import ChartSample
from gateway.messages.outbound.hl7_segments import header, patient, visit
from gateway.messages.outbound.site import ChargeSite
from gateway.session.facts import CapRef

_KIND = ("ORU", "R01", "ORU_R01")
_PROFILE = ("IHE_PCD_001", "IHE PCD", "1.3.6.1.4.1.19376.1.6.4.1", "ISO")
_OWN_CODES = "99CAPGATE"
_ORDER = ("SCALPCOOL", "Observations of a scalp cooling unit", _OWN_CODES)
_CELSIUS = ("268192", "MDC_DIM_DEGC", "MDC", "Cel", "Cel", "UCUM")
_DEVICE = ("0", "MDCX_DEV_SCALP_COOL_MDS", "MDC")  # 0^MDCX_: how PCD-01 writes a private code
_METER = ("69902", "MDC_DEV_METER_TEMP_VMD", "MDC")
_CHANNEL = ("69903", "MDC_DEV_METER_TEMP_CHAN", "MDC")


def observation_message(sample: ChartSample, identity: Identity, site: ChargeSite) -> bytes:
    """The message of a sample: OBX lines for device, thermometer and channel, then one for each point."""
    who, device, at = site.shown(identity), sample.device, site.hl7_time(sample.at_us)
    place = site.place(CapRef(device.unit, device.cap))
    rest: dict[int, Value] = {12: "2.6", 15: "AL", 16: "NE", 21: _PROFILE}
    order: dict[int, Value] = {1: "1", 3: (sample.session, site.sending_application), 4: _ORDER, 7: at}
    segments = [
        header(site, _KIND, sample.key, sample.at_us, rest),
        patient(site, who),
        visit(site, who, place),
        segment("OBR", order),
        _structure(1, _DEVICE, "1.0.0.0", _machine(device)),
        _structure(2, _METER, "1.1.0.0"),
        _structure(3, _CHANNEL, f"1.1.{device.cap}.0"),
    ]
    for index, (name, measured) in enumerate(sample.temperatures.items(), start=1):
        segments.append(_metric(3 + index, name, measured, f"1.1.{device.cap}.{index}", at))
    return encode(segments)


def _structure(index: int, kind: tuple[str, ...], containment: str, machine: tuple[str, ...] = ()) -> Segment:
    return segment("OBX", {1: str(index), 3: kind, 4: containment, 11: "X", 18: machine})


def _metric(index: int, name: str, measured: Measurement, containment: str, at: str) -> Segment:
    value = measured.value if measured.quality is Quality.GOOD else None
    words = name.replace("_", " ").capitalize()
    fields: dict[int, Value] = {
        1: str(index),
        2: "NM",
        3: ("0", f"MDCX_TEMP_{name.upper()}", "MDC", name, f"{words} temperature of the device", _OWN_CODES),
        4: containment,
        5: "" if value is None else f"{value:.2f}",
        6: _CELSIUS,
        11: "X" if value is None else "R",
        14: at,
    }
    return segment("OBX", fields)


def _machine(device: Device) -> tuple[str, ...]:
    return (device.unit, "CAPGATE") if device.serial_number is None else (device.serial_number, device.unit)
