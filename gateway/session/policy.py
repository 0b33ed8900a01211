"""The policy: every choice that the billing rules leave open, as one frozen value, and its TOML file. Pure.

The site's compliance officer decides every value. Under a policy with an empty `approved_by` increments are counted
and held. Rule numbers (P1 to P31) are those of docs/how-97009-is-counted.md.
"""

import tomllib
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_validator,
)

from drivers.reading import Evidence


class PolicyError(ValueError):
    """An invalid policy text; the message names every problem, one a line."""


class PauseCounting(StrEnum):
    """Whether a short interruption counts (P9)."""

    NET = "net"
    GROSS_WITHIN_TOLERANCE = "gross_within_tolerance"


class InfusionEndBasis(StrEnum):
    """Which end starts the count (P4, P5)."""

    LAST_CHEMO_ADMIN_AGENT = "last_chemo_admin_agent"
    LAST_ALOPECIA_INDUCING_AGENT = "last_alopecia_inducing_agent"
    LINE_FLUSH_COMPLETE = "line_flush_complete"
    ALL_IV_STOP = "all_iv_stop"


class TimestampResolution(StrEnum):
    """Exact elapsed time, or the subtraction of charted HH:MM (P2)."""

    EXACT = "exact"
    CHART_MINUTES = "chart_minutes"


class OfflineUnproven(StrEnum):
    """How offline time without the unit's own proof counts (P15)."""

    EXCLUDE = "exclude"
    BRIDGE = "bridge"


class StopConflict(StrEnum):
    """Whether a charted stop may end the count before the machine's (P13)."""

    EARLIEST = "earliest"
    DEVICE = "device"


class ChargeLines(StrEnum):
    """How increments become billing lines."""

    QUANTITY = "quantity"  # one line of n units
    PER_INCREMENT = "per_increment"  # n lines of one unit


class GapBetweenAgents(StrEnum):
    """What cooling between the end of one agent and the start of the next counts."""

    NOT_COUNTED = "not_counted"  # it is cooling during the infusion


