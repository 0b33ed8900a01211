"""The thermal model: temperatures approach their targets without overshoot, and keep changing while running."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.physics import (
    AMBIENT_C,
    DEAD_BAND_C,
    SKIN_C,
    CapTemperatures,
    Coolant,
    approach,
    at_temperature,
    step_cap,
    step_coolant,
)

temperatures = st.floats(-60, 60)


@given(temperatures, temperatures, st.floats(0.1, 1e5), st.floats(0, 1e6))
def test_an_approach_never_passes_its_target_nor_moves_away_from_it(
    current: float, target: float, tau_s: float, dt_s: float
) -> None:
    reached = approach(current, target, tau_s, dt_s)
    low, high = min(current, target), max(current, target)
    assert low - 1e-9 <= reached <= high + 1e-9


def test_an_approach_covers_63_percent_of_the_way_in_its_time_constant() -> None:
    assert approach(20.0, 0.0, 100.0, 100.0) == pytest.approx(7.3576, abs=1e-4)
    assert approach(20.0, 0.0, 100.0, 0.0) == 20.0


@given(temperatures, temperatures, st.floats(0, 600))
def test_two_half_steps_of_an_approach_are_one_whole(current: float, target: float, dt_s: float) -> None:
    halfway = approach(current, target, 240.0, dt_s / 2)
    assert approach(halfway, target, 240.0, dt_s / 2) == pytest.approx(approach(current, target, 240.0, dt_s), abs=1e-9)


def run_coolant(coolant: Coolant, caps: int, refrigerating: bool, for_s: int) -> list[Coolant]:
    states: list[Coolant] = []
    for _ in range(for_s):
        coolant = step_coolant(coolant, -4.0, caps, refrigerating, 1.0)
        states.append(coolant)
    return states


def test_a_warm_tank_is_cold_within_half_an_hour_and_then_stays_within_its_dead_band() -> None:
    states = run_coolant(Coolant(AMBIENT_C, AMBIENT_C), caps=2, refrigerating=True, for_s=7200)
    settled = [state.supply_c for state in states[1800:]]
    assert min(settled) > -4.0 - DEAD_BAND_C - 0.05
    assert max(settled) < -4.0 + DEAD_BAND_C + 0.05


def test_coolant_at_its_set_point_never_reads_the_same_for_ten_minutes() -> None:
    states = run_coolant(Coolant(-4.0, -4.0), caps=1, refrigerating=True, for_s=7200)
    tenths = [round(state.supply_c * 10) for state in states]
    assert all(len(set(tenths[at : at + 600])) > 1 for at in range(0, len(tenths) - 600, 60))


def test_without_refrigeration_the_coolant_warms_towards_the_room_and_not_past_it() -> None:
    states = run_coolant(Coolant(-4.0, -3.1, compressor_on=True), caps=1, refrigerating=False, for_s=36000)
    assert not any(state.compressor_on for state in states)
    assert states[600].supply_c > -3.0
    assert all(state.supply_c <= AMBIENT_C for state in states)


def test_each_head_warms_the_return() -> None:
    rises = [
        (last := run_coolant(Coolant(-4.0, -4.0), caps, True, 1200)[-1]).return_c - last.supply_c for caps in range(3)
    ]
    assert rises == sorted(rises)
    assert rises[1] == pytest.approx(0.9, abs=0.2)


def test_a_cap_is_cold_within_the_pre_cooling_and_warms_when_nothing_flows() -> None:
    cap = CapTemperatures()
    coolant = Coolant(-4.0, -3.1)
    assert not at_temperature(coolant, cap, -4.0)
    for _ in range(1800):
        cap = step_cap(cap, coolant.supply_c, circulating=True, worn=True, dt_s=1.0)
    assert at_temperature(coolant, cap, -4.0)
    assert coolant.supply_c < cap.front_c < cap.back_c < cap.safety_c
    on_the_head = step_cap(cap, coolant.supply_c, circulating=False, worn=True, dt_s=1e6)
    put_away = step_cap(cap, coolant.supply_c, circulating=False, worn=False, dt_s=1e6)
    assert on_the_head.front_c == pytest.approx(SKIN_C)
    assert put_away.front_c == pytest.approx(AMBIENT_C)
