"""The control interface: what a command does to a unit, and what a wrong one is answered."""

import json
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runtime.shipped import shipped_dir
from simulators.control import execute
from simulators.faults import InjectedFault
from simulators.machine import CircuitState, Sensor
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant

CLINIC = shipped_dir() / "scenarios" / "clinic.toml"


def make_plant(path: Path = CLINIC) -> Plant:
    return Plant(load_scenario(path), lambda: 0.0, lambda _: None)


@pytest.fixture
def plant() -> Plant:
    return make_plant()


def command(plant: Plant, **fields: object) -> dict[str, object]:
    return execute(plant, json.dumps(fields).encode())


def test_a_person_at_the_panel_can_be_played(plant: Plant) -> None:
    for do in ("connect", "start", "pause", "resume", "stop", "disconnect"):
        assert command(plant, unit="cap-01", cap=2, do=do) == {"ok": True}, do
    assert plant.unit("cap-01").machine.cap(2).state is CircuitState.ENDED
    assert plant.unit("cap-01").machine.cap(2).treatment == 1


def test_the_cap_is_the_first_unless_it_is_named(plant: Plant) -> None:
    assert command(plant, unit="cap-02", do="start") == {"ok": True}
    assert plant.unit("cap-02").machine.cap(1).state is CircuitState.COOLING


def test_a_fault_begins_for_its_time_and_none_clears_all(plant: Plant) -> None:
    assert command(plant, unit="cap-01", fault="late", delay_s=0.5, for_s=60) == {"ok": True}
    assert command(plant, unit="cap-01", fault="stuck-sensor", sensor="cap_front", cap=1) == {"ok": True}
    assert plant.unit("cap-01").fault_kinds == (InjectedFault.LATE, InjectedFault.STUCK_SENSOR)
    assert command(plant, unit="cap-01", fault="none") == {"ok": True}
    assert plant.unit("cap-01").fault_kinds == ()


def test_values_are_set_where_they_belong(plant: Plant) -> None:
    values = {"supply_c": -4.2, "set_point_c": -6, "front_c": 1.5, "fahrenheit": True}
    assert command(plant, unit="cap-01", cap=2, set=values) == {"ok": True}
    machine = plant.unit("cap-01").machine
    assert (machine.coolant.supply_c, machine.set_point_c, machine.fahrenheit) == (-4.2, -6, True)
    assert (machine.cap(2).temperatures.front_c, machine.cap(1).temperatures.front_c) == (1.5, 22.0)


def test_alarms_are_raised_and_cleared_a_caps_probes_too(plant: Plant) -> None:
    assert command(plant, unit="cap-01", alarm="coolant-low") == {"ok": True}
    assert command(plant, unit="cap-01", probe="cap_back", cap=1) == {"ok": True}
    state = command(plant, get="cap-01")
    assert state["alarms"] == ["coolant-low"]
    assert plant.unit("cap-01").machine.cap(1).probe_faults == {Sensor.CAP_BACK}
    assert command(plant, unit="cap-01", alarm="coolant-low", on=False) == {"ok": True}
    assert command(plant, unit="cap-01", probe="cap_back", cap=1, on=False) == {"ok": True}
    assert command(plant, get="cap-01")["alarms"] == []
    assert plant.unit("cap-01").machine.cap(1).probe_faults == set()


def test_a_unit_tells_what_it_is_like(plant: Plant) -> None:
    command(plant, unit="cap-01", cap=1, do="connect")
    command(plant, unit="cap-01", cap=1, do="start")
    state = command(plant, get="cap-01")
    caps = cast("list[dict[str, object]]", state["caps"])
    assert (state["unit"], state["powered"], state["supply_c"], len(caps)) == ("cap-01", True, -4.0, 2)
    assert (caps[0]["state"], caps[0]["circulating"], caps[1]["state"]) == ("cooling", True, "off")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no command"),
        ({"unit": "cap-09", "do": "start"}, "there is no unit cap-09"),
        ({"get": "cap-09"}, "there is no unit cap-09"),
        ({"unit": "cap-01", "do": "dance"}, "dance"),
        ({"unit": "cap-01", "do": "start", "cap": 7}, "there is no cap 7, accepted: 1 to 2"),
        ({"unit": "cap-01", "do": "stop"}, "cannot stop cap 1 while off"),
        ({"unit": "cap-01", "do": "start", "colour": "blue"}, "colour"),
        ({"unit": "cap-01", "fault": "gremlin"}, "gremlin"),
        ({"unit": "cap-01", "fault": "late"}, "delay_s goes with late"),
        ({"fault": "late", "delay_s": 1}, "Expected `str`"),
        ({"unit": "cap-01", "probe": "supply"}, "supply is not in a cap"),
        ({"unit": "cap-01", "alarm": "cap_front"}, "cap_front"),
        ({"unit": "cap-01", "set": {"supply_c": 1e9}}, "supply_c"),
        ({"unit": "cap-01", "set": {"colour": 1}}, "colour"),
    ],
)
def test_a_wrong_command_is_answered_with_what_is_accepted(plant: Plant, fields: dict[str, object], told: str) -> None:
    answer = command(plant, **fields)
    assert told in str(answer["error"])
    accepted = cast("dict[str, object]", answer["accepted"])
    assert accepted["unit"] == ("cap-01", "cap-02", "cap-03", "aux-04")
    assert "pause" in cast("list[str]", accepted["do"])
    assert "power-cut" in cast("list[str]", accepted["fault"])


PLANT = make_plant()


@given(
    st.one_of(
        st.binary(max_size=60), st.from_regex(rb'\{"(do|get|set|fault|alarm|probe|unit)":.{0,20}\}', fullmatch=True)
    )
)
def test_no_line_of_bytes_is_too_strange_to_be_answered(line: bytes) -> None:
    answer = execute(PLANT, line)
    assert "ok" in answer or "error" in answer or "unit" in answer
