"""Facts: the immutable input of the tracker. A fact says what happened, when, when it was received and from whom.

Two facts that differ in `known_at_us` alone are one fact received twice; the first receipt counts, so that receiving a
fact is idempotent. Facts are never changed: a correction is another fact. Their JSON form (`fact` names the kind) is
what the ledger keeps. Every fact says in `concerns` which units, patients and sessions it is about.

What a person tells has that person's name as stated, and in `login` and `role` what the gateway itself knew of who told
it (`gateway.ledger.access.Actor`); both are "" in facts of messages and of earlier versions.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.session.fact_types import (
    AgentClass,
    CapLoss,
    CapRef,
    ClockDoubt,
    ClockState,
    Continuity,
    EndSource,
    SharedBy,
    ToleranceFinding,
    WorkKind,
)
from gateway.session.flags import HeldReason

Key = tuple[Literal["unit", "cap", "moved", "patient", "token", "work", "clock", "rules", "swap", "act"], str]
Scalar = bool | int | float | str


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="fact"):
    """The fields of every fact. Instants are UTC microseconds, already corrected for skew and clock steps."""

    at_us: int  # when it happened
    known_at_us: int  # when it was received

    @property
    def concerns(self) -> tuple[Key, ...]:
        """What the fact is about: a unit as a whole or one of its caps, patients, a session; the key to find it by."""
        return ()

    @property
    def at_cap(self) -> CapRef | None:
        """The cap that the fact is about, if it is about one."""
        return None

    @property
    def message_id(self) -> str:
        """The id of the message that reported the fact; "" if none did."""
        return ""


CLOCK_JUDGED: Key = ("clock", "judged")  # what is known of the gateway's clock
RULES: Key = ("rules", "")  # facts about the counting rules, which concern every session


def cap_key(cap: CapRef) -> Key:
    """The key of what concerns one cap."""
    return "cap", f"{cap.device}/{cap.channel}"


def act_key(login: str, key: str) -> Key:
    """The key of the act to which an account gave `key`."""
    return "act", f"{login} {key}"


def _keys(cap: CapRef | None = None, *, unit: str = "", patient: str = "", token: str = "") -> tuple[Key, ...]:
    """The keys that are not empty."""
    keys: list[Key] = [] if cap is None else [cap_key(cap)]
    if unit:
        keys.append(("unit", unit))
    if patient:
        keys.append(("patient", patient))
    if token:
        keys.append(("token", token))
    return tuple(keys)


class _CapFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    cap: CapRef
    patient: str = ""  # the subject, where the sender knew it: a visit, or a case's patient; never a person's name
    person: str = ""  # the person who reported it, if any
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(self.cap, patient=self.patient)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap


class CoolingStarted(_CapFact, frozen=True, kw_only=True, omit_defaults=True, tag="cooling_started"):
    """Coolant circulates through the cap. A second start while it runs changes nothing."""

    evidence: str = ""  # how the unit proves circulation: a value of drivers.reading.Evidence; "" in hand-made facts
    serial_number: str = ""  # the unit's, as read


class CoolingStopped(_CapFact, frozen=True, tag="cooling_stopped"):
    """Coolant no longer circulates through the cap."""


class CoolingPaused(_CapFact, frozen=True, tag="cooling_paused"):
    """Circulation is interrupted: cap disconnected, a state the unit itself calls a pause, or what `reason` names."""


class CoolingResumed(_CapFact, frozen=True, tag="cooling_resumed"):
    """The pause is over."""


class CapRemoved(_CapFact, frozen=True, tag="cap_removed"):
    """The cap came off the patient: an end of cooling whatever the machine says (P13)."""


class _PatientEndFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    cap: CapRef | None = None  # None: every cap of the patient
    patient: str = ""
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(self.cap, patient=self.patient)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap


class CoolingStopCharted(_PatientEndFact, frozen=True, kw_only=True, omit_defaults=True, tag="cooling_stop_charted"):
    """A person charted the end of cooling."""

    source: str = ""


class PatientLeft(_PatientEndFact, frozen=True, kw_only=True, omit_defaults=True, tag="patient_left_facility"):
    """The patient left the suite, perhaps with a portable cap (P28)."""

    source: str = ""  # "adt": the EHR closed the visit


class DepartureCancelled(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="departure_cancelled"):
    """The EHR closed the visit by mistake: the departures it reported before are void."""

    patient: str
    msg: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(patient=self.patient)

    @property
    def message_id(self) -> str:
        return self.msg


class DevicePostTimerStarted(_CapFact, frozen=True, tag="device_post_timer_started"):
    """The unit began its own post-infusion countdown: a hint, never evidence (P19)."""


class _UnitFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    device: str

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(unit=self.device)


class UnitFaulted(_UnitFact, frozen=True, kw_only=True, omit_defaults=True, tag="unit_fault"):
    """A fault of the unit: every cap of it counts as paused from the first bad poll (P14)."""

    code: str = ""


class FaultCleared(_UnitFact, frozen=True, kw_only=True, omit_defaults=True, tag="fault_cleared"):
    """The unit's fault is over: the one with `code`, or all of them where none is named."""

    code: str = ""


