"""A refrigerated unit, independent of its make: caps, run states, counters, alarms. Pure: time is an argument.

Theory of operation. A state machine: `step(dt_s)` advances temperatures, counters and states; the other methods are
operations at the panel. A displayed value can differ from the true one: a sensor may be faulty (`shown` is None) or
stuck (`shown` keeps its value); the maps send `shown`. Run states and counters follow RCU-1; other makes send the part
that they support. After a power cut counters are kept and nothing runs (documented for Julabo: JCF29; assumed for the
others).
"""

from enum import StrEnum

import msgspec

from simulators.physics import (
    CAP_FLOW_L_MIN,
    CapTemperatures,
    Coolant,
    at_temperature,
    step_cap,
    step_coolant,
)

LOW_FLOW_SHARE = 0.3  # assumed: fraction of the normal flow while the flow is low


class CircuitState(StrEnum):
    """A cap's run state, as in RCU-1."""

    OFF = "off"
    COOLING = "cooling"  # running, not yet at temperature
    READY = "ready"  # running, at temperature
    PAUSED = "paused"
    ENDED = "ended"
    FAULT = "fault"


class MachineAlarm(StrEnum):
    """The alarms of a unit."""

    COOLANT_LOW = "coolant-low"
    PUMP_FAULT = "pump-fault"
    REFRIGERATION_FAULT = "refrigeration-fault"
    SUPPLY_PROBE = "supply-probe"
    RETURN_PROBE = "return-probe"
    COOLANT_WARM = "coolant-warm"
    FLOW_LOW = "flow-low"
    SAFETY_CUTOUT = "safety-cutout"


class Sensor(StrEnum):
    """A temperature sensor; those named `cap_` exist once a cap."""

    SUPPLY = "supply"
    RETURN = "return"
    CAP_FRONT = "cap_front"
    CAP_BACK = "cap_back"
    CAP_SAFETY = "cap_safety"

    @property
    def in_cap(self) -> bool:
        """Whether each cap has its own."""
        return self.value.startswith("cap_")


RUNNING = frozenset({CircuitState.COOLING, CircuitState.READY})
# Alarms that stop the pump (assumed).
STOPPING_ALARMS = frozenset({MachineAlarm.COOLANT_LOW, MachineAlarm.PUMP_FAULT, MachineAlarm.SAFETY_CUTOUT})


class NotPossible(Exception):
    """The operation is not possible in the unit's state; the text says why."""


class CapCircuit(msgspec.Struct):
    """One coolant circuit."""

    state: CircuitState = CircuitState.OFF
    connected: bool = False
    temperatures: CapTemperatures = CapTemperatures()
    elapsed_s: float = 0.0  # circulating seconds in this treatment
    treatment: int = 0  # 0 before the first
    probe_faults: set[Sensor] = msgspec.field(default_factory=set[Sensor])

    @property
    def circulating(self) -> bool:
        """Whether coolant flows: running, and connected (the couplings close by themselves; assumed)."""
        return self.state in RUNNING and self.connected


