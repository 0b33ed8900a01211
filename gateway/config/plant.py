"""The gateway's caps and chairs, by which a message's chair or cap is resolved."""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.config.lines import UnitSpec
from gateway.session.facts import CapRef


class Plant(msgspec.Struct, frozen=True):
    """All caps of the gateway's units, and the cap of each chair."""

    chairs: Mapping[str, CapRef]
    caps: frozenset[CapRef]


def plant_of(units: Iterable[UnitSpec]) -> Plant:
    """The caps and chairs of these units."""
    units = tuple(units)
    return Plant(
        {chair: CapRef(unit.id, cap) for unit in units for cap, chair in unit.chairs.items()},
        frozenset(CapRef(unit.id, cap) for unit in units for cap in range(1, unit.profile.caps + 1)),
    )