class UnitOffline(_UnitFact, frozen=True, kw_only=True, omit_defaults=True, tag="unit_offline"):
    """From `at_us`, the last good reading, the unit's state is unknown."""

    reason: str = ""


class UnitOnline(_UnitFact, frozen=True, kw_only=True, omit_defaults=True, tag="unit_online"):
    """The unit is readable again; `continuity` says whether it proves that every cap went on as it was.

    If not, `unproven` and `lost` name the caps concerned; where they name none, nothing is proven of any cap.
    """

    continuity: Continuity = Continuity.UNPROVEN
    unproven: tuple[int, ...] = ()  # channels of which nothing is proven
    lost: tuple[CapLoss, ...] = ()  # of caps that cooled before and after: for how long they did not in between


class _SharingFact(_UnitFact, frozen=True, kw_only=True, omit_defaults=True):
    gateway: str  # the other one
    unit: str  # as the other one names it


class UnitShared(_SharingFact, frozen=True, kw_only=True, omit_defaults=True, tag="unit_shared"):
    """Another gateway of the site reads the unit too, from `at_us` on, so both count the same cooling.

    Recorded again while it lasts, so that the newest such fact is never older than `sharing.RESTATED_US`.
    """

    by: SharedBy


class UnitSharingEnded(_SharingFact, frozen=True, tag="unit_sharing_ended"):
    """The other gateway has not read the unit since `at_us`."""


class UnitSwapped(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="unit_swapped"):
    """From now on `loaner` replaces a configured unit; if both names are equal, the unit itself is back.

    None means the value of the replaced unit. It changes no count: the facts about caps and patients beside it do.
    """

    unit: str
    loaner: str
    profile: str | None = None
    unit_id: int | None = None
    url: str | None = None  # of the line
    overrides: tuple[tuple[str, Scalar], ...] = ()
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (("swap", ""),)


