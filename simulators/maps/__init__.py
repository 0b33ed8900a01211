"""The answers of each make of unit, written from its maker's document."""

from collections.abc import Callable
from enum import StrEnum

from drivers.dialects.base import Query, Raw, Refusal
from drivers.dialects.registry import DialectName
from simulators.machine import Machine
from simulators.maps import eurotherm, huber, julabo, julabo_modbus, lauda, nc, polyscience, reference, smc_hrs, watlow

Answer = Callable[[Machine, Query], Raw | Refusal | None]
"""A unit's answer to a query that is meant for it; None is silence."""

_MODBUS = frozenset({DialectName.MODBUS_RTU, DialectName.MODBUS_ASCII, DialectName.MODBUS_TCP})


class MapName(StrEnum):
    """The makes that can be simulated."""

    REFERENCE = "reference"
    SMC_HRS = "smc-hrs"
    EUROTHERM = "eurotherm"
    JULABO = "julabo"
    JULABO_PRESTO = "julabo-presto"
    JULABO_MAGIO = "julabo-magio"
    POLYSCIENCE = "polyscience"
    POLYSCIENCE_LS = "polyscience-ls"
    WATLOW = "watlow"
    NESLAB = "neslab"
    THERMOFLEX = "thermoflex"
    HUBER = "huber"
    LAUDA = "lauda"
    LAUDA_MICROCOOL = "lauda-microcool"

    @property
    def answer(self) -> Answer:
        """The function that answers queries for a unit of this make."""
        return _ANSWERS[self]

    @property
    def dialects(self) -> frozenset[DialectName]:
        """The dialects that a unit of this make supports."""
        match self:
            case MapName.JULABO:
                return frozenset({DialectName.JULABO})
            case MapName.POLYSCIENCE | MapName.POLYSCIENCE_LS:
                return frozenset({DialectName.POLYSCIENCE})
            case MapName.NESLAB | MapName.THERMOFLEX:
                return frozenset({DialectName.NC})
            case MapName.HUBER:
                return frozenset({DialectName.HUBER_PB})
            case MapName.LAUDA | MapName.LAUDA_MICROCOOL:
                return frozenset({DialectName.LAUDA})
            case _:
                return _MODBUS

    @property
    def caps_max(self) -> int:
        """The number of caps that its answers can represent."""
        return 2 if self is MapName.REFERENCE else 1


_ANSWERS: dict[MapName, Answer] = {
    MapName.REFERENCE: reference.answer,
    MapName.SMC_HRS: smc_hrs.answer,
    MapName.EUROTHERM: eurotherm.answer,
    MapName.JULABO: julabo.answer,
    MapName.JULABO_PRESTO: julabo_modbus.answer_presto,
    MapName.JULABO_MAGIO: julabo_modbus.answer_magio,
    MapName.POLYSCIENCE: polyscience.answer,
    MapName.POLYSCIENCE_LS: polyscience.answer_ls,
    MapName.WATLOW: watlow.answer,
    MapName.NESLAB: nc.answer_bath,
    MapName.THERMOFLEX: nc.answer_thermoflex,
    MapName.HUBER: huber.answer,
    MapName.LAUDA: lauda.answer,
    MapName.LAUDA_MICROCOOL: lauda.answer_microcool,
}
