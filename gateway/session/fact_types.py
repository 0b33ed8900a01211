"""The enumerations that facts use, and the reference to a cap."""

from enum import StrEnum

import msgspec


class CapRef(msgspec.Struct, frozen=True, order=True):
    """One cap of one unit: a coolant circuit for one patient."""

    device: str
    channel: int  # 1-based

    @property
    def name(self) -> str:
        """As people write and read it: `cap-07:1`."""
        return f"{self.device}:{self.channel}"


class AgentClass(StrEnum):
    """What an order infuses, as far as counting needs to know (billing rules P4-P6)."""

    CHEMO = "chemo"
    BIOLOGIC = "biologic_under_chemo_admin"
    HYDRATION = "hydration"
    FLUSH = "flush"
    AMBULATORY_PUMP = "ambulatory_pump"


class EndSource(StrEnum):
    """Who reported that an infusion ended. A pump's report is a hint and never starts a count."""

    MAR = "mar"
    ENGINE_FINAL = "engine-final"
    PERSON = "person"
    PUMP = "pump"


class Continuity(StrEnum):
    """Whether the unit itself proves what it did while it was offline (P15)."""

    PROVEN = "proven"
    UNPROVEN = "unproven"


class CapLoss(msgspec.Struct, frozen=True):
    """How much of an offline span one cap did not cool, by its own counters, microseconds."""

    channel: int
    lost_us: int


class SharedBy(StrEnum):
    """The evidence that two gateways read one machine, or serve one chair."""

    SERIAL_NUMBER = "serial_number"
    LINE = "line"
    CHAIR = "chair"


class ClockState(StrEnum):
    """How far the instants that the gateway gives are to be believed."""

    TRUSTED = "trusted"  # a time service keeps the clock, to a second or better
    HOLDOVER = "holdover"  # it was trusted since the boot; the boot clock, or a service that is worse, goes on
    UNSYNCHRONISED = "unsynchronised"  # nothing contradicts the clock, and nothing vouches for it
    UNTRUSTED = "untrusted"  # it has proved to be wrong


class ClockDoubt(StrEnum):
    """Why nothing is counted by a wall clock."""

    BEFORE_RELEASE = "before_release"  # it shows a time before this version was released
    BEFORE_LAST = "before_last"  # it shows a time before the ledger's last entry
    FAR_AFTER = "far_after"  # so long after the last entry that something must vouch for it
    NOT_SYNCHRONISED = "not_synchronised"  # the site requires a time service
    JUST_BOOTED = "just_booted"  # a time service may still come


class ToleranceFinding(StrEnum):
    """What a tolerance check found."""

    OK = "ok"
    CONCERN = "concern"


class WorkKind(StrEnum):
    """The kinds of work items: what messages of the EHR, or the gateway itself, leave to a person."""

    CHAIR_TAKEN = "chair_taken"  # the EHR places a patient at a cap that serves another one: not bound
    CAP_TAKEN_OVER = "cap_taken_over"  # a confirmed association ended another patient's
    CHAIR_DISAGREES = "chair_disagrees"  # the message's chair serves another patient than its visit
    VISIT_CANCELLED = "visit_cancelled"  # the EHR cancelled a visit that a cap served
    LEDGER_DAMAGED = "ledger_damaged"  # the session was under way when a damaged ledger was set aside
    UNIT_SHARED = "unit_shared"  # another gateway of the site reads the unit too, or serves its chair
    ENTRIES_LOST = "entries_lost"  # from `at_us` on entries may be lost: the engine must send again what it sent since
    MESSAGES_MISSED = "messages_missed"  # the broker may not have kept what the engine sent from `at_us` to receipt
    START_DISAGREES = "start_disagrees"  # a restart's recount would have retracted what was published of the session
    SESSION_DEFECT = "session_defect"  # a defect of the gateway kept the session from being assessed or recorded
    PATIENT_UNCLEAR = "patient_unclear"  # a message's numbers may mean this patient or another: it was not taken
    VISITS_JOINED = "visits_joined"  # the EHR merged two visits or patients known here: their records stay apart
    BEDS_SWAPPED = "beds_swapped"  # the EHR swaps the chairs of patients whose cooling is under way: not bound
    MOVED_ELSEWHERE = "moved_elsewhere"  # an update names another chair than that of the patient's cap: not bound
    ADMINISTRATION_WITHDRAWN = "administration_withdrawn"  # charted, then withdrawn: its order has no end now
    RECEIPTS_DISAGREE = "receipts_disagree"  # the engine both accepted and rejected a message that was sent once
    CLOCK_WRONG = "clock_wrong"  # the clock proved to be wrong after the session was charged
    TIME_UNKNOWN = "time_unknown"  # the cap cooled while the clock was wrong, and nothing says when that was
    UNKNOWN_WORD = "unknown_word"  # a code or word of the MAR that the site's vocabulary lacks: no fact came of it