class _InfusionFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A statement about an order as a whole, or about one of its administrations: a bag, a dose, an entry of the chart.

    A later chart entry about an administration replaces the earlier ones.
    """

    order: str
    patient: str = ""
    admin: AgentClass | None = None  # None: the sender did not say
    presumed: bool = False  # `admin` is assumed, as no source stated it; any class that is reported overrides it
    msg: str = ""  # the sender's message id
    skew_s: float = 0.0  # what was corrected in at_us for the sender's clock
    ambiguous: bool = False  # local time without offset in a repeated hour (P26)
    other_reading_us: int | None = None  # the other instant an ambiguous local time may mean
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""
    administration: str = ""  # the sender's number of the order's administration; "": the order as a whole
    charted_us: int | None = None  # when it was charted, by the sender's clock; None: as received
    began_us: int | None = (
        None  # where one number stands for several administrations: the instant that tells them apart
    )
    replaces: bool = False  # an update; it also replaces entries of the administration with another `began_us`
    of_order: bool = False  # a step of the chart, such as "stopped": about everything of the order that ran then

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(patient=self.patient)

    @property
    def message_id(self) -> str:
        return self.msg


class _InfusionBegun(_InfusionFact, frozen=True, kw_only=True, omit_defaults=True):
    """An agent runs. With `replaces` it was charted as running, which withdraws an end that was charted before."""

    source: EndSource = EndSource.MAR  # an order that only a pump names keeps no infusion open


class InfusionStarted(_InfusionBegun, frozen=True, kw_only=True, omit_defaults=True, tag="infusion_started"):
    """An agent began to run."""


class InfusionEnded(_InfusionFact, frozen=True, kw_only=True, omit_defaults=True, tag="infusion_ended"):
    """An agent ended. Counts from here once it is the last (P4)."""

    source: EndSource = EndSource.MAR
    remaining_chemo_orders: int | None = None  # > 0: hold until they end or are cancelled (P7)
    no_time: bool = False  # charted with a date alone: `at_us` is no instant (P19)


class InfusionRestarted(_InfusionBegun, frozen=True, kw_only=True, omit_defaults=True, tag="infusion_restarted"):
    """An agent ran again: the same order after a hold, or the next order."""


class InfusionEndCorrected(_InfusionFact, frozen=True, kw_only=True, omit_defaults=True, tag="infusion_end_corrected"):
    """The charted end was changed to `new_end_us`; the highest version of an order as a whole wins (P18)."""

    version: int
    new_end_us: int
    source: EndSource = EndSource.MAR


class InfusionEndVoided(_InfusionFact, frozen=True, kw_only=True, omit_defaults=True, tag="infusion_end_voided"):
    """Chart entries were withdrawn: the ends of an order, or all entries of an administration.

    With a version, the ends up to and including that version; without one, everything charted before.
    """

    version: int | None = None


class FlushStarted(_InfusionBegun, frozen=True, kw_only=True, omit_defaults=True, tag="flush_started"):
    """A line flush began (P5)."""


class FlushEnded(_InfusionFact, frozen=True, kw_only=True, omit_defaults=True, tag="flush_ended"):
    """A line flush ended (P5)."""


class PatientBound(_CapFact, frozen=True, kw_only=True, omit_defaults=True, tag="patient_bound"):
    """The cap serves `patient` from `at_us` on; `evidence` names how that was established."""

    evidence: str = ""  # "scan", "chair", "person"
    msg: str = ""

    @property
    def message_id(self) -> str:
        return self.msg


class PatientReleased(_CapFact, frozen=True, kw_only=True, omit_defaults=True, tag="patient_released"):
    """The cap no longer serves `patient`."""

    msg: str = ""

    @property
    def message_id(self) -> str:
        return self.msg


class BindingVoided(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="binding_voided"):
    """The cap never served `patient`: the bindings of both that were received before are void."""

    cap: CapRef
    patient: str
    msg: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(self.cap, patient=self.patient)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap

    @property
    def message_id(self) -> str:
        return self.msg


class PatientReassigned(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="patient_reassigned"):
    """The last session on that cap that began before `began_before_us` belongs to another patient, as a whole."""

    cap: CapRef
    from_patient: str  # "" while nobody was known
    to_patient: str
    began_before_us: int = 0  # 0: before the fact was reported
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        cap = cap_key(self.cap)
        return cap, ("moved", cap[1]), ("patient", self.from_patient), ("patient", self.to_patient)

    @property
    def limit_us(self) -> int:
        """Sessions that began later are not moved."""
        return self.began_before_us or max(self.at_us, self.known_at_us)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap


class SessionOpened(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="session_opened"):
    """A session began on `cap`: its token, drawn once, and the policy pinned for it, text and all."""

    token: str  # 9 characters
    cap: CapRef
    policy: str  # the policy file's text; in an entry of the ledger perhaps its name (gateway.ledger.policies)
    patient: str = ""  # only for a session that a reassignment opened; otherwise the cap's facts give the patient

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(self.cap, patient=self.patient, token=self.token)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap


class SessionFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about a session: named by its token, or by its patient where the sender knew no token."""

    patient: str = ""
    token: str = ""
    person: str = ""  # who reported it, by the site's name for that person
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(patient=self.patient, token=self.token)


class SessionFinalized(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="session_finalized"):
    """A person closed the session (P21)."""

    units: int | None = None  # number of increments when it was signed; None: the sender did not know


class SessionExplained(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="session_explained"):
    """A person states why nothing is charged of the session."""

    units: int  # number of increments at that time


