"""Lauda's text commands: Pro thermostats (P 10 manual, p. 46) and the Microcool chiller (MC 250 manual, p. 43).

The unit is operated at its panel only: writes are refused as unknown commands, ERR_3. The value of a broken sensor is
assumed, since the manuals do not give it. IN_SP_08 is the time-out of the communication watchdog, after which the unit
enters its safe mode; 0 is off.
"""

from drivers.dialects.base import Query, Raw, Refusal, TextQuery
from simulators.machine import STOPPING_ALARMS, Machine, MachineAlarm, Sensor

UNKNOWN_COMMAND = Refusal(1)
NO_PROBE_C = 999.99  # assumed
PUMP_LEVEL = 4  # assumed
PUMP_PRESSURE_BAR = 0.45  # assumed
LEVEL = 6  # assumed

# What the panel sets; all values are assumed.
_SETTINGS = {
    "IN_SP_02": 2,  # cooling: automatic
    "IN_SP_03": 105.0,  # overtemperature protection switches off
    "IN_SP_04": 100.0,  # limits of the outflow temperature, highest and lowest
    "IN_SP_05": -35.0,
    "IN_SP_07": 20.0,  # set point of the safe mode
}
_MICROCOOL_COMMANDS = frozenset({"IN_PV_00", "IN_SP_00", "IN_SP_04", "IN_SP_05", "TYPE", "VERSION", "STATUS", "STAT"})


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """A Pro thermostat's answer, without its terminator."""
    if not isinstance(query, TextQuery):
        return None
    if query.command == "IN_PV_10":
        return f"{_shown(machine.shown(Sensor.SUPPLY)):.3f}"
    number = _number(machine, query.command)
    if number is not None:
        return f"{number:06.2f}" if number >= 0 else f"{number:07.2f}"
    return _text(machine, query.command, "PRO", tells_warnings=True)


def answer_microcool(machine: Machine, query: Query) -> Raw | Refusal | None:
    """A Microcool's answer: no pump, no standby, and of the seven flags only error and low level."""
    if not isinstance(query, TextQuery):
        return None
    if query.command not in _MICROCOOL_COMMANDS:
        return UNKNOWN_COMMAND
    if query.command in ("TYPE", "STAT"):
        return _text(machine, query.command, "MC", tells_warnings=False)
    return answer(machine, query)


def _number(machine: Machine, command: str) -> float | None:
    match command:
        case "IN_PV_00" | "IN_PV_01":  # in the bath, which is what is controlled
            return _shown(machine.shown(Sensor.SUPPLY))
        case "IN_PV_02":  # pressure of the pump, bar
            return PUMP_PRESSURE_BAR if machine.running else 0.0
        case "IN_PV_03":  # external Pt100, here in the return pipe
            return _shown(machine.shown(Sensor.RETURN))
        case "IN_PV_05":
            return 0 if MachineAlarm.COOLANT_LOW in machine.alarms else LEVEL
        case "IN_SP_00":
            return machine.set_point_c
        case "IN_SP_01":
            return PUMP_LEVEL if machine.running else 0
        case "IN_SP_08":
            return machine.watchdog_s
        case _:
            return _SETTINGS.get(command)


def _text(machine: Machine, command: str, make: str, *, tells_warnings: bool) -> Raw | Refusal:
    match command:
        case "IN_MODE_02":
            return "0" if machine.running else "1"
        case "IN_MODE_00" | "IN_MODE_01" | "IN_MODE_03":  # keys free, internal control, panel not locked
            return "0"
        case "TYPE":
            return make
        case "VERSION" | "VERSION_R":
            return "1.38"
        case "STATUS":
            return "-1" if machine.alarms & STOPPING_ALARMS or MachineAlarm.SUPPLY_PROBE in machine.alarms else "0"
        case "STAT":
            return _flags(machine, tells_warnings=tells_warnings)
        case _:
            return UNKNOWN_COMMAND


def _flags(machine: Machine, *, tells_warnings: bool) -> str:
    """Error, alarm, warning, overtemperature, low level, high level, external value missing; some report fewer."""
    alarms = machine.alarms
    is_error = bool(alarms & {MachineAlarm.PUMP_FAULT, MachineAlarm.SUPPLY_PROBE, MachineAlarm.SAFETY_CUTOUT})
    is_warning = tells_warnings and bool(alarms - STOPPING_ALARMS - {MachineAlarm.SUPPLY_PROBE})
    flags = {1: is_error, 3: is_warning, 5: MachineAlarm.COOLANT_LOW in alarms}
    return "".join("1" if flags.get(place) else "0" for place in range(1, 8))


def _shown(celsius: float | None) -> float:
    return NO_PROBE_C if celsius is None else celsius