class ReleaseMode(StrEnum):
    """Whether increments become charges at all."""

    CHARGE = "charge"
    DRY_RUN = "dry_run"  # everything is worked out and held


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Every value that counting depends on. Times in seconds; rule numbers (P1 to P31) are the billing rules'."""

    name: str = "midpoint"
    revision: str = "1"
    effective: date = date(2026, 1, 1)
    approved_by: str = ""  # empty: increments are held
    first_threshold_s: int = 960  # P1: net cooling that attains unit 1
    increment_s: int = 1800  # P1: net cooling that each further unit takes
    timestamp_resolution: TimestampResolution = TimestampResolution.EXACT  # P2
    infusion_end_basis: InfusionEndBasis = InfusionEndBasis.LAST_CHEMO_ADMIN_AGENT  # P4, P5
    ambulatory_pump_counts_as_infusion: bool = False  # P6
    gap_between_agents: GapBetweenAgents = GapBetweenAgents.NOT_COUNTED  # P7: the only accepted value
    hold_when_orders_remain: bool = True  # P7
    pause_counting: PauseCounting = PauseCounting.NET  # P9
    pause_tolerance_s: int = 600  # P9, P10, P12
    continuity_required: bool = True  # P11, P12: cooling must go on from the infusion's end
    count_thaw: bool = False  # P13: time from the machine's stop to the removal of the cap
    stop_conflict: StopConflict = StopConflict.EARLIEST  # P13
    offline_unproven: OfflineUnproven = OfflineUnproven.EXCLUDE  # P15
    finalise_after_h: int = 72  # P21: from the end of cooling, unless a person signs
    timezone: str = "UTC"  # P27: whose calendar the service date is read from
    count_after_departure: bool = False  # P28
    auto_release_limit_units: int = 6  # P29
    min_pause_s: int = 0  # P31: shorter interruptions are chatter and count
    max_gap_s: float | None = None  # a longer silence is offline time; None: three poll periods
    min_evidence: Evidence = Evidence.REPORTED  # weaker proof of circulation holds the increments
    session_idle_s: int = 1800  # after a stop this long, a start of cooling on an unbound cap opens another session
    release: ReleaseMode = ReleaseMode.CHARGE
    charge_lines: ChargeLines = ChargeLines.QUANTITY
    automatic_credit: bool = False  # P22: a charge that proves wrong is corrected without a person
    require_preparation: bool = True  # hold without evidence for 97008
    require_administration: bool = True  # hold without evidence of the chemotherapy's administration
    second_person: bool = False  # a hold is lifted by two persons with accounts of their own

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that `timezone` names."""
        return ZoneInfo(self.timezone)


_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
_Seconds = Annotated[StrictInt, Field(ge=0, le=86400)]
_DEFAULTS = Policy()


class PolicyFile(BaseModel):
    """A policy's TOML file; keys without a default are required."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    revision: Annotated[str, Field(min_length=1, max_length=32)]
    effective: Annotated[date, Strict()]
    approved_by: Annotated[str, Field(max_length=128)] = _DEFAULTS.approved_by
    first_threshold_s: Annotated[StrictInt, Field(ge=1, le=86400)]
    increment_s: Annotated[StrictInt, Field(ge=1, le=86400)] = _DEFAULTS.increment_s
    timestamp_resolution: TimestampResolution = _DEFAULTS.timestamp_resolution
    infusion_end_basis: InfusionEndBasis = _DEFAULTS.infusion_end_basis
    ambulatory_pump_counts_as_infusion: StrictBool = _DEFAULTS.ambulatory_pump_counts_as_infusion
    gap_between_agents: GapBetweenAgents = _DEFAULTS.gap_between_agents
    hold_when_orders_remain: StrictBool = _DEFAULTS.hold_when_orders_remain
    pause_counting: PauseCounting = _DEFAULTS.pause_counting
    pause_tolerance_s: _Seconds = _DEFAULTS.pause_tolerance_s
    continuity_required: StrictBool = _DEFAULTS.continuity_required
    count_thaw: StrictBool = _DEFAULTS.count_thaw
    stop_conflict: StopConflict = _DEFAULTS.stop_conflict
    offline_unproven: OfflineUnproven = _DEFAULTS.offline_unproven
    finalise_after_h: Annotated[StrictInt, Field(ge=1, le=720)] = _DEFAULTS.finalise_after_h
    timezone: str = _DEFAULTS.timezone
    count_after_departure: StrictBool = _DEFAULTS.count_after_departure
    auto_release_limit_units: Annotated[StrictInt, Field(ge=0, le=99)] = _DEFAULTS.auto_release_limit_units
    min_pause_s: _Seconds = _DEFAULTS.min_pause_s
    max_gap_s: Annotated[StrictFloat, Field(gt=0, le=3600, allow_inf_nan=False)] | None = _DEFAULTS.max_gap_s
    min_evidence: Evidence = _DEFAULTS.min_evidence
    session_idle_s: Annotated[StrictInt, Field(ge=60, le=86400)] = _DEFAULTS.session_idle_s
    release: ReleaseMode = _DEFAULTS.release
    charge_lines: ChargeLines = _DEFAULTS.charge_lines
    automatic_credit: StrictBool = _DEFAULTS.automatic_credit
    require_preparation: StrictBool = _DEFAULTS.require_preparation
    require_administration: StrictBool = _DEFAULTS.require_administration
    second_person: StrictBool = _DEFAULTS.second_person

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (KeyError, ValueError, OSError):
            raise ValueError("no such time zone, accepted: a name such as America/New_York") from None

    def policy(self) -> Policy:
        """The same values as a frozen struct."""
        return Policy(**self.model_dump())


@lru_cache(maxsize=64)
def parse_policy(text: str) -> Policy:
    """Parse the TOML text of a policy, perhaps pinned long ago. Raises PolicyError with every problem."""
    try:
        return PolicyFile.model_validate(tomllib.loads(text), strict=False).policy()  # earlier versions took "960"
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise PolicyError("\n".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)) from None