class Machine:
    """A unit with one or two caps, switched on, its coolant at `supply_c` (default: the set point)."""

    def __init__(self, serial_number: str, caps: int, set_point_c: float, supply_c: float | None = None) -> None:
        start_c = set_point_c if supply_c is None else supply_c
        self.serial_number = serial_number
        self.set_point_c = set_point_c
        self.coolant = Coolant(start_c, start_c)
        self.caps = [CapCircuit() for _ in range(caps)]
        self.alarms: set[MachineAlarm] = set()
        self.powered = True
        self.clock_s = 0.0  # the unit's own clock, since it was switched on
        self.fahrenheit = False  # the panel's unit of temperature; only some makes also send it
        self.psi = False
        self.watchdog_s = 0.0  # time-out of the communication watchdog; 0: off
        self._stuck: dict[tuple[Sensor, int | None], float] = {}

    def cap(self, number: int) -> CapCircuit:
        """Cap `number`, from 1. Raises NotPossible if the unit does not have it."""
        if not 1 <= number <= len(self.caps):
            raise NotPossible(f"there is no cap {number}, accepted: 1 to {len(self.caps)}")
        return self.caps[number - 1]

    # --- operations at the panel

    def start(self, number: int) -> None:
        """Start a new treatment."""
        cap = self._cap_in(number, "start", {CircuitState.OFF, CircuitState.ENDED})
        self._refuse_while_stopped("start")
        cap.state = CircuitState.COOLING
        cap.treatment += 1
        cap.elapsed_s = 0.0

    def pause(self, number: int) -> None:
        """Interrupt circulation, within the treatment."""
        self._cap_in(number, "pause", RUNNING).state = CircuitState.PAUSED

    def resume(self, number: int) -> None:
        """Resume a paused treatment."""
        cap = self._cap_in(number, "resume", {CircuitState.PAUSED})
        self._refuse_while_stopped("resume")
        cap.state = CircuitState.COOLING

    def stop(self, number: int) -> None:
        """End the treatment."""
        self._cap_in(number, "stop", RUNNING | {CircuitState.PAUSED, CircuitState.FAULT}).state = CircuitState.ENDED

    def connect(self, number: int) -> None:
        """Connect the cap to the unit."""
        self.cap(number).connected = True

    def disconnect(self, number: int) -> None:
        """Disconnect the cap; the unit keeps running, without flow through this cap (assumed)."""
        cap = self.cap(number)
        cap.connected = False
        if cap.state is CircuitState.READY:
            cap.state = CircuitState.COOLING  # it warms from here on

    # --- alarms and faults

    def raise_alarm(self, alarm: MachineAlarm) -> None:
        """Raise an alarm; those of STOPPING_ALARMS stop the caps."""
        self.alarms.add(alarm)
        if alarm in STOPPING_ALARMS:
            for cap in self.caps:
                if cap.state in RUNNING or cap.state is CircuitState.PAUSED:
                    cap.state = CircuitState.FAULT

    def clear_alarm(self, alarm: MachineAlarm) -> None:
        """Clear an alarm; caps that it had stopped are paused until resumed (assumed)."""
        self.alarms.discard(alarm)
        if not self.alarms & STOPPING_ALARMS:
            for cap in self.caps:
                if cap.state is CircuitState.FAULT:
                    cap.state = CircuitState.PAUSED

    def power_off(self) -> None:
        """Cut the power: every treatment ends, and the unit's clock is reset."""
        self.powered = False
        self.clock_s = 0.0
        for cap in self.caps:
            cap.state = CircuitState.OFF

    def power_on(self) -> None:
        """Restore the power; nothing resumes by itself."""
        self.powered = True

    def stick(self, sensor: Sensor, number: int | None = None) -> None:
        """Freeze the sensor's displayed value."""
        self._stuck[sensor, number] = self._true_c(sensor, number)

    def unstick(self, sensor: Sensor, number: int | None = None) -> None:
        """Let the sensor display the true value again."""
        self._stuck.pop((sensor, number), None)

    # --- displayed values

    def shown(self, sensor: Sensor, number: int | None = None) -> float | None:
        """The displayed value in degC; None while the sensor is faulty. `number`: the cap of a cap's sensor."""
        if self._probe_fault(sensor, number):
            return None
        return self.stuck_or_true(sensor, number)

    def stuck_or_true(self, sensor: Sensor, number: int | None = None) -> float:
        """The displayed value in degC even while the sensor is faulty, for makes that report the fault elsewhere."""
        return self._stuck.get((sensor, number), self._true_c(sensor, number))

    @property
    def running(self) -> bool:
        """Whether any cap runs, and so the pump."""
        return any(cap.state in RUNNING for cap in self.caps)

    def flow_l_min(self, number: int) -> float:
        """Measured flow through one cap, in L/min."""
        if not self.cap(number).circulating:
            return 0.0
        return CAP_FLOW_L_MIN * (LOW_FLOW_SHARE if MachineAlarm.FLOW_LOW in self.alarms else 1.0)

    # --- time

    def step(self, dt_s: float) -> None:
        """Advance the unit by `dt_s` seconds."""
        circulating = sum(cap.circulating for cap in self.caps)
        refrigerating = self.powered and MachineAlarm.REFRIGERATION_FAULT not in self.alarms
        self.coolant = step_coolant(self.coolant, self.set_point_c, circulating, refrigerating, dt_s)
        for cap in self.caps:
            self._step_cap(cap, dt_s)
        if self.powered:
            self.clock_s += dt_s

    def _step_cap(self, cap: CapCircuit, dt_s: float) -> None:
        supply_c = self.coolant.supply_c
        cap.temperatures = step_cap(cap.temperatures, supply_c, cap.circulating, cap.connected, dt_s)
        if cap.circulating:
            cap.elapsed_s += dt_s
            if at_temperature(self.coolant, cap.temperatures, self.set_point_c):
                cap.state = CircuitState.READY

    def _cap_in(self, number: int, verb: str, states: frozenset[CircuitState] | set[CircuitState]) -> CapCircuit:
        cap = self.cap(number)
        if cap.state not in states:
            accepted = ", ".join(sorted(states))
            raise NotPossible(f"cannot {verb} cap {number} while {cap.state}, accepted: {accepted}")
        return cap

    def _refuse_while_stopped(self, verb: str) -> None:
        if not self.powered:
            raise NotPossible(f"cannot {verb} without power")
        if stopping := self.alarms & STOPPING_ALARMS:
            raise NotPossible(f"cannot {verb} while {', '.join(sorted(stopping))}")

    def _probe_fault(self, sensor: Sensor, number: int | None) -> bool:
        match sensor:
            case Sensor.SUPPLY:
                return MachineAlarm.SUPPLY_PROBE in self.alarms
            case Sensor.RETURN:
                return MachineAlarm.RETURN_PROBE in self.alarms
            case _:
                return sensor in self._cap_of(sensor, number).probe_faults

    def _true_c(self, sensor: Sensor, number: int | None) -> float:
        match sensor:
            case Sensor.SUPPLY:
                return self.coolant.supply_c
            case Sensor.RETURN:
                return self.coolant.return_c
            case Sensor.CAP_FRONT:
                return self._cap_of(sensor, number).temperatures.front_c
            case Sensor.CAP_BACK:
                return self._cap_of(sensor, number).temperatures.back_c
            case Sensor.CAP_SAFETY:
                return self._cap_of(sensor, number).temperatures.safety_c

    def _cap_of(self, sensor: Sensor, number: int | None) -> CapCircuit:
        if number is None:
            raise NotPossible(f"{sensor} needs a cap, accepted: 1 to {len(self.caps)}")
        return self.cap(number)
