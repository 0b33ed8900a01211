"""The interface between drivers and gateway: Reading (one coherent poll of a unit) or ReadFault. Pure: frozen types."""

from enum import StrEnum

import msgspec


class Stamp(msgspec.Struct, frozen=True):
    """An instant on both clocks. Durations are computed from `boot_us` only; `utc_us` is for records."""

    utc_us: int  # microseconds since 1970-01-01T00:00:00Z
    boot_us: int  # microseconds of the boot clock, which is never stepped
    boot: str = ""  # id of the boot from which `boot_us` counts; "": unknown, so not comparable across processes


class RunState(StrEnum):
    """The state of a cap's circuit as the unit reports it. `ready`: running, and at temperature."""

    UNKNOWN = "unknown"
    STOPPED = "stopped"
    RUNNING = "running"
    READY = "ready"
    PAUSED = "paused"
    FAULT = "fault"


class Evidence(StrEnum):
    """The kind of evidence that coolant circulates, weakest first; `strength` gives the order."""

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
    NOT_READ = "not-read"  # in probe only: its block was not read
    UNDECIDED = "undecided"  # in probe only: a derived state whose inputs are missing


class Measurement(msgspec.Struct, frozen=True):
    """A value in its canonical unit, or the reason there is none. `value` is None exactly when quality is bad."""

    value: float | None
    unit: str  # canonical, UCUM: "Cel", "L/min", "bar", "1"
    quality: Quality = Quality.GOOD
    reason: Reason | None = None


class CapReading(msgspec.Struct, frozen=True):
    """The part of a reading that belongs to one cap."""

    cap: int  # 1-based
    run_state: RunState
    connected: bool | None  # None: the unit does not report it
    circulating: bool | None  # None: the unit does not report it, or its answer was unusable
    temperatures: dict[str, Measurement]  # canonical point name -> degC, e.g. cap_front, coolant_supply
    treatment: int | None = None  # the unit's own treatment number; with elapsed_s it proves continuity over a gap
    elapsed_s: int | None = None  # the unit's own counter of circulating seconds in that treatment


class Reading(msgspec.Struct, frozen=True):
    """The result of one complete poll of one unit."""

    unit: str
    observed_at: Stamp  # when the last byte of the last block was received
    caps: tuple[CapReading, ...]
    measurements: dict[str, Measurement]  # of the unit as a whole, by point name
    alarms: tuple[str, ...] = ()  # canonical codes
    serial_number: str | None = None


class FaultKind(StrEnum):
    """Why a poll gave no reading; the closed set used by counters and logs."""

    LINE_DOWN = "line-down"  # the port or connection is not open
    TIMEOUT = "timeout"  # no usable answer before the deadline
    REFUSED = "refused"  # exception 01-03: the profile does not fit this unit
    BUSY = "busy"  # exception 05, 06
    DEVICE_FAILURE = "device-failure"  # exception 04
    UNREACHABLE = "unreachable"  # exception 0A-10: the device server answers, the unit behind it does not
    GARBLED = "garbled"  # an answer that is damaged, or that the profile cannot decode
    WRONG_IDENTITY = "wrong-identity"  # another unit answers at this address
    NEEDS_CONSENT = "needs-consent"  # its communication watchdog is armed: it is not polled without consent


class ReadFault(msgspec.Struct, frozen=True):
    """A poll without a reading. It never carries a value."""

    unit: str
    at: Stamp
    kind: FaultKind
    detail: str


def stamp_of(answer: Reading | ReadFault) -> Stamp:
    """When the poll was answered, or not."""
    return answer.observed_at if isinstance(answer, Reading) else answer.at
