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
from gateway.session.wording import ENGLISH, Wording

_RESOLUTIONS = {
    TimestampResolution.EXACT: "Time is counted in exact seconds (P2).",
    TimestampResolution.CHART_MINUTES: "Time is counted from HH:MM to HH:MM, as a chart has it (P2).",
}
_BEGINNINGS = {
    InfusionEndBasis.LAST_CHEMO_ADMIN_AGENT: (
        "The count begins when the last agent given under chemotherapy administration codes ended (P4)."
    ),
    InfusionEndBasis.LAST_ALOPECIA_INDUCING_AGENT: (
        "The count begins when the last chemotherapy agent ended, whatever antibodies ran on (P4)."
    ),
    InfusionEndBasis.LINE_FLUSH_COMPLETE: (
        "The count begins when the last such agent and the line flush ended (P4, P5)."
    ),
    InfusionEndBasis.ALL_IV_STOP: "The count begins when the last agent, flush and hydration ended (P4, P5).",
}
_GAPS = {GapBetweenAgents.NOT_COUNTED: "Cooling between two agents does not count (P7)."}
_STOPS = {
    StopConflict.EARLIEST: "Of the machine's stop and a charted one, the earlier ends the count (P13).",
    StopConflict.DEVICE: "The machine's stop ends the count, whatever stop is charted (P13).",
}
_OFFLINE = {
    OfflineUnproven.EXCLUDE: (
        "Time out of sight counts only as far as the unit's own counters prove it (P15);"
        " out of sight is a silence longer than {silence}."
    ),
    OfflineUnproven.BRIDGE: (
        "Time out of sight counts where cooling went on before and after it (P15);"
        " out of sight is a silence longer than {silence}."
    ),
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
_HOME_PUMPS = {
    True: "A home pump counts as infusion (P6).",
    False: "A home pump does not count as infusion (P6).",
}
_ORDERS = {
    True: "More chemotherapy that is ordered holds the count (P7).",
    False: "More chemotherapy that is ordered does not hold the count (P7).",
}
_PAUSES = {
    PauseCounting.NET: "No interruption counts; one of up to {tolerance} does not end the count (P9, P12).",
    PauseCounting.GROSS_WITHIN_TOLERANCE: (
        "An interruption of up to {tolerance} counts once cooling has resumed (P9, P12)."
    ),
}
_STARTS = {
    True: "Cooling must go on from the infusion's end: what starts later counts nothing (P11).",
    False: "Cooling that starts after the infusion's end counts too (P11).",
}
_THAWS = {
    True: "Time from the machine's stop to the cap's removal counts (P13).",
    False: "Time from the machine's stop to the cap's removal does not count (P13).",
}
_CREDITS = {
    True: "A charge that proves wrong is corrected at once (P22).",
    False: "A charge that proves wrong is corrected by a person (P22).",
}
_DEPARTURES = {
    True: "Time after the patient left counts (P28).",
    False: "Time after the patient left does not count (P28).",
}
_PREPARATIONS = {
    True: "A charge needs the charted preparation (97008).",
    False: "A charge does not need the charted preparation (97008).",
}
_ADMINISTRATIONS = {
    True: "A charge needs the report that chemotherapy was given.",
    False: "A charge does not need the report that chemotherapy was given.",
}


def policy_sentences(policy: Policy, say: Wording = ENGLISH) -> Iterator[str]:
    """What the policy decides, in the order of the rules."""
    yield say(
        "Unit 1 takes {first} of counted cooling, each further unit {further} more (P1).",
        first=_length(policy.first_threshold_s),
        further=_length(policy.increment_s),
    )
    yield say(_RESOLUTIONS[policy.timestamp_resolution])
    yield say(_BEGINNINGS[policy.infusion_end_basis])
    yield say(_HOME_PUMPS[policy.ambulatory_pump_counts_as_infusion])
    yield say(_GAPS[policy.gap_between_agents])
    yield say(_ORDERS[policy.hold_when_orders_remain])
    yield from _interruptions(policy, say)
    yield say(_THAWS[policy.count_thaw])
    yield say(_STOPS[policy.stop_conflict])
    silence = say("three poll periods") if policy.max_gap_s is None else f"{say.number(policy.max_gap_s)} s"
    yield say(_OFFLINE[policy.offline_unproven], silence=silence)
    yield say("Circulation needs at least this proof: {proof}.", proof=say(PROOF_TEXTS[policy.min_evidence]))
    yield say("A session is final when signed, or {hours} h after cooling ended (P21).", hours=policy.finalise_after_h)
    yield say(_CREDITS[policy.automatic_credit])
    yield say("Days are those of {timezone} (P27).", timezone=policy.timezone)
    yield say(_DEPARTURES[policy.count_after_departure])
    yield say("More than {count} units are held for a look (P29).", count=policy.auto_release_limit_units)
    if policy.second_person:
        yield say("A hold is lifted by two persons.")
    idle = _length(policy.session_idle_s)
    yield say("On a cap without a patient, a start {idle} or more after a stop is another session.", idle=idle)
    yield say(_LINES[policy.charge_lines])
    yield say(_PREPARATIONS[policy.require_preparation])
    yield say(_ADMINISTRATIONS[policy.require_administration])
    if mode := _MODES[policy.release]:
        yield say(mode)


def _interruptions(policy: Policy, say: Wording) -> Iterator[str]:
    yield say(_PAUSES[policy.pause_counting], tolerance=_length(policy.pause_tolerance_s))
    if policy.min_pause_s:
        shortest = _length(policy.min_pause_s)
        yield say("Interruptions shorter than {length} are chatter and count (P31).", length=shortest)
    yield say(_STARTS[policy.continuity_required])


def _length(length_s: int) -> str:
    return length_text(length_s * US_PER_S)
