"""Which dialect a profile's name means."""

from drivers.dialects.base import Dialect, DialectName
from drivers.dialects.huber_pb import HuberPb
from drivers.dialects.julabo import Julabo
from drivers.dialects.lauda import Lauda
from drivers.dialects.modbus_ascii import ModbusAscii
from drivers.dialects.modbus_rtu import ModbusRtu
from drivers.dialects.modbus_tcp import ModbusTcp
from drivers.dialects.nc import Nc
from drivers.dialects.polyscience import PolyScience


def dialect(name: DialectName) -> Dialect:
    """The wire language of that name."""
    match name:
        case DialectName.MODBUS_RTU:
            return ModbusRtu()
        case DialectName.MODBUS_ASCII:
            return ModbusAscii()
        case DialectName.MODBUS_TCP:
            return ModbusTcp()
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
