"""The thermal model of coolant and caps, stepped by `dt_s`. Pure and deterministic.

Theory of operation. First-order lags, which never overshoot. A thermostat with a dead band switches the compressor, so
that temperatures ripple as in a real bath; hence a constant value always means a fault. Temperatures in degC, times in
s, flows in L/min. Each constant is marked as documented (and where) or assumed; an assumed one says nothing about any
maker's unit.
"""

import math

import msgspec

AMBIENT_C = 22.0  # assumed: a treatment room
SKIN_C = 31.0  # assumed: scalp under a cap through which nothing flows

# Documented: bath held within 1 degC of its set point (DEN150010). Assumed: the thermostat's dead band.
DEAD_BAND_C = 0.3
EVAPORATOR_BELOW_SET_POINT_C = 8.0  # assumed: the lowest temperature of the evaporator
# Assumed, so that a warm bath is cold within 15 minutes; documented: up to 30 minutes (Paxman procedure).
PULL_DOWN_TAU_S = 600.0
STANDBY_WARMING_TAU_S = 7200.0  # assumed: an insulated tank
RETURN_TAU_S = 60.0  # assumed
RETURN_IDLE_RISE_C = 0.1  # assumed: the tank's own losses
RETURN_RISE_PER_CAP_C = 0.9  # assumed: heat from one head; as in RCU-1's worked exchange

CAP_FLOW_L_MIN = 1.2  # assumed; RCU-1's worked exchange shows 2.40 L/min for two caps
CAP_TAU_S = 240.0  # assumed, so that a cap is cold well within the documented 30 minutes of pre-cooling
CAP_WARMING_TAU_S = 900.0  # assumed
FRONT_ABOVE_SUPPLY_C = 6.5  # assumed: the sensors lie between coolant and skin
BACK_ABOVE_SUPPLY_C = 7.0  # assumed
SAFETY_ABOVE_SUPPLY_C = 8.0  # assumed
READY_WITHIN_C = 1.0  # assumed: distance from the final temperature at which a cap is ready


class Coolant(msgspec.Struct, frozen=True):
    """The state of tank, supply and return."""

    supply_c: float
    return_c: float
    compressor_on: bool = False


class CapTemperatures(msgspec.Struct, frozen=True):
    """The three sensors of a cap: front, back, and the independent safety sensor against freezing."""

    front_c: float = AMBIENT_C
    back_c: float = AMBIENT_C
    safety_c: float = AMBIENT_C


def approach(current: float, target: float, tau_s: float, dt_s: float) -> float:
    """First-order lag: `current` after `dt_s`, approaching `target` with the time constant `tau_s`.

    approach(20, 0, 100, 100) is 7.36; with dt_s = 0 it is `current`.
    """
    return target + (current - target) * math.exp(-dt_s / tau_s)


def step_coolant(
    coolant: Coolant, set_point_c: float, caps_circulating: int, refrigerating: bool, dt_s: float
) -> Coolant:
    """The coolant after `dt_s`; `refrigerating` is false without power or with a refrigeration fault."""
    compressor_on = refrigerating and _thermostat(coolant, set_point_c)
    if compressor_on:
        supply_c = approach(coolant.supply_c, set_point_c - EVAPORATOR_BELOW_SET_POINT_C, PULL_DOWN_TAU_S, dt_s)
    else:
        supply_c = approach(coolant.supply_c, AMBIENT_C, STANDBY_WARMING_TAU_S / (1 + caps_circulating), dt_s)
    rise_c = RETURN_RISE_PER_CAP_C * caps_circulating or RETURN_IDLE_RISE_C
    return_c = approach(coolant.return_c, supply_c + rise_c, RETURN_TAU_S, dt_s)
    return Coolant(supply_c, return_c, compressor_on)


def _thermostat(coolant: Coolant, set_point_c: float) -> bool:
    if coolant.supply_c > set_point_c + DEAD_BAND_C:
        return True
    if coolant.supply_c < set_point_c - DEAD_BAND_C:
        return False
    return coolant.compressor_on


def step_cap(cap: CapTemperatures, supply_c: float, circulating: bool, worn: bool, dt_s: float) -> CapTemperatures:
    """A cap's sensors after `dt_s`; without circulation they approach skin (`worn`) or room temperature."""
    if circulating:
        return CapTemperatures(
            approach(cap.front_c, supply_c + FRONT_ABOVE_SUPPLY_C, CAP_TAU_S, dt_s),
            approach(cap.back_c, supply_c + BACK_ABOVE_SUPPLY_C, CAP_TAU_S, dt_s),
            approach(cap.safety_c, supply_c + SAFETY_ABOVE_SUPPLY_C, CAP_TAU_S, dt_s),
        )
    rest_c = SKIN_C if worn else AMBIENT_C
    return CapTemperatures(
        approach(cap.front_c, rest_c, CAP_WARMING_TAU_S, dt_s),
        approach(cap.back_c, rest_c, CAP_WARMING_TAU_S, dt_s),
        approach(cap.safety_c, rest_c, CAP_WARMING_TAU_S, dt_s),
    )


def at_temperature(coolant: Coolant, cap: CapTemperatures, set_point_c: float) -> bool:
    """Whether coolant and cap are within READY_WITHIN_C of their final temperatures."""
    coolant_cold = coolant.supply_c <= set_point_c + READY_WITHIN_C
    return coolant_cold and cap.front_c <= set_point_c + FRONT_ABOVE_SUPPLY_C + READY_WITHIN_C
