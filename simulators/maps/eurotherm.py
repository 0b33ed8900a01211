"""Eurotherm 3200 controller (HA028651, Modbus parameter addresses): Modbus RTU, one circuit.

It has a temperature, a set point and a timer, which represents the treatment. Integers have one decimal here; on a real
instrument the decimals are configured (chapter on scaled integers).
"""

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal
from simulators.machine import CircuitState, Machine, MachineAlarm, Sensor
from simulators.maps.words import bits, int16, listed

FUNCTIONS = (3, 4)

_TIMER_RESET, _TIMER_RUN, _TIMER_HOLD, _TIMER_END = range(4)
_TIMER = {
    CircuitState.OFF: _TIMER_RESET,
    CircuitState.COOLING: _TIMER_RUN,
    CircuitState.READY: _TIMER_RUN,
    CircuitState.PAUSED: _TIMER_HOLD,
    CircuitState.FAULT: _TIMER_HOLD,  # assumed
    CircuitState.ENDED: _TIMER_END,
}
_BROKEN_SENSOR = 9999  # assumed: the display's end of scale; the status word marks it as invalid


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The registers; exception 01 for an unsupported function, 02 for an unknown address."""
    if not isinstance(query, ModbusQuery):
        return None
    if query.function not in FUNCTIONS:
        return Refusal(1)
    return listed(_parameters(machine), query)


def _parameters(machine: Machine) -> dict[int, int]:
    process_value_c = machine.shown(Sensor.SUPPLY)
    output_percent = 100 if machine.coolant.compressor_on else 0
    status = _status(machine)
    return {
        1: _BROKEN_SENSOR if process_value_c is None else int16(round(process_value_c * 10)),
        2: int16(round(machine.set_point_c * 10)),  # target set point
        3: output_percent * 10,  # manual output follows the working output in automatic mode
        4: output_percent * 10,
        5: int16(round(machine.set_point_c * 10)),  # working set point
        23: _TIMER[machine.caps[0].state],
        75: status,
        76: ~status & 0xFFFF,
    }


def _status(machine: Machine) -> int:
    return bits(
        {
            0: MachineAlarm.COOLANT_WARM in machine.alarms,  # alarm 1 set as high alarm
            5: MachineAlarm.SUPPLY_PROBE in machine.alarms,  # sensor break
            6: MachineAlarm.REFRIGERATION_FAULT
            in machine.alarms,  # loop break: the output no longer moves the temperature
            13: machine.running,  # timer running
        }
    )
