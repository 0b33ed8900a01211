"""SMC thermo-chiller HRS012-050 (HRX-OM-M091-H, pages 47-51): Modbus ASCII, one circuit.

The manual describes 0x0000-0x0008, 0x000B and 0x000C; the others up to 0x000F read 0 (assumed). There are no registers
for caps, pauses or treatments: the unit runs or it does not.
"""

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal
from simulators.machine import STOPPING_ALARMS, Machine, MachineAlarm
from simulators.maps.words import bits, int16, uint16, window
from simulators.physics import READY_WITHIN_C

REGISTERS = 16
READ_HOLDING_REGISTERS = 3  # the only read function in the manual
PUMP_PRESSURE_MPA = 0.13  # assumed
PSI_PER_MPA = 145.038

_ALARM_1_BITS = {
    MachineAlarm.COOLANT_LOW: 0,  # tank level
    MachineAlarm.COOLANT_WARM: 1,  # discharge temperature high
    MachineAlarm.SAFETY_CUTOUT: 3,  # discharge temperature drop (assumed the nearest)
    MachineAlarm.PUMP_FAULT: 6,  # pump abnormal
    MachineAlarm.FLOW_LOW: 8,  # pressure drop (assumed the nearest)
    MachineAlarm.REFRIGERATION_FAULT: 9,  # the first of four for the refrigerant circuit
}
_ALARM_2_BITS = {MachineAlarm.SUPPLY_PROBE: 5, MachineAlarm.RETURN_PROBE: 6}


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The registers; exception 01 for an unsupported function, 02 for an unknown address."""
    if not isinstance(query, ModbusQuery):
        return None
    if query.function != READ_HOLDING_REGISTERS:
        return Refusal(1)
    return window(_image(machine), query)


def _image(machine: Machine) -> tuple[int, ...]:
    words = [0] * REGISTERS
    # A faulty sensor is reported by alarm 2 only; the temperature register has no value for it.
    words[0x0] = _temperature(machine.coolant.supply_c, machine.fahrenheit)
    words[0x2] = _pressure(machine)
    words[0x4] = _status(machine)
    words[0x5] = bits({bit: alarm in machine.alarms for alarm, bit in _ALARM_1_BITS.items()})
    words[0x6] = bits({bit: alarm in machine.alarms for alarm, bit in _ALARM_2_BITS.items()})
    words[0xB] = _temperature(machine.set_point_c, machine.fahrenheit)
    return tuple(words)


def _status(machine: Machine) -> int:
    near_set_point = abs(machine.coolant.supply_c - machine.set_point_c) <= READY_WITHIN_C
    return bits(
        {
            0: machine.running,
            1: bool(machine.alarms & STOPPING_ALARMS),
            2: bool(machine.alarms - STOPPING_ALARMS),
            4: machine.psi,
            5: True,  # SERIAL mode, without which it does not answer
            9: machine.running and near_set_point,
            10: machine.fahrenheit,
        }
    )


def _temperature(celsius: float, fahrenheit: bool) -> int:
    shown = celsius * 1.8 + 32 if fahrenheit else celsius
    return int16(round(shown * 10))


def _pressure(machine: Machine) -> int:
    if not machine.running:
        return 0
    return uint16(round(PUMP_PRESSURE_MPA * PSI_PER_MPA) if machine.psi else round(PUMP_PRESSURE_MPA * 100))
