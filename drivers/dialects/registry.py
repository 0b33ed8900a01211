"""Which dialect a profile's name means."""

from drivers.dialects.base import Dialect, DialectName
from drivers.dialects.julabo import Julabo
from drivers.dialects.modbus_ascii import ModbusAscii
from drivers.dialects.modbus_rtu import ModbusRtu
from drivers.dialects.modbus_tcp import ModbusTcp


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
