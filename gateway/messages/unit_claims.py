"""What a gateway's unit status says of which machine it reads, and whether two gateways read the same one. Pure.

Two serial numbers that one profile reads prove most: alike they are one machine, and unlike they are two, whatever
else agrees. A number of zeros alone was never set. A chair has one machine, whoever reads it.
"""

from datetime import datetime

import msgspec

from gateway.messages.instants import to_us
from gateway.messages.outbound.device import UNIT_STATUS, LinkState
from gateway.session.fact_types import SharedBy

Mark = tuple[SharedBy, str]


class UnitClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that a gateway reads."""

    gateway: str
    unit: str
    profile: str
    serial_number: str | None
    line: str | None  # digest of the unit's address and its line's; None: nothing that two gateways could share
    chairs: frozenset[str]
    since_us: int  # since when its link is up

    @property
    def marks(self) -> frozenset[Mark]:
        """By what the same machine would be recognised."""
        serial, line = _set(self.serial_number), self.line
        return frozenset(
            [
                *([(SharedBy.SERIAL_NUMBER, serial)] if serial else []),
                *([(SharedBy.LINE, line)] if line else []),
                *((SharedBy.CHAIR, chair) for chair in self.chairs),
            ]
        )


def shared_by(one: UnitClaim, other: UnitClaim) -> SharedBy | None:
    """What shows that both are one machine, or stand at one chair; None where nothing does."""
    alike = {kind for kind, _ in one.marks & other.marks}
    serials = {_set(one.serial_number), _set(other.serial_number)}
    if one.profile == other.profile and None not in serials and len(serials) == 2:
        alike.discard(SharedBy.LINE)
    return next((kind for kind in SharedBy if kind in alike), None)


def read_claim(gateway: str, unit: str, payload: bytes) -> UnitClaim | None:
    """What the status of another gateway's unit claims; None if it is down, or is no such message."""
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
    """As much of a unit's status as a claim needs, from whatever version of the gateway."""

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
    """The serial number, if it was ever set."""
    return serial_number if serial_number and serial_number.strip("0 ") else None
