"""Faults of simulated units: each has one effect, for its duration, with its own seeded probability."""

from collections.abc import Callable

import pytest

from drivers.dialects.base import ModbusQuery, Request, TextQuery
from drivers.dialects.registry import DialectName, dialect
from simulators.faults import Fault, Faults, InjectedFault
from simulators.machine import CircuitState, Machine, NotPossible, Sensor
from simulators.maps import MapName
from simulators.unit import Action, Response, SimulatedUnit, Verb

RTU = dialect(DialectName.MODBUS_RTU)
JULABO = dialect(DialectName.JULABO)
REQUEST = Request(8, ModbusQuery(7, 4, 0, 16))


def make_unit(script: tuple[Action, ...] = (), seed: int = 1) -> SimulatedUnit:
    machine = Machine("RCU1-000417", caps=2, set_point_c=-4.0)
    return SimulatedUnit("cap-01", 7, machine, MapName.REFERENCE.answer, script, seed)


def respond(unit: SimulatedUnit) -> Response:
    response = unit.respond(REQUEST, RTU)
    assert response is not None
    return response


def test_a_sound_unit_answers_at_once() -> None:
    response = respond(make_unit())
    assert response.delay_s == 0
    assert response.data[:3] == bytes([7, 4, 32])


def test_a_late_answer_is_the_right_one_later() -> None:
    unit = make_unit()
    sound = respond(unit)
    unit.begin_fault(Fault(InjectedFault.LATE, delay_s=0.5))
    assert respond(unit) == Response(sound.data, 0.5)


def test_a_lost_answer_is_silence() -> None:
    unit = make_unit()
    unit.begin_fault(Fault(InjectedFault.LOST))
    assert unit.respond(REQUEST, RTU) is None


def test_a_corrupt_answer_differs_in_as_many_bits_as_asked() -> None:
    unit = make_unit()
    sound = respond(unit).data
    unit.begin_fault(Fault(InjectedFault.CORRUPT, bits=3))
    spoilt = respond(unit).data
    assert len(spoilt) == len(sound)
    assert sum((one ^ other).bit_count() for one, other in zip(sound, spoilt, strict=True)) == 3


def test_an_answer_can_name_another_unit_or_another_function() -> None:
    unit = make_unit()
    unit.begin_fault(Fault(InjectedFault.WRONG_UNIT))
    assert respond(unit).data[:2] == bytes([8, 4])
    unit.clear_faults()
    unit.begin_fault(Fault(InjectedFault.WRONG_FUNCTION))
    assert respond(unit).data[:2] == bytes([7, 3])


def test_a_busy_unit_answers_exception_06_and_a_text_unit_not_at_all() -> None:
    unit = make_unit()
    unit.begin_fault(Fault(InjectedFault.BUSY))
    assert respond(unit).data[:3] == bytes([7, 0x84, 6])
    bath = SimulatedUnit("bath", None, Machine("J", 1, -5.0), MapName.JULABO.answer, (), 1)
    bath.begin_fault(Fault(InjectedFault.BUSY))
    assert bath.respond(Request(9, TextQuery("STATUS")), JULABO) is None


def test_a_hung_unit_repeats_itself_heartbeat_and_all_until_it_is_freed() -> None:
    unit = make_unit()
    unit.advance(10)
    before = respond(unit)
    unit.begin_fault(Fault(InjectedFault.HANG, for_s=60))
    unit.advance(69.9)
    assert respond(unit) == before
    unit.advance(70)
    assert int.from_bytes(respond(unit).data[9:11], "big") == 70  # the heartbeat


def test_a_power_cut_is_silence_and_ends_the_treatment() -> None:
    unit = make_unit((Action(1.0, "connect", 1, Verb.CONNECT), Action(1.0, "start", 1, Verb.START)))
    unit.advance(100)
    unit.begin_fault(Fault(InjectedFault.POWER_CUT, for_s=30))
    unit.advance(120)
    assert unit.respond(REQUEST, RTU) is None
    unit.advance(130)
    assert respond(unit).data[:3] == bytes([7, 4, 32])
    assert unit.machine.cap(1).state is CircuitState.OFF
    assert unit.machine.cap(1).elapsed_s == 99.0


