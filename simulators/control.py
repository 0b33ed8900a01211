"""The control port of simulated units: JSON commands, one object a line, over TCP on the loopback only.

docs/simulators.md has the commands. Every line is answered by one line: the requested data, `{"ok": true}`, or
`{"error": ..., "accepted": ...}`.
"""

import ipaddress
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec

from simulators.endpoints import Write, tcp_listener
from simulators.faults import Fault, InjectedFault
from simulators.machine import Machine, MachineAlarm, NotPossible, Sensor
from simulators.serve import CannotServe, Plant
from simulators.unit import Verb, perform

LINE_LENGTH_MAX = 4096
NO_FAULT = "none"

Celsius = Annotated[float, msgspec.Meta(ge=-100, le=150)]


class Do(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Operate the unit's panel."""

    unit: str
    do: Verb
    cap: int = 1


class SetAlarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raise or clear an alarm."""

    unit: str
    alarm: MachineAlarm
    on: bool = True


class SetProbeFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Break or repair a cap's temperature sensor; faults of the unit's own sensors are alarms."""

    unit: str
    probe: Sensor
    cap: int = 1
    on: bool = True


class Values(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The values that can be set; those of a cap need the command's `cap`."""

    supply_c: Celsius | None = None
    return_c: Celsius | None = None
    set_point_c: Celsius | None = None
    fahrenheit: bool | None = None
    psi: bool | None = None
    front_c: Celsius | None = None
    back_c: Celsius | None = None
    safety_c: Celsius | None = None


class SetValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Set values, from which the simulation continues."""

    unit: str
    set: Values
    cap: int = 1


class Get(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Read the state of a unit."""

    get: str


class CommandRefused(Exception):
    """The command cannot be carried out; the text says why."""


def execute(plant: Plant, line: bytes) -> dict[str, object]:
    """Carry out one line of JSON; returns the answer. Never raises."""
    try:
        return _execute(plant, line)
    except (msgspec.DecodeError, NotPossible, CommandRefused) as error:
        return {"error": str(error), "accepted": _accepted(plant)}


def _execute(plant: Plant, line: bytes) -> dict[str, object]:
    command = msgspec.json.decode(line, type=dict[str, object])
    if "get" in command:
        return _state(plant, msgspec.convert(command, Get).get)
    if "do" in command:
        do = msgspec.convert(command, Do)
        perform(_machine(plant, do.unit), do.do, do.cap)
    elif "fault" in command:
        _set_fault(plant, command)
    elif "alarm" in command:
        alarm = msgspec.convert(command, SetAlarm)
        _set_alarm(_machine(plant, alarm.unit), alarm)
    elif "probe" in command:
        probe = msgspec.convert(command, SetProbeFault)
        _set_probe_fault(_machine(plant, probe.unit), probe)
    elif "set" in command:
        values = msgspec.convert(command, SetValues)
        _set_values(_machine(plant, values.unit), values)
    else:
        raise CommandRefused("no command")
    return {"ok": True}


def _machine(plant: Plant, name: str) -> Machine:
    try:
        return plant.unit(name).machine
    except KeyError:
        raise CommandRefused(f"there is no unit {name}") from None


def _set_fault(plant: Plant, command: dict[str, object]) -> None:
    name = msgspec.convert(command.pop("unit", None), str)
    kind = command.pop("fault")
    _machine(plant, name)
    if kind == NO_FAULT:
        plant.unit(name).clear_faults()
    else:
        plant.unit(name).begin_fault(msgspec.convert({"kind": kind, **command}, Fault))


def _set_alarm(machine: Machine, command: SetAlarm) -> None:
    if command.on:
        machine.raise_alarm(command.alarm)
    else:
        machine.clear_alarm(command.alarm)


def _set_probe_fault(machine: Machine, command: SetProbeFault) -> None:
    if not command.probe.in_cap:
        raise CommandRefused(f"{command.probe} is not in a cap")
    probe_faults = machine.cap(command.cap).probe_faults
    if command.on:
        probe_faults.add(command.probe)
    else:
        probe_faults.discard(command.probe)


def _set_values(machine: Machine, command: SetValues) -> None:
    given: dict[str, object] = msgspec.to_builtins(command.set)
    coolant = {name: given.pop(name) for name in ("supply_c", "return_c") if name in given}
    cap = {name: given.pop(name) for name in ("front_c", "back_c", "safety_c") if name in given}
    machine.coolant = msgspec.structs.replace(machine.coolant, **coolant)
    if cap:
        circuit = machine.cap(command.cap)
        circuit.temperatures = msgspec.structs.replace(circuit.temperatures, **cap)
    for name, value in given.items():
        setattr(machine, name, value)


def _state(plant: Plant, name: str) -> dict[str, object]:
    machine = _machine(plant, name)
    unit = plant.unit(name)
    return {
        "unit": name,
        "now_s": unit.now_s,
        "powered": machine.powered,
        "supply_c": machine.coolant.supply_c,
        "return_c": machine.coolant.return_c,
        "set_point_c": machine.set_point_c,
        "alarms": sorted(machine.alarms),
        "faults": list(unit.fault_kinds),
        "caps": [
            {
                "state": cap.state,
                "connected": cap.connected,
                "circulating": cap.circulating,
                "front_c": cap.temperatures.front_c,
                "back_c": cap.temperatures.back_c,
                "safety_c": cap.temperatures.safety_c,
                "elapsed_s": cap.elapsed_s,
                "treatment": cap.treatment,
                "probe_faults": sorted(cap.probe_faults),
            }
            for cap in machine.caps
        ],
    }


def _accepted(plant: Plant) -> dict[str, object]:
    return {
        "unit": plant.unit_names,
        "get": "a unit",
        "do": list(Verb),
        "fault": [NO_FAULT, *InjectedFault],
        "alarm": list(MachineAlarm),
        "probe": [sensor for sensor in Sensor if sensor.in_cap],
        "set": list(Values.__struct_fields__),
    }


class _CommandHandler:
    """Handles one control connection."""

    def __init__(self, plant: Plant, write: Write) -> None:
        self._plant = plant
        self._write = write
        self._buffer = b""

    def receive(self, data: bytes) -> None:
        """Carry out every complete line received so far."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._write(msgspec.json.encode(execute(self._plant, line)) + b"\n")
        if len(self._buffer) > LINE_LENGTH_MAX:
            self._buffer = b""  # longer than any command: what follows is answered as invalid JSON

    def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def controlling(plant: Plant, host: str, port: int) -> AsyncGenerator[str]:
    """Serve the control port while the context lasts; yields "host:port". Raises CannotServe, also off the loopback."""
    try:
        if not ipaddress.ip_address(host).is_loopback:
            raise CannotServe(f"control at {host}: not the loopback, accepted: 127.0.0.1 or ::1")
        async with tcp_listener(host, port, lambda write: _CommandHandler(plant, write)) as bound_port:
            yield f"{host}:{bound_port}"
    except OSError as error:
        raise CannotServe(f"control at {host}:{port}: {error.strerror or error}") from error
