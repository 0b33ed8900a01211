"""The simulated machine: operations, run states, counters, alarms, power."""

import pytest

from simulators.machine import CircuitState, Machine, MachineAlarm, NotPossible, Sensor


@pytest.fixture
def machine() -> Machine:
    return Machine("RCU1-000417", caps=2, set_point_c=-4.0)


def live(machine: Machine, for_s: float, dt_s: float = 0.5) -> None:
    for _ in range(round(for_s / dt_s)):
        machine.step(dt_s)


def begin(machine: Machine, cap: int = 1) -> None:
    machine.connect(cap)
    machine.start(cap)


def test_the_same_life_in_the_same_steps_ends_in_the_same_state() -> None:
    def one_life() -> list[object]:
        machine = Machine("A", caps=2, set_point_c=-4.0, supply_c=20.0)
        begin(machine, 1)
        live(machine, 700)
        begin(machine, 2)
        machine.pause(1)
        live(machine, 700)
        return [machine.coolant, machine.caps, machine.clock_s]

    assert one_life() == one_life()


def test_a_treatment_cools_gets_ready_and_ends(machine: Machine) -> None:
    begin(machine)
    assert machine.caps[0].state is CircuitState.COOLING
    live(machine, 1800)
    assert machine.caps[0].state is CircuitState.READY
    machine.stop(1)
    live(machine, 60)
    assert machine.caps[0].state is CircuitState.ENDED
    assert not machine.running


def test_elapsed_counts_circulation_alone_and_the_treatment_number_counts_starts(machine: Machine) -> None:
    begin(machine)
    live(machine, 600)
    machine.pause(1)
    live(machine, 120)
    machine.resume(1)
    live(machine, 300)
    machine.disconnect(1)
    live(machine, 200)
    machine.connect(1)
    live(machine, 100)
    machine.stop(1)
    live(machine, 50)
    assert (machine.caps[0].elapsed_s, machine.caps[0].treatment) == (1000.0, 1)
    machine.start(1)
    assert (machine.caps[0].elapsed_s, machine.caps[0].treatment) == (0.0, 2)


def test_a_started_cap_that_is_not_connected_does_not_circulate(machine: Machine) -> None:
    machine.start(1)
    live(machine, 10)
    assert not machine.caps[0].circulating
    assert machine.flow_l_min(1) == 0.0
    machine.connect(1)
    assert machine.caps[0].circulating
    assert machine.flow_l_min(1) == pytest.approx(1.2)


def test_a_cap_that_was_uncoupled_has_to_cool_again(machine: Machine) -> None:
    begin(machine)
    live(machine, 1800)
    machine.disconnect(1)
    live(machine, 360)
    machine.connect(1)
    assert machine.caps[0].state is CircuitState.COOLING
    live(machine, 900)
    assert machine.caps[0].state is CircuitState.READY


def test_the_caps_of_a_unit_are_apart(machine: Machine) -> None:
    begin(machine, 2)
    live(machine, 60)
    assert [cap.state for cap in machine.caps] == [CircuitState.OFF, CircuitState.COOLING]
    assert [cap.elapsed_s for cap in machine.caps] == [0.0, 60.0]


@pytest.mark.parametrize("verb", ["pause", "resume", "stop"])
def test_what_a_cap_at_rest_cannot_do_is_refused_with_the_states_that_can(machine: Machine, verb: str) -> None:
    with pytest.raises(NotPossible, match=f"cannot {verb} cap 1 while off, accepted: "):
        getattr(machine, verb)(1)


def test_a_running_cap_cannot_be_started_and_a_missing_one_not_at_all(machine: Machine) -> None:
    begin(machine)
    with pytest.raises(NotPossible, match="while cooling, accepted: ended, off"):
        machine.start(1)
    with pytest.raises(NotPossible, match="there is no cap 3, accepted: 1 to 2"):
        machine.start(3)


def test_a_stopping_alarm_faults_the_caps_and_its_end_leaves_them_paused(machine: Machine) -> None:
    begin(machine)
    live(machine, 100)
    machine.raise_alarm(MachineAlarm.PUMP_FAULT)
    live(machine, 50)
    assert machine.caps[0].state is CircuitState.FAULT
    assert machine.caps[1].state is CircuitState.OFF
    assert machine.caps[0].elapsed_s == 100.0
    with pytest.raises(NotPossible, match="cannot start while pump-fault"):
        machine.start(2)
    machine.clear_alarm(MachineAlarm.PUMP_FAULT)
    assert machine.caps[0].state is CircuitState.PAUSED
    machine.resume(1)
    live(machine, 10)
    assert (machine.caps[0].elapsed_s, machine.caps[0].treatment) == (110.0, 1)


def test_an_alarm_that_does_not_stop_lets_the_caps_run(machine: Machine) -> None:
    begin(machine)
    machine.raise_alarm(MachineAlarm.FLOW_LOW)
    live(machine, 10)
    assert machine.caps[0].circulating
    assert 0 < machine.flow_l_min(1) < 1.2


def test_a_refrigeration_fault_warms_the_coolant(machine: Machine) -> None:
    begin(machine)
    machine.raise_alarm(MachineAlarm.REFRIGERATION_FAULT)
    live(machine, 1200)
    assert machine.coolant.supply_c > -2.0


def test_after_a_power_cut_nothing_runs_by_itself_and_the_counters_are_as_they_were(machine: Machine) -> None:
    begin(machine)
    live(machine, 600)
    machine.power_off()
    live(machine, 60)
    assert machine.clock_s == 0.0
    machine.power_on()
    live(machine, 60)
    cap = machine.caps[0]
    assert (cap.state, cap.elapsed_s, cap.treatment, machine.clock_s) == (CircuitState.OFF, 600.0, 1, 60.0)
    with pytest.raises(NotPossible):
        machine.resume(1)


def test_nothing_starts_without_power(machine: Machine) -> None:
    machine.power_off()
    with pytest.raises(NotPossible, match="without power"):
        machine.start(1)


def test_a_stuck_sensor_shows_what_it_showed_while_the_truth_moves_on(machine: Machine) -> None:
    begin(machine)
    machine.stick(Sensor.CAP_FRONT, 1)
    live(machine, 600)
    assert machine.shown(Sensor.CAP_FRONT, 1) == 22.0
    assert machine.shown(Sensor.CAP_BACK, 1) == pytest.approx(machine.caps[0].temperatures.back_c)
    machine.unstick(Sensor.CAP_FRONT, 1)
    assert machine.shown(Sensor.CAP_FRONT, 1) == machine.caps[0].temperatures.front_c < 10


def test_a_faulty_probe_shows_nothing(machine: Machine) -> None:
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    machine.cap(2).probe_faults.add(Sensor.CAP_SAFETY)
    assert machine.shown(Sensor.SUPPLY) is None
    assert machine.shown(Sensor.RETURN) == -4.0
    assert machine.shown(Sensor.CAP_SAFETY, 2) is None
    assert machine.shown(Sensor.CAP_SAFETY, 1) == 22.0


def test_a_cap_sensor_is_asked_for_with_its_cap(machine: Machine) -> None:
    with pytest.raises(NotPossible, match="cap_front needs a cap, accepted: 1 to 2"):
        machine.shown(Sensor.CAP_FRONT)