class HoldLifted(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="hold_lifted"):
    """A person releases increments in spite of `holds`, the codes of the reasons that held them."""

    holds: tuple[str, ...]
    units: int | None = None  # number of increments released; None: recorded by an earlier version


class CorrectionDecided(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="correction_decided"):
    """A person decides about the correction of a charge that no longer agrees with the count (P22)."""

    charge: str  # the charge's key
    approved: bool  # True: credit it and charge anew


class PreparationCharted(SessionFact, frozen=True, tag="preparation_charted"):
    """Hair preparation, cap placement and pre-cooling were charted: the evidence for 97008."""


class ToleranceChecked(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="tolerance_checked"):
    """A person checked how the patient tolerates the cooling; None: not checked."""

    vital_signs: ToleranceFinding | None = None
    comfort: ToleranceFinding | None = None
    scalp: ToleranceFinding | None = None


class CapIdentified(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="cap_identified"):
    """Which cap the patient wears: its identifier and lot, as printed on it."""

    cap_id: str
    lot: str = ""


class EvidenceLost(SessionFact, frozen=True, tag="evidence_lost"):
    """Entries of the ledger were lost while the session was under way; some may have been about it."""


class GatewayHold(SessionFact, frozen=True, kw_only=True, tag="gateway_hold"):
    """The gateway itself holds the session, for what no fact of the treatment shows, until a person lifts that."""

    hold: HeldReason


class NoteAdded(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="note_added"):
    """A free remark for whoever reviews the session. It must name no patient: the ledger keeps it for good."""

    text: str


class TaskAssigned(SessionFact, frozen=True, kw_only=True, omit_defaults=True, tag="task_assigned"):
    """Who sees to what waits of a session, or of an item of the work list. It changes no count."""

    to: str  # a person or a role; "": nobody any more
    item: str = ""  # where no token is given: as `session.worklist.item_id` names it, or `REJECTED`

    @property
    def concerns(self) -> tuple[Key, ...]:
        return super().concerns or (("work", ""),)


class OrderChecked(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="order_check"):
    """Whether the order for scalp cooling was found, and how long it asks for (P29, P30)."""

    found: bool
    patient: str = ""
    ordered_post_minutes: float | None = None
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return _keys(patient=self.patient)


class ClockStepped(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="clock_stepped"):
    """A wall clock was stepped by `step_s`; instants of facts are already corrected (P25)."""

    source: str
    step_s: float

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (("clock", ""),)


class ClockJudged(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="clock_judged"):
    """How far the gateway's clock is to be believed from here on; recorded at a boot's first start and at each change.

    It changes no count. `doubt` and what follows it are of a start before which nothing was recorded for a while: as
    the clock was not believed then, the answers of the units from that time were stamped anew by the boot clock.
    """

    state: ClockState
    boot: str = ""  # names the boot of the gateway's machine; "": not known
    boot_us: int = 0  # `at_us` by the clock of that boot
    max_error_us: int | None = None  # by the kernel's estimate
    doubt: ClockDoubt | None = None
    waited_us: int = 0  # how long nothing was recorded
    corrected_us: int = 0  # what the stamps of that time lacked
    person: str = ""  # who said that the clock is right, where nothing else did
    reason: str = ""
    login: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (CLOCK_JUDGED,)


class ActTold(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="act_told"):
    """The key of a person's act, recorded with its facts: it is carried out once, however often it is sent."""

    login: str
    key: str
    recorded: tuple[str, ...]  # the kinds of its facts

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (act_key(self.login, self.key),)


class RulesChanged(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="rules_changed"):
    """From the next fact on, the counting rules of another revision hold (`session.rules`)."""

    revision: int

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (RULES,)


class WorkRaised(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="work_raised"):
    """A work item: something about a cap or a patient that a person must check. It changes no count."""

    what: WorkKind
    cap: CapRef | None = None
    patient: str = ""
    order: str = ""
    msg: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (("work", ""),)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap

    @property
    def message_id(self) -> str:
        return self.msg


