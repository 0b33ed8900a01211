"""The record of one session, for whoever audits or pays: all that a reader must see, as values. Pure.

`gateway.audit.record_of` makes it of a ledger, `gateway.audit.record_words` puts it into words, and
`gateway.audit.record_page` shows these as a page or as text. Instants are UTC microseconds.
"""

from datetime import date

import msgspec

from drivers.reading import Evidence
from gateway.audit.reconcile import Placed
from gateway.ledger.deliveries import Proof
from gateway.messages.identity import Identity
from gateway.messages.notation import Mode
from gateway.session.charges import Charge
from gateway.session.corrections import CorrectionItem
from gateway.session.counting import Interval
from gateway.session.facts import AnyFact, CapRef, UnitSwapped
from gateway.session.flags import Flag, HeldReason
from gateway.session.increments import Change
from gateway.session.outcome import Missing
from gateway.session.policy import Policy
from gateway.session.spans import Span
from gateway.session.why import Why


class RecordedUnit(msgspec.Struct, frozen=True):
    """A unit that stands, and the cooling that it has beyond the unit before it."""

    key: str
    index: int  # 1 is the first
    attained_us: int
    intervals: tuple[Interval, ...]


class CapUse(msgspec.Struct, frozen=True):
    """A cap that cooled the patient."""

    cap: CapRef
    serial_number: str  # of its unit, as read; "" if it was not
    profile: str  # of a loaner, as the swap names it; "": the ledger does not have it
    proof: Evidence | None  # that coolant circulates; None in facts written by hand
    runs: tuple[Span, ...]  # an end of FOREVER: it goes on


class NotedFact(msgspec.Struct, frozen=True):
    """A fact and the number of its entry."""

    seq: int
    fact: AnyFact


class LoggedChange(msgspec.Struct, frozen=True):
    """An increment as it was emitted, amended or retracted."""

    seq: int
    recorded_us: int
    change: Change


class Sent(msgspec.Struct, frozen=True):
    """The broker took it, the last time of several."""

    at_us: int
    times: int


class Answered(msgspec.Struct, frozen=True):
    """The engine answered."""

    at_us: int
    result: str  # as in a receipt: "accepted", ...
    code: str  # of a rejection


class OrderedAgain(msgspec.Struct, frozen=True):
    """A person ordered it to be sent again."""

    at_us: int
    person: str
    reason: str


class SentCharge(msgspec.Struct, frozen=True):
    """A charge or credit, and what became of it on its way to the engine."""

    seq: int
    recorded_us: int
    charge: Charge
    proof: Proof
    events: tuple[Sent | Answered | OrderedAgain, ...]


class ChainPart(msgspec.Struct, frozen=True):
    """Where the session's entries lie in the ledger's hash chain."""

    first_seq: int
    last_seq: int
    last_hash: str
    signed_seq: int | None  # the first checkpoint from there on; None: there is none


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One session as its ledger has it."""

    gateway: str
    epoch: str
    session: str
    mode: Mode | None  # None: it is not known any more
    identified: bool  # whether the patient's identifiers were asked for
    patient: Identity | None  # None: not asked for, not known or purged
    bound: bool  # whether a patient is known
    until_us: int  # when the ledger's last entry was recorded: what came later is not in the record
    policy: Policy
    placed: Placed
    opened_us: int
    opened_on: CapRef
    started_us: int | None
    stopped_us: int | None
    service_date: date | None
    chart_minutes: int  # by subtraction of HH:MM
    why: Why
    held: tuple[HeldReason, ...]
    flags: tuple[Flag, ...]
    missing: tuple[Missing, ...]
    units: tuple[RecordedUnit, ...]
    left_over: tuple[Interval, ...]  # counted cooling beyond the last unit
    caps: tuple[CapUse, ...]
    swaps: tuple[UnitSwapped, ...]
    facts: tuple[NotedFact, ...]
    log: tuple[LoggedChange, ...]
    charges: tuple[SentCharge, ...]
    corrections: tuple[CorrectionItem, ...]
    chain: ChainPart
