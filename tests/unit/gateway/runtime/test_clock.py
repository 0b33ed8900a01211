"""The machine's clocks: stamps go on from those of an earlier process of the same boot, and of no other."""

from drivers.reading import Stamp
from gateway.runtime.clock import SystemClock

_HOUR_US = 3600 * 1_000_000
_SOON_US = 60 * 1_000_000  # a machine may be slow, but not so slow


def test_a_process_goes_on_from_the_stamps_of_its_boot() -> None:
    clock = SystemClock()
    before = clock.now()
    assert before.boot
    clock.resume(Stamp(before.utc_us + _HOUR_US, before.boot_us, before.boot))
    assert _HOUR_US <= clock.now().utc_us - before.utc_us < _HOUR_US + _SOON_US
    assert abs(clock.step_us() + _HOUR_US) < _SOON_US, "the wall clock now stands an hour behind the stamps"


def test_stamps_of_another_boot_say_nothing() -> None:
    clock = SystemClock()
    before = clock.now()
    for boot in ("", "another"):
        clock.resume(Stamp(before.utc_us + _HOUR_US, before.boot_us, boot))
        assert clock.now().utc_us - before.utc_us < _SOON_US
