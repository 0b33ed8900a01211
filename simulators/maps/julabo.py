"""Julabo circulator, serial interface (CF40 manual pages 29-31, FL601 page 39): text commands, one circuit.

The unit is operated at its panel, not in remote mode: `OUT_` commands (documented) and unknown commands are not
answered. Commands are not case-sensitive; manuals print both. Every other read of the manuals' table is answered with a
setting that never changes here.
"""

from collections.abc import Mapping

from drivers.dialects.base import Query, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm, Sensor

VERSION = "JULABO CF41 VERSION 4.0"
NO_PROBE = "---.--"

# What the panel sets, by the command that reads it; all values are assumed.
_SETTINGS: Mapping[str, str] = {
    "IN_PV_04": "120.00",  # set point of the excess temperature protection
    "IN_SP_01": "20.00",  # set points 2 and 3, of which another can be selected
    "IN_SP_02": "37.00",
    "IN_SP_03": "120.00",  # warning limits, high and low
    "IN_SP_04": "-45.00",
    "IN_SP_05": NO_PROBE,  # set point of an external programmer, which is not connected
    "IN_SP_07": "3",  # stage of the pump
    "IN_MODE_01": "0",  # set point 1 is selected
    "IN_MODE_02": "0",  # no self-tuning
    "IN_MODE_03": "0",  # an external programmer would be a voltage
    "IN_MODE_04": "0",  # the bath is controlled, not an external sensor
    "IN_MODE_08": "0",  # dynamics of the controller
    "IN_PAR_01": "40",  # of the external control: time constant, slope, ...
    "IN_PAR_02": "25",
    "IN_PAR_04": "0.0",
    "IN_PAR_05": "3.0",
    "IN_PAR_06": "0.7",  # Xp, Tn and Tv of the internal control
    "IN_PAR_07": "280",
    "IN_PAR_08": "37",
    "IN_PAR_09": "7.0",  # Xp, Tn and Tv of the external control
    "IN_PAR_11": "750",
    "IN_PAR_12": "93",
    "IN_PAR_13": "150.00",  # limits of the set point under external control, highest and lowest
    "IN_PAR_14": "-45.00",
    "IN_HIL_00": "-100",  # most power to cool and to heat, percent
    "IN_HIL_01": "100",
}

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
        case "IN_PAR_00":  # working sensor minus safety sensor
            bath_c = machine.shown(Sensor.SUPPLY)
            return _decimal(None if bath_c is None else bath_c - machine.coolant.supply_c)
        case command:
            return _SETTINGS.get(command)


def _status(machine: Machine) -> str:
    for alarm, text in _ALARM_STATUS:
        if alarm in machine.alarms:
            return text
    return "01 MANUAL START" if machine.running else "00 MANUAL STOP"


def _decimal(value: float | None) -> str:
    return NO_PROBE if value is None else f"{value:.2f}"
