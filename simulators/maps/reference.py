"""The reference cap unit's register map, RCU-1 revision 1 (docs/devices/reference-cap-unit.md)."""

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal
from simulators.machine import CapCircuit, CircuitState, Machine, MachineAlarm, Sensor
from simulators.maps.words import bits, int16, uint16, uint32_high_first, window

REGISTERS = 64
CAP_BLOCKS = (32, 48)
CAP_BLOCK_LENGTH = 16
MAP_ID = 0x4347
MAP_REVISION = 1
SERIAL_NUMBER_LENGTH = 16
NO_PROBE = 0x8000
FUNCTIONS = (3, 4)

_RUN_STATES = {
    CircuitState.OFF: 0,
    CircuitState.COOLING: 1,
    CircuitState.READY: 2,
    CircuitState.PAUSED: 3,
    CircuitState.ENDED: 4,
    CircuitState.FAULT: 5,
}
_ALARM_BITS = {
    MachineAlarm.COOLANT_LOW: 0,
    MachineAlarm.PUMP_FAULT: 1,
    MachineAlarm.REFRIGERATION_FAULT: 2,
    MachineAlarm.SUPPLY_PROBE: 3,
    MachineAlarm.RETURN_PROBE: 4,
    MachineAlarm.COOLANT_WARM: 5,
    MachineAlarm.FLOW_LOW: 6,
    MachineAlarm.SAFETY_CUTOUT: 7,
}


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The registers; exception 01 for an unsupported function, 02 for an unknown address."""
    if not isinstance(query, ModbusQuery):
        return None
    if query.function not in FUNCTIONS:
        return Refusal(1)
    return window(_image(machine), query)


def _image(machine: Machine) -> tuple[int, ...]:
    words = [0] * REGISTERS
    flow_l_min = sum(machine.flow_l_min(number) for number, _ in enumerate(machine.caps, start=1))
    words[0:10] = (
        MAP_ID,
        MAP_REVISION,
        len(machine.caps),
        uint16(int(machine.clock_s)),
        _temperature(machine.shown(Sensor.SUPPLY)),
        _temperature(machine.shown(Sensor.RETURN)),
        _temperature(machine.set_point_c),
        uint16(round(flow_l_min * 100)),
        bits({0: machine.running, 1: machine.coolant.compressor_on}),
        bits({bit: alarm in machine.alarms for alarm, bit in _ALARM_BITS.items()}),
    )
    words[14:22] = _serial_number(machine.serial_number)
    for number, (start, cap) in enumerate(zip(CAP_BLOCKS, machine.caps, strict=False), start=1):
        words[start : start + CAP_BLOCK_LENGTH] = _cap_block(machine, number, cap)
    return tuple(words)


def _cap_block(machine: Machine, number: int, cap: CapCircuit) -> tuple[int, ...]:
    cap_bits = bits(
        {
            0: cap.connected,
            1: cap.circulating,
            2: Sensor.CAP_FRONT in cap.probe_faults,
            3: Sensor.CAP_BACK in cap.probe_faults,
            4: Sensor.CAP_SAFETY in cap.probe_faults,
        }
    )
    return (
        _RUN_STATES[cap.state],
        cap_bits,
        _temperature(machine.shown(Sensor.CAP_FRONT, number)),
        _temperature(machine.shown(Sensor.CAP_BACK, number)),
        _temperature(machine.shown(Sensor.CAP_SAFETY, number)),
        uint16(round(machine.flow_l_min(number) * 100)),
        *uint32_high_first(int(cap.elapsed_s)),
        uint16(cap.treatment),
        *(0,) * 7,
    )


def _temperature(celsius: float | None) -> int:
    return NO_PROBE if celsius is None else int16(round(celsius * 100))


def _serial_number(text: str) -> tuple[int, ...]:
    padded = text.encode("ascii")[:SERIAL_NUMBER_LENGTH].ljust(SERIAL_NUMBER_LENGTH, b"\0")
    return tuple(padded[at] << 8 | padded[at + 1] for at in range(0, SERIAL_NUMBER_LENGTH, 2))