class WorkDone(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="work_done"):
    """A person closed a work item."""

    item: str  # as `session.worklist.item_id` names it
    cap: CapRef | None = None  # cap and patient as in the item
    patient: str = ""
    person: str
    reason: str = ""
    login: str = ""
    role: str = ""

    @property
    def concerns(self) -> tuple[Key, ...]:
        return (("work", ""),)

    @property
    def at_cap(self) -> CapRef | None:
        return self.cap


class TreatmentMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cap's own treatment counters at an instant; they can prove that it cooled while the unit was offline (P15)."""

    channel: int
    treatment: int
    elapsed_s: int
    at_us: int | None = None  # when they were read, UTC; None: at the instant of the fact


class ObservedUntil(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="observed_until"):
    """The state of the unit's caps is known, by good readings, up to `at_us`. Only this lets an increment be attained.

    The ledger holds one fact for all units together (`UnitsObserved`); earlier versions recorded one for each unit.
    """

    device: str
    marks: tuple[TreatmentMark, ...] = ()
    boot: str = ""  # names the boot of the gateway's machine; "": not known
    boot_us: int = 0  # `at_us` by the clock of that boot


class CapCounters(msgspec.Struct, frozen=True, array_like=True):
    """A cap's `TreatmentMark` in `UnitsObserved`, as an array."""

    channel: int
    treatment: int
    elapsed_s: int
    before_us: int = 0  # how long before the unit's instant they were read; negative: after it


class UnitMark(msgspec.Struct, frozen=True, array_like=True):
    """How far one unit is observed in `UnitsObserved`, as an array."""

    device: str
    before_us: int  # how long before the fact's instants
    caps: tuple[CapCounters, ...] = ()


class UnitsObserved(Fact, frozen=True, kw_only=True, omit_defaults=True, tag="units_observed"):
    """`ObservedUntil` of several units whose readings have the same clocks; `at_us` is the latest of them.

    It is recorded each minute, so it is compact and not indexed: only the newest one of each unit is ever needed.
    """

    units: tuple[UnitMark, ...]
    boot: str = ""  # names the boot of the gateway's machine; "": not known
    boot_us: int = 0  # `at_us` by the clock of that boot


AnyFact = (
    CoolingStarted
    | CoolingStopped
    | CoolingPaused
    | CoolingResumed
    | CapRemoved
    | CoolingStopCharted
    | PatientLeft
    | DepartureCancelled
    | DevicePostTimerStarted
    | UnitFaulted
    | FaultCleared
    | UnitOffline
    | UnitOnline
    | UnitShared
    | UnitSharingEnded
    | UnitSwapped
    | InfusionStarted
    | InfusionEnded
    | InfusionRestarted
    | InfusionEndCorrected
    | InfusionEndVoided
    | FlushStarted
    | FlushEnded
    | PatientBound
    | PatientReleased
    | BindingVoided
    | PatientReassigned
    | SessionOpened
    | SessionFinalized
    | SessionExplained
    | HoldLifted
    | CorrectionDecided
    | PreparationCharted
    | ToleranceChecked
    | CapIdentified
    | EvidenceLost
    | GatewayHold
    | NoteAdded
    | TaskAssigned
    | OrderChecked
    | WorkRaised
    | WorkDone
    | ClockStepped
    | ClockJudged
    | ActTold
    | RulesChanged
    | ObservedUntil
    | UnitsObserved
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyFact)


def encode_fact(fact: AnyFact) -> bytes:
    """The fact as canonical JSON: fields in the order of their declaration, defaults left out."""
    return _encoder.encode(fact)


def decode_fact(text: bytes | str) -> AnyFact:
    """Inverse of `encode_fact`. Raises msgspec.ValidationError on anything else."""
    return _decoder.decode(text)


def deduplicated(facts: Iterable[AnyFact]) -> tuple[AnyFact, ...]:
    """Each fact once, as first received, in an order that depends on the facts alone."""
    first: dict[AnyFact, AnyFact] = {}
    for fact in facts:
        content = msgspec.structs.replace(fact, known_at_us=0)
        before = first.get(content)
        if before is None or fact.known_at_us < before.known_at_us:
            first[content] = fact
    return tuple(sorted(first.values(), key=lambda fact: (fact.at_us, fact.known_at_us, encode_fact(fact))))
