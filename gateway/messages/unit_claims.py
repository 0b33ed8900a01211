"""Compares the unit statuses of two gateways: whether both read the same machine. Pure.

Equal serial numbers are the strongest evidence; different ones, of units with one profile, overrule an equal line. A
serial number of only zeros was never set and is ignored. Two units at one chair are one machine.
"""

from datetime import datetime

import msgspec

from gateway.messages.instants import to_us
from gateway.messages.outbound.device import UNIT_STATUS, LinkState
from gateway.session.fact_types import SharedBy

Mark = tuple[SharedBy, str]


class UnitClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway's status states about a unit that it reads."""

    gateway: str
    unit: str
    profile: str
    serial_number: str | None
    line: str | None  # digest of the line's and the unit's address; None: no other gateway can reach it
    chairs: frozenset[str]
    since_us: int  # since when its link is up

    @property
    def marks(self) -> frozenset[Mark]:
        """The features by which the same machine is recognised: serial number, line, chairs."""
        serial, line = _set(self.serial_number), self.line
        return frozenset(
            [
                *([(SharedBy.SERIAL_NUMBER, serial)] if serial else []),
                *([(SharedBy.LINE, line)] if line else []),
                *((SharedBy.CHAIR, chair) for chair in self.chairs),
            ]
        )


def shared_by(one: UnitClaim, other: UnitClaim) -> SharedBy | None:
    """The evidence that both are one machine or serve one chair; None without any."""
    alike = {kind for kind, _ in one.marks & other.marks}
    serials = {_set(one.serial_number), _set(other.serial_number)}
    if one.profile == other.profile and None not in serials and len(serials) == 2:
        alike.discard(SharedBy.LINE)
    return next((kind for kind in SharedBy if kind in alike), None)


def read_claim(gateway: str, unit: str, payload: bytes) -> UnitClaim | None:
    """Parse the status of another gateway's unit; None if the unit is down or the message is not a unit status."""
    try:
        event = _decoder.decode(payload)
    except msgspec.DecodeError:
        return None
    status = event.data
    if event.type != UNIT_STATUS.type or status.link != LinkState.UP or status.since.tzinfo is None:
        return None
    return UnitClaim(
        gateway=gateway,
        unit=unit,
        profile=status.profile,
        serial_number=status.serial_number,
        line=status.line,
        chairs=frozenset(cap.chair for cap in status.caps if cap.chair),
        since_us=to_us(status.since),
    )


class _Cap(msgspec.Struct, frozen=True):
    chair: str | None = None


class _Status(msgspec.Struct, frozen=True):
    """The fields of a unit's status that a claim needs, in any version of the gateway."""

    link: str
    since: datetime
    profile: str
    caps: tuple[_Cap, ...]
    serial_number: str | None = None
    line: str | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    data: _Status


_decoder = msgspec.json.Decoder(_Event)


def _set(serial_number: str | None) -> str | None:
    """The serial number; None if it was never set."""
    return serial_number if serial_number and serial_number.strip("0 ") else None
