"""The port between the drivers and the gateway: one coherent answer of one unit, or the reason there is none.

Pure: frozen types alone.
"""

from enum import StrEnum

import msgspec


class Stamp(msgspec.Struct, frozen=True):
    """An instant as both clocks saw it. Durations come from `boot_us` alone; `utc_us` is for records."""

    utc_us: int  # microseconds since 1970-01-01T00:00:00Z
    boot_us: int  # microseconds of the boot clock, which steps never touch
    boot: str = ""  # names the boot from which `boot_us` counts; "": nothing is known of earlier processes


class RunState(StrEnum):
    """What a cap's circuit says it is doing. `ready` is running at temperature; session phases are no run states."""

    UNKNOWN = "unknown"
    STOPPED = "stopped"
    RUNNING = "running"
    READY = "ready"
    PAUSED = "paused"
    FAULT = "fault"


class Evidence(StrEnum):
    """How well a unit proves that coolant circulates, weakest first; `strength` gives the order."""

    NONE = "none"
    REPORTED = "reported"
    PUMP_BIT = "pump-bit"
    FLOW = "flow"

    @property
    def strength(self) -> int:
        """0 (none) to 3 (measured flow)."""
        return list(Evidence).index(self)


class Quality(StrEnum):
    """Whether a value may be used: `good`; `suspect` (shown, never evidence); `bad` (there is no value)."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"


class Reason(StrEnum):
    """Why a measurement is not good."""

    SENTINEL = "sentinel"
    UNPARSABLE = "unparsable"
    NOT_FINITE = "not-finite"
    OUT_OF_RANGE = "out-of-range"
    PROBE_FAULT = "probe-fault"
    FROZEN = "frozen"
    IMPOSSIBLE_SLOPE = "impossible-slope"
    NOT_READ = "not-read"  # probe alone: its block was not read
    UNDECIDED = "undecided"  # probe alone: a conclusion that rests on values which are missing


class Measurement(msgspec.Struct, frozen=True):
    """A value in its canonical unit, or the reason there is none. `value` is None exactly when quality is bad."""

    value: float | None
    unit: str  # canonical, UCUM: "Cel", "L/min", "bar", "1"
    quality: Quality = Quality.GOOD
    reason: Reason | None = None


class CapReading(msgspec.Struct, frozen=True):
    """One cap (coolant circuit, one patient) in one answer."""

    cap: int  # 1-based
    run_state: RunState
    connected: bool | None  # None: the unit cannot tell
    circulating: bool | None  # None: the unit cannot tell, or its answer was unusable
    temperatures: dict[str, Measurement]  # canonical point name -> degC, e.g. cap_front, coolant_supply
    treatment: int | None = None  # the unit's own number of the treatment; with elapsed_s the proof of continuity
    elapsed_s: int | None = None  # the unit's own count of circulating seconds in that treatment


class Reading(msgspec.Struct, frozen=True):
    """One coherent answer of one unit."""

    unit: str
    observed_at: Stamp  # when the last byte of the last block had come
    caps: tuple[CapReading, ...]
    measurements: dict[str, Measurement]  # what belongs to the whole unit
    alarms: tuple[str, ...] = ()  # canonical codes
    serial_number: str | None = None


class FaultKind(StrEnum):
    """Why a poll gave no reading. The closed list that counters and logs use."""

    LINE_DOWN = "line-down"  # the port or connection is not open
    TIMEOUT = "timeout"  # nothing usable came in time
    REFUSED = "refused"  # exception 01-03: the profile does not fit this unit
    BUSY = "busy"  # exception 05, 06
    DEVICE_FAILURE = "device-failure"  # exception 04
    UNREACHABLE = "unreachable"  # exception 0A-10: the device server answers, the unit behind it does not
    GARBLED = "garbled"  # answered, but not as the profile says
    WRONG_IDENTITY = "wrong-identity"  # another unit answers at this address
    NEEDS_CONSENT = "needs-consent"  # the unit would act by itself if polling stopped: it is not polled


class ReadFault(msgspec.Struct, frozen=True):
    """A poll without a reading. It never carries a value."""

    unit: str
    at: Stamp
    kind: FaultKind
    detail: str
