"""Julabo circulator, serial interface (CF40 manual pages 29-31, FL601 page 39): text commands, one circuit.

The unit is operated at its panel, not in remote mode: `OUT_` commands (documented) and unknown commands are not
answered. Commands are not case-sensitive; manuals print both.
"""

from drivers.dialects.base import Query, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm, Sensor

VERSION = "JULABO CF41 VERSION 4.0"
NO_PROBE = "---.--"

# The first that applies is reported; texts from the manual's table of status messages.
_ALARM_STATUS = (
    (MachineAlarm.COOLANT_LOW, "-01 LOW LEVEL ALARM"),
    (MachineAlarm.COOLANT_WARM, "-03 EXCESS TEMPERATURE WARNING"),
    (MachineAlarm.SUPPLY_PROBE, "-05 WORKING SENSOR ALARM"),
    (MachineAlarm.SAFETY_CUTOUT, "-06 SENSOR DIFFERENCE ALARM"),
    (MachineAlarm.PUMP_FAULT, "-07 I2C-BUS ERROR"),  # assumed: the manual has no code for the pump
)


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The text of the answer, without its terminator; None: no answer."""
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
        case "IN_PV_02":  # external Pt100, here in the return pipe
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
