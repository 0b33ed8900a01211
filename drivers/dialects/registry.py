"""The dialects, by the names that profiles use. Pure."""

from enum import StrEnum

from drivers.dialects.base import Dialect, Numbers
from drivers.dialects.huber_pb import HuberPb
from drivers.dialects.julabo import Julabo
from drivers.dialects.lauda import Lauda
from drivers.dialects.nc import Nc
from drivers.dialects.polyscience import PolyScience


class DialectName(StrEnum):
    """The dialects that a profile may name."""

    MODBUS_RTU = "modbus-rtu"
    MODBUS_ASCII = "modbus-ascii"
    MODBUS_TCP = "modbus-tcp"
    JULABO = "julabo"
    POLYSCIENCE = "polyscience"
    NC = "nc"
    HUBER_PB = "huber-pb"
    LAUDA = "lauda"


def dialect(name: DialectName, transactions: Numbers = Numbers.ECHOED, unit_ids: Numbers = Numbers.ECHOED) -> Dialect:
    """The dialect of that name; whether numbers are returned concerns Modbus TCP alone."""
    match name:
        case DialectName.MODBUS_RTU:
            from drivers.dialects.modbus_rtu import ModbusRtu  # imported here, since pymodbus is slow to import

            return ModbusRtu()
        case DialectName.MODBUS_ASCII:
            from drivers.dialects.modbus_ascii import ModbusAscii

            return ModbusAscii()
        case DialectName.MODBUS_TCP:
            from drivers.dialects.modbus_tcp import ModbusTcp

            return ModbusTcp(transactions, unit_ids)
        case DialectName.JULABO:
            return Julabo()
        case DialectName.POLYSCIENCE:
            return PolyScience()
        case DialectName.NC:
            return Nc()
        case DialectName.HUBER_PB:
            return HuberPb()
        case DialectName.LAUDA:
            return Lauda()
