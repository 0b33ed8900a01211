"""Julabo circulator, serial interface (CF40 manual pages 29-31, FL601 page 39): text commands, one circuit.

The unit is worked at its panel, never in remote mode: `OUT_` commands are ignored without an answer (documented), and
so is a command it does not know. Commands are taken in either case; manuals print both.
"""

from drivers.dialects.base import Query, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm, Sensor

VERSION = "JULABO CF41 VERSION 4.0"
NO_PROBE = "---.--"

# First that applies; the texts stand in the manual's table of status messages.
_ALARM_STATUS = (
    (MachineAlarm.COOLANT_LOW, "-01 LOW LEVEL ALARM"),
    (MachineAlarm.COOLANT_WARM, "-03 EXCESS TEMPERATURE WARNING"),
    (MachineAlarm.SUPPLY_PROBE, "-05 WORKING SENSOR ALARM"),
    (MachineAlarm.SAFETY_CUTOUT, "-06 SENSOR DIFFERENCE ALARM"),
    (MachineAlarm.PUMP_FAULT, "-07 I2C-BUS ERROR"),  # assumed: the manual has no code for the pump
)


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The text that the unit answers, without its line end; None where it keeps silent."""
    if not isinstance(query, TextQuery):
        return None
    match query.command.strip().upper():
        case "STATUS":
            return _status(machine)
        case "VERSION":
            return VERSION
        case "IN_PV_00":
            return _decimal(machine.shown(Sensor.SUPPLY))
        case "IN_PV_01":  # heating or cooling power, percent
            return _decimal(-100.0 if machine.coolant.compressor_on else 0.0)
        case "IN_PV_02":  # external Pt100: here it lies in the return pipe
            return _decimal(machine.shown(Sensor.RETURN))
        case "IN_PV_03":  # safety sensor: a second one in the bath
            return _decimal(machine.coolant.supply_c)
        case "IN_SP_00":
            return _decimal(machine.set_point_c)
        case "IN_MODE_05":
            return "1" if machine.running else "0"
        case _:
            return None


def _status(machine: Machine) -> str:
    for alarm, text in _ALARM_STATUS:
        if alarm in machine.alarms:
            return text
    return "01 MANUAL START" if machine.running else "00 MANUAL STOP"


def _decimal(value: float | None) -> str:
    return NO_PROBE if value is None else f"{value:.2f}"
