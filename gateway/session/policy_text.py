"""Says a policy's choices in sentences, each with the number of the rule that leaves it open. Pure."""

from collections.abc import Iterator

from drivers.reading import Evidence
from gateway.session.local_time import length_text
from gateway.session.policy import (
    ChargeLines,
    GapBetweenAgents,
    InfusionEndBasis,
    OfflineUnproven,
    PauseCounting,
    Policy,
    ReleaseMode,
    StopConflict,
    TimestampResolution,
)
from gateway.session.spans import US_PER_S

_RESOLUTIONS = {
    TimestampResolution.EXACT: "Time is counted in exact seconds (P2).",
    TimestampResolution.CHART_MINUTES: "Time is counted from HH:MM to HH:MM, as a chart has it (P2).",
}
_BEGINNINGS = {
    InfusionEndBasis.LAST_CHEMO_ADMIN_AGENT: "the last agent given under chemotherapy administration codes ended (P4)",
    InfusionEndBasis.LAST_ALOPECIA_INDUCING_AGENT: "the last chemotherapy agent ended, whatever antibodies ran on (P4)",
    InfusionEndBasis.LINE_FLUSH_COMPLETE: "the last such agent and the line flush ended (P4, P5)",
    InfusionEndBasis.ALL_IV_STOP: "the last agent, flush and hydration ended (P4, P5)",
}
_GAPS = {GapBetweenAgents.NOT_COUNTED: "Cooling between two agents does not count (P7)."}
_STOPS = {
    StopConflict.EARLIEST: "Of the machine's stop and a charted one, the earlier ends the count (P13).",
    StopConflict.DEVICE: "The machine's stop ends the count, whatever stop is charted (P13).",
}
_OFFLINE = {
    OfflineUnproven.EXCLUDE: "Time out of sight counts only as far as the unit's own counters prove it (P15)",
    OfflineUnproven.BRIDGE: "Time out of sight counts where cooling went on before and after it (P15)",
}
PROOF_TEXTS = {
    Evidence.NONE: "none",
    Evidence.REPORTED: "the unit's own report",
    Evidence.PUMP_BIT: "the pump's state",
    Evidence.FLOW: "measured flow",
}
_LINES = {
    ChargeLines.QUANTITY: "A charge is one line with all units.",
    ChargeLines.PER_INCREMENT: "Each unit is a charge line of its own.",
}
_MODES = {ReleaseMode.CHARGE: "", ReleaseMode.DRY_RUN: "Nothing is charged: this is a dry run."}


def policy_sentences(policy: Policy) -> Iterator[str]:
    """What the policy decides, in the order of the rules."""
    first, further = _length(policy.first_threshold_s), _length(policy.increment_s)
    yield f"Unit 1 takes {first} of counted cooling, each further unit {further} more (P1)."
    yield _RESOLUTIONS[policy.timestamp_resolution]
    yield f"The count begins when {_BEGINNINGS[policy.infusion_end_basis]}."
    yield f"A home pump {_does('count', policy.ambulatory_pump_counts_as_infusion)} as infusion (P6)."
    yield _GAPS[policy.gap_between_agents]
    yield f"More chemotherapy that is ordered {_does('hold', policy.hold_when_orders_remain)} the count (P7)."
    yield from _interruptions(policy)
    yield f"Time from the machine's stop to the cap's removal {_does('count', policy.count_thaw)} (P13)."
    yield _STOPS[policy.stop_conflict]
    silence = "three poll periods" if policy.max_gap_s is None else f"{policy.max_gap_s:g} s"
    yield f"{_OFFLINE[policy.offline_unproven]}; out of sight is a silence longer than {silence}."
    yield f"Circulation needs at least this proof: {PROOF_TEXTS[policy.min_evidence]}."
    yield f"A session is final when signed, or {policy.finalise_after_h} h after cooling ended (P21)."
    yield f"A charge that proves wrong is corrected {'at once' if policy.automatic_credit else 'by a person'} (P22)."
    yield f"Days are those of {policy.timezone} (P27)."
    yield f"Time after the patient left {_does('count', policy.count_after_departure)} (P28)."
    yield f"More than {policy.auto_release_limit_units} units are held for a look (P29)."
    if policy.second_person:
        yield "A hold is lifted by two persons."
    idle = _length(policy.session_idle_s)
    yield f"On a cap without a patient, a start {idle} or more after a stop is another session."
    yield _LINES[policy.charge_lines]
    yield f"A charge {_does('need', policy.require_preparation)} the charted preparation (97008)."
    yield f"A charge {_does('need', policy.require_administration)} the report that chemotherapy was given."
    if mode := _MODES[policy.release]:
        yield mode


def _interruptions(policy: Policy) -> Iterator[str]:
    tolerance = _length(policy.pause_tolerance_s)
    match policy.pause_counting:
        case PauseCounting.NET:
            yield f"No interruption counts; one of up to {tolerance} does not end the count (P9, P12)."
        case PauseCounting.GROSS_WITHIN_TOLERANCE:
            yield f"An interruption of up to {tolerance} counts once cooling has resumed (P9, P12)."
    if policy.min_pause_s:
        yield f"Interruptions shorter than {_length(policy.min_pause_s)} are chatter and count (P31)."
    if policy.continuity_required:
        yield "Cooling must go on from the infusion's end: what starts later counts nothing (P11)."
    else:
        yield "Cooling that starts after the infusion's end counts too (P11)."


def _does(verb: str, yes: bool) -> str:
    return f"{verb}s" if yes else f"does not {verb}"


def _length(length_s: int) -> str:
    return length_text(length_s * US_PER_S)
