"""The enumerations of a session's flags and of the reasons that hold its increments."""

from enum import StrEnum


class Flag(StrEnum):
    """What a reviewer should check about a session. None of them changes the count."""

    AMBIGUOUS_LOCAL_TIME = "ambiguous_local_time"
    AMBULATORY_PUMP_RUNNING = "ambulatory_pump_running"
    BEYOND_AUTO_RELEASE_LIMIT = "beyond_auto_release_limit"
    BEYOND_ORDERED_DURATION = "beyond_ordered_duration"
    CLOCK_SKEW_CORRECTED = "clock_skew_corrected"
    CLOCK_STEP = "clock_step"
    COOLING_NOT_RUNNING_AT_INFUSION_END = "cooling_not_running_at_infusion_end"
    COUNTER_SHOWS_LOSS = "counter_shows_loss"
    CORRECTION_AFTER_RELEASE = "correction_after_release"
    CROSSES_MIDNIGHT = "crosses_midnight"
    DEVICE_TIMER_HINT = "device_timer_hint"
    FAULT_DURING_POST_INFUSION = "fault_during_post_infusion"
    IMPLICIT_STOP = "implicit_stop"
    INFUSION_END_BEFORE_START = "infusion_end_before_start"
    INFUSION_END_IN_FUTURE = "infusion_end_in_future"
    INFUSION_END_MISSING = "infusion_end_missing"
    INFUSION_END_WITHOUT_TIME = "infusion_end_without_time"
    INFUSION_INTERRUPTED = "infusion_interrupted"
    INFUSION_MISSING = "infusion_missing"
    LATE_ENTRY = "late_entry"
    LEFT_FACILITY_WHILE_COOLING = "left_facility_while_cooling"
    NO_ORDER = "no_order"
    NO_PRECOOLING_BEFORE_INFUSION = "no_precooling_before_infusion"
    PATIENT_REASSIGNED = "patient_reassigned"
    PAUSE_EXCEEDED_TOLERANCE = "pause_exceeded_tolerance"
    PAUSED_UNTIL_STOP = "paused_until_stop"
    POST_INFUSION_RESTART = "post_infusion_restart"
    PUMP_WITHOUT_ORDER = "pump_without_order"
    SENDER_CLOCK_AHEAD = "sender_clock_ahead"
    STATE_CHATTER = "state_chatter"
    STOP_AFTER_REMOVAL = "stop_after_removal"
    STOP_CONFLICT = "stop_conflict"
    TWO_DEVICES = "two_devices"
    UNIT_LOST = "unit_lost"
    UNOBSERVED_GAP = "unobserved_gap"


class HeldReason(StrEnum):
    """Why increments are attained but not to be released without a person."""

    UNBOUND = "unbound"  # no patient is known
    WEAK_EVIDENCE = "weak_evidence"  # circulation is proven less well than the policy asks
    POLICY_UNAPPROVED = "policy_unapproved"  # nobody has signed the policy
    POLICY_NOT_EFFECTIVE = "policy_not_effective"  # the session began before the policy's first day
    UNIT_LOST = "unit_lost"  # the unit went offline while cooling and did not come back (P15)
    AGENT_CLASS_UNKNOWN = "agent_class_unknown"  # an order of unknown class is disregarded
    CHEMO_ORDERS_REMAIN = "chemo_orders_remain"  # P7
    BEYOND_AUTO_RELEASE_LIMIT = "beyond_auto_release_limit"  # P29
    BEYOND_ORDERED_DURATION = "beyond_ordered_duration"  # P29
    NO_ORDER = "no_order"  # P30
    REVISIONS_EXHAUSTED = "revisions_exhausted"  # past letter Z
    PREPARATION_MISSING = "preparation_missing"  # nobody charted the preparation, which is the evidence for 97008
    ADMINISTRATION_MISSING = "administration_missing"  # no report that chemotherapy was given
    EVIDENCE_LOST = "evidence_lost"  # a part of the ledger is lost that may have been about the session
    START_DISAGREES = "start_disagrees"  # a start would have taken back what was published
    IDENTITY_PURGED = "identity_purged"  # the identifiers of whom it would charge are not kept any more
    UNIT_SHARED = "unit_shared"  # another gateway read a unit of it too, or served its chair
    CLOCK_WRONG = "clock_wrong"  # the gateway's clock proved to be wrong by more than a minute while it went on
    TIME_UNKNOWN = "time_unknown"  # the cap cooled before, at a time that nobody knows
    DRY_RUN = "dry_run"  # the policy releases nothing
    SIGNED_BEFORE = "signed_before"  # more increments are attained than when it was signed
    EXPLAINED = "explained"  # a person stated why nothing is charged
