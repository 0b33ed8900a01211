"""The last reading of a unit: what is shown of it, and what is not taken for a value."""

from pathlib import Path

import pytest

from drivers.reading import CapReading, FaultKind, Measurement, Quality, ReadFault, Reading, Reason, RunState, Stamp
from gateway.config.load import load_config
from gateway.telemetry.latest import LatestReadings
from tests.support.pipeline import EPOCH_US, configured

STEP_US = 30_000_000


def reading(at_us: int, **celsius: Measurement) -> Reading:
    cap = CapReading(1, RunState.RUNNING, True, True, celsius)
    return Reading("cap-01", Stamp(EPOCH_US + at_us, at_us), (cap,), {}, ("flow-low",))


def good(value: float) -> Measurement:
    return Measurement(value, "Cel")


@pytest.fixture
def latest(tmp_path: Path) -> LatestReadings:
    return LatestReadings(load_config(configured(tmp_path) / "gateway.toml").units)


def test_before_the_first_reading_there_is_none(latest: LatestReadings) -> None:
    last = latest.of("cap-01")
    assert (last.observed_us, last.fault, dict(last.caps), latest.trend("cap-01", 1)) == (None, None, {}, ())
    assert latest.stale_after_s == {"cap-01": 90.0}, "three polls"


def test_a_reading_is_shown_with_its_own_instant(latest: LatestReadings) -> None:
    latest.take(reading(7, cap_front=good(2.5), coolant_supply=good(-4.0)))
    last = latest.of("cap-01")
    assert (last.observed_us, last.alarms) == (EPOCH_US + 7, ("flow-low",))
    assert (last.caps[1].now.cap_c, last.caps[1].now.coolant_c) == (2.5, -4.0)


def test_a_value_that_is_not_good_is_none(latest: LatestReadings) -> None:
    frozen = Measurement(2.5, "Cel", Quality.SUSPECT, Reason.FROZEN)
    latest.take(reading(7, cap_front=frozen, cap_back=good(3.0), coolant_supply=frozen))
    assert (latest.of("cap-01").caps[1].now.cap_c, latest.of("cap-01").caps[1].now.coolant_c) == (3.0, None)


def test_a_fault_keeps_the_old_reading_old(latest: LatestReadings) -> None:
    latest.take(reading(7, cap_front=good(2.5)))
    latest.take(ReadFault("cap-01", Stamp(EPOCH_US + 99, 99), FaultKind.TIMEOUT, ""))
    last = latest.of("cap-01")
    assert (last.observed_us, last.fault) == (EPOCH_US + 7, FaultKind.TIMEOUT)
    latest.take(reading(200, cap_front=good(2.5)))
    assert latest.of("cap-01").fault is None


def test_the_trend_has_a_point_each_half_minute_of_an_hour(latest: LatestReadings) -> None:
    for step in range(400):
        latest.take(reading(step * STEP_US // 2, cap_front=good(step)))
    trend = latest.trend("cap-01", 1)
    assert len(trend) == 120
    assert [each.cap_c for each in trend[-3:]] == [394.0, 396.0, 398.0]
