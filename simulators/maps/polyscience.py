"""PolyScience chillers (110-392 p. 32, 110-240 p. 40; LS manual p. 19): text commands, one circuit.

The unit is operated at its panel only, so writes are refused. Commands are case-sensitive. Fault codes other than 00
and the value of a broken sensor are not documented there; both are assumed.
"""

from drivers.dialects.base import Query, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm, Sensor

NOT_EXECUTED = Refusal(1)
NO_PROBE = "+999.9"  # assumed
PUMP_PRESSURE_KPA = 130.0  # assumed
KPA_PER_PSI = 6.894757
L_PER_GALLON = 3.785412

_FAULT_CODES = {alarm: number for number, alarm in enumerate(MachineAlarm, start=1)}  # assumed
_LS_COMMANDS = frozenset({"RS", "RT", "RU", "RW", "RF"})


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The answer of a chiller with flow and pressure sensors, without CR."""
    if not isinstance(query, TextQuery):
        return None
    match query.command:
        case "RT" | "R1":
            return _temperature(machine, machine.shown(Sensor.SUPPLY))
        case "R2":
            return _temperature(machine, machine.shown(Sensor.RETURN))
        case "RS":
            return _temperature(machine, machine.set_point_c)
        case "RU":
            return "F" if machine.fahrenheit else "C"
        case "RW":
            return "1" if machine.running else "0"
        case "RF":
            return f"{max((_FAULT_CODES[alarm] for alarm in machine.alarms), default=0):02d}"
        case "RK":
            return _number(_pressure_kpa(machine))
        case "RP":
            return _number(_pressure_kpa(machine) / KPA_PER_PSI)
        case "RL":
            return _number(machine.flow_l_min(1))
        case "RG":
            return _number(machine.flow_l_min(1) / L_PER_GALLON)
        case _:
            return NOT_EXECUTED


def answer_ls(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The answer of an LS chiller, which has no commands for flow and pressure."""
    is_known = isinstance(query, TextQuery) and query.command in _LS_COMMANDS
    return answer(machine, query) if is_known or not isinstance(query, TextQuery) else NOT_EXECUTED


def _temperature(machine: Machine, celsius: float | None) -> str:
    if celsius is None:
        return NO_PROBE
    return _number(celsius * 1.8 + 32 if machine.fahrenheit else celsius)


def _pressure_kpa(machine: Machine) -> float:
    return PUMP_PRESSURE_KPA if machine.running else 0.0


def _number(value: float) -> str:
    return f"{value:+06.1f}"
