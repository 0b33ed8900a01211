"""Where the caps of a gateway are, for whoever resolves a chair or a cap that a message names."""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.config.lines import UnitSpec
from gateway.session.facts import CapRef


class Plant(msgspec.Struct, frozen=True):
    """Every cap of the gateway's units, and the chairs that have one."""

    chairs: Mapping[str, CapRef]
    caps: frozenset[CapRef]


def plant_of(units: Iterable[UnitSpec]) -> Plant:
    """The plant that these units make."""
    units = tuple(units)
    return Plant(
        {chair: CapRef(unit.id, cap) for unit in units for cap, chair in unit.chairs.items()},
        frozenset(CapRef(unit.id, cap) for unit in units for cap in range(1, unit.profile.caps + 1)),
    )