def test_two_stuck_sensors_are_freed_each_in_its_time() -> None:
    unit = make_unit((Action(0.0, "connect", 1, Verb.CONNECT), Action(0.0, "start", 1, Verb.START)))
    unit.begin_fault(Fault(InjectedFault.STUCK_SENSOR, for_s=20, sensor=Sensor.CAP_FRONT, cap=1))
    unit.begin_fault(Fault(InjectedFault.STUCK_SENSOR, for_s=40, sensor=Sensor.CAP_BACK, cap=1))
    unit.advance(30)
    assert unit.machine.shown(Sensor.CAP_FRONT, 1) != 22.0
    assert unit.machine.shown(Sensor.CAP_BACK, 1) == 22.0
    unit.advance(40)
    assert unit.machine.shown(Sensor.CAP_BACK, 1) != 22.0


def test_a_sensor_that_the_unit_has_not_cannot_stick() -> None:
    unit = make_unit()
    with pytest.raises(NotPossible, match="there is no cap 4"):
        unit.begin_fault(Fault(InjectedFault.STUCK_SENSOR, sensor=Sensor.CAP_FRONT, cap=4))
    assert unit.fault_kinds == ()


def test_faults_end_when_their_time_is_over_or_when_they_are_cleared() -> None:
    unit = make_unit()
    unit.begin_fault(Fault(InjectedFault.LOST, for_s=5))
    unit.begin_fault(Fault(InjectedFault.LATE, delay_s=1.0))
    unit.advance(4.9)
    assert unit.fault_kinds == (InjectedFault.LOST, InjectedFault.LATE)
    unit.advance(5)
    assert unit.fault_kinds == (InjectedFault.LATE,)
    unit.clear_faults()
    assert unit.fault_kinds == ()


def strikes(seed: int, also: InjectedFault | None = None) -> list[bool]:
    faults = Faults("cap-01", seed)
    faults.begin(Fault(InjectedFault.LOST, probability=0.3), 0)
    if also is not None:
        faults.begin(Fault(also, probability=0.5), 0)
    found: list[bool] = []
    for _ in range(1000):
        if also is not None:
            faults.strike(also)
        found.append(faults.strike(InjectedFault.LOST) is not None)
    return found


def test_chance_follows_the_seed_and_no_fault_changes_when_another_strikes() -> None:
    assert strikes(seed=1) == strikes(seed=1) == strikes(seed=1, also=InjectedFault.BUSY)
    assert strikes(seed=1) != strikes(seed=2)
    assert 250 < sum(strikes(seed=1)) < 350


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Fault(InjectedFault.LATE),
        lambda: Fault(InjectedFault.LOST, delay_s=1.0),
        lambda: Fault(InjectedFault.LOST, probability=1.5),
        lambda: Fault(InjectedFault.LOST, for_s=0),
        lambda: Fault(InjectedFault.CORRUPT, bits=0),
        lambda: Fault(InjectedFault.STUCK_SENSOR),
        lambda: Fault(InjectedFault.STUCK_SENSOR, sensor=Sensor.CAP_FRONT),
        lambda: Fault(InjectedFault.STUCK_SENSOR, sensor=Sensor.SUPPLY, cap=1),
        lambda: Fault(InjectedFault.HANG, sensor=Sensor.SUPPLY),
    ],
)
def test_a_fault_that_lacks_what_its_kind_needs_is_refused_with_what_is_accepted(wrong: Callable[[], Fault]) -> None:
    with pytest.raises(ValueError, match="accepted"):
        wrong()


def test_a_units_state_depends_on_the_instant_and_not_on_how_often_it_was_asked() -> None:
    script = (Action(3.2, "connect", 1, Verb.CONNECT), Action(7.7, "start", 1, Verb.START))
    often, seldom = make_unit(script), make_unit(script)
    for tenth in range(1, 6001):
        often.advance(tenth / 10)
    seldom.advance(600)
    assert often.machine.coolant == seldom.machine.coolant
    assert often.machine.caps == seldom.machine.caps


def test_a_script_line_that_cannot_be_done_says_why_and_the_rest_goes_on() -> None:
    unit = make_unit((Action(1, "pause", 1, Verb.PAUSE), Action(2, "start", 2, Verb.START)))
    moments = unit.advance(5)
    assert [(moment.what, moment.problem is None) for moment in moments] == [("pause", False), ("start", True)]
    assert "cannot pause cap 1 while off" in str(moments[0].problem)
