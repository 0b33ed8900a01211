"""What a person at the simulated units can do from outside: one JSON object a line, over TCP on the loopback alone.

docs/simulators.md has the commands. Every line is answered by one line: what was asked for, `{"ok": true}`, or
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
    """A person at the panel."""

    unit: str
    do: Verb
    cap: int = 1


class SetAlarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alarm raised or cleared."""

    unit: str
    alarm: MachineAlarm
    on: bool = True


class SetProbeFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cap's probe broken or mended; those of the unit itself are alarms."""

    unit: str
    probe: Sensor
    cap: int = 1
    on: bool = True


class Values(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What can be set; those of a cap need the command's `cap`."""

    supply_c: Celsius | None = None
    return_c: Celsius | None = None
    set_point_c: Celsius | None = None
    fahrenheit: bool | None = None
    psi: bool | None = None
    front_c: Celsius | None = None
    back_c: Celsius | None = None
    safety_c: Celsius | None = None


class SetValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values set; physics then goes on from them."""

    unit: str
    set: Values
    cap: int = 1


class Get(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a unit is like now."""

    get: str


class CommandRefused(Exception):
    """A command that cannot be done; the text says why."""


def obey(plant: Plant, line: bytes) -> dict[str, object]:
    """Does what one line of JSON asks for; gives the answer. Never raises, whatever the line."""
    try:
        return _obey(plant, line)
    except (msgspec.DecodeError, NotPossible, CommandRefused) as error:
        return {"error": str(error), "accepted": _accepted(plant)}


def _obey(plant: Plant, line: bytes) -> dict[str, object]:
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


class _Commander:
    """Handles one control connection."""

    def __init__(self, plant: Plant, write: Write) -> None:
        self._plant = plant
        self._write = write
        self._buffer = b""

    def receive(self, data: bytes) -> None:
        """Obeys every whole line that has arrived by now."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._write(msgspec.json.encode(obey(self._plant, line)) + b"\n")
        if len(self._buffer) > LINE_LENGTH_MAX:
            self._buffer = b""  # no command is that long: what follows is answered as no JSON

    def close(self) -> None:
        """Nothing is left to do."""


@asynccontextmanager
async def controlling(plant: Plant, host: str, port: int) -> AsyncGenerator[str]:
    """Takes commands until the block ends; gives "host:port". Raises CannotServe, also for a host past the loopback."""
    try:
        if not ipaddress.ip_address(host).is_loopback:
            raise CannotServe(f"control at {host}: not the loopback, accepted: 127.0.0.1 or ::1")
        async with tcp_listener(host, port, lambda write: _Commander(plant, write)) as bound_port:
            yield f"{host}:{bound_port}"
    except OSError as error:
        raise CannotServe(f"control at {host}:{port}: {error.strerror or error}") from error
