"""What each make of unit answers, written from its maker's document."""

from collections.abc import Callable
from enum import StrEnum

from drivers.dialects.base import DialectName, Query, Raw, Refusal
from simulators.machine import Machine
from simulators.maps import eurotherm, julabo, reference, smc_hrs

Answer = Callable[[Machine, Query], Raw | Refusal | None]
"""A unit's answer to a query that is meant for it; None is silence."""

_MODBUS = frozenset({DialectName.MODBUS_RTU, DialectName.MODBUS_ASCII, DialectName.MODBUS_TCP})


class MapName(StrEnum):
    """The makes that can be simulated."""

    REFERENCE = "reference"
    SMC_HRS = "smc-hrs"
    EUROTHERM = "eurotherm"
    JULABO = "julabo"

    @property
    def answer(self) -> Answer:
        """How a unit of this make answers."""
        match self:
            case MapName.REFERENCE:
                return reference.answer
            case MapName.SMC_HRS:
                return smc_hrs.answer
            case MapName.EUROTHERM:
                return eurotherm.answer
            case MapName.JULABO:
                return julabo.answer

    @property
    def dialects(self) -> frozenset[DialectName]:
        """The languages in which a unit of this make can be asked."""
        return frozenset({DialectName.JULABO}) if self is MapName.JULABO else _MODBUS

    @property
    def caps_max(self) -> int:
        """The caps that its answers can tell apart."""
        return 2 if self is MapName.REFERENCE else 1
