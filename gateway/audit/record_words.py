"""The record of a session as a document: headed sections of named values, tables and sentences. Pure.

Every label of the record stands here, once, so that a page and a terminal say the same, in English; the
wording has it in other languages. Times are local, by the calendar of the session's policy, with their offset.
"""

from collections.abc import Iterable
from datetime import tzinfo

import msgspec

from gateway.audit.fact_words import charted, stated
from gateway.audit.reasons import words
from gateway.audit.record import Answered, OrderedAgain, Record, Sent, SentCharge
from gateway.messages.notation import Mode
from gateway.session.charges import charged_units
from gateway.session.counting import Interval
from gateway.session.facts import UnitSwapped
from gateway.session.increments import Op, net_us
from gateway.session.keys import increment_key
from gateway.session.local_time import clock_text, instant_text, length_text
from gateway.session.policy_text import PROOF_TEXTS, policy_sentences
from gateway.session.review_texts import FLAG_TEXTS, MISSING_TEXTS
from gateway.session.spans import FOREVER
from gateway.session.why_text import sentences
from gateway.session.wording import ENGLISH, Language, Wording

Line = tuple[str, ...]

VERIFY_LEDGER = "capgate ledger verify ledger.db --checkpoints held.jsonl --public-key key.pem"
EXPORT = "capgate ledger export ledger.db {token}"
VERIFY_BUNDLE = "python3 capgate-audit-{token}/verify_bundle.py --hash {seq} {hash}"
_WARNINGS = {
    Mode.LIVE: "",
    Mode.TEST: "Test: the gateway was in test mode, and nothing of this is billed.",
    None: "The ledger does not have it any more whether the gateway was live or in test mode.",
}
_OPS = {Op.EMIT: "emitted", Op.AMEND: "amended", Op.RETRACT: "retracted"}


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under their headings."""

    headings: Line
    rows: tuple[Line, ...]


class Section(msgspec.Struct, frozen=True):
    """A part of the document; what is empty is left out."""

    title: str
    values: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    sentences: Line = ()
    prose: str = ""


class Document(msgspec.Struct, frozen=True):
    """A record in words."""

    language: Language
    page_of: str  # between a page's number and the number of pages
    title: str
    summary: str
    warning: str  # "" unless the reader could take the record for what it is not
    sections: tuple[Section, ...]


def document(record: Record, say: Wording = ENGLISH) -> Document:
    """The record in words."""
    zone = record.policy.zone
    charged = charged_units(each.charge for each in record.charges)
    return Document(
        language=say.language,
        page_of=say("of"),
        title=say("Scalp cooling: record of session {session}", session=record.session),
        summary=say(
            "{units} of post-infusion cooling (CPT 97009) attained, {charged} charged. {place}",
            units=say.units(len(record.units)),
            charged=charged,
            place=_place(record, say),
        ),
        warning=say(_WARNINGS[record.mode]),
        sections=(
            _course(record, zone, say),
            _attained(record, zone, say),
            _counted(record, zone, say),
            _infusion(record, zone, say),
            _devices(record, zone, say),
            _documentation(record, zone, say),
            _policy(record, say),
            _log(record, zone, say),
            _charges(record, zone, say),
            _proof(record, say),
        ),
    )


def _course(record: Record, zone: tzinfo, say: Wording) -> Section:
    why = record.why
    day = say("none") if record.service_date is None else record.service_date.isoformat()
    opened = say("{at} on {cap}", at=instant_text(record.opened_us, zone), cap=record.opened_on.name)
    counted = length_text(why.counted_us)
    return Section(
        say("Session"),
        (
            (say("Patient"), _patient(record, say)),
            (say("Gateway"), record.gateway),
            (say("Date of service"), day),
            (say("Opened"), opened),
            (say("Cooling started"), _at(record.started_us, zone, say)),
            (say("Infusion ended"), _at(why.infusion_end_us, zone, say)),
            (say("Cooling ended"), _at(record.stopped_us, zone, say)),
            (
                say("Counted"),
                say("{counted}; {minutes} min from HH:MM to HH:MM", counted=counted, minutes=record.chart_minutes),
            ),
            (say("Times"), say("local, {timezone}, with their offset from UTC", timezone=record.policy.timezone)),
            (say("As of"), instant_text(record.until_us, zone)),
        ),
    )


def _patient(record: Record, say: Wording) -> str:
    if not record.bound:
        return say("not known")
    if not record.identified:
        return say("known, and not named here")
    if record.patient is None:
        return say("known, and the identifiers are not kept any more")
    numbers = (
        (say("visit"), record.patient.visit),
        (say("MRN"), record.patient.mrn),
        (say("account"), record.patient.account),
    )
    return ", ".join(f"{name} {number}" for name, number in numbers if number)


def _attained(record: Record, zone: tzinfo, say: Wording) -> Section:
    title = say("Units of 97009")
    rows = [
        (f"{unit.index}", unit.key, instant_text(unit.attained_us, zone), *_cooling(unit.intervals, zone, say))
        for unit in record.units
    ]
    if record.left_over:
        rows.append(("", say("left over"), say("counts for no unit"), *_cooling(record.left_over, zone, say)))
    if not rows:
        return Section(title, sentences=(say("None stands."),))
    headings = (say("Unit"), say("Key"), say("Attained"), say("Length"), say("Counted cooling that it adds"))
    return Section(title, table=Table(headings, tuple(rows)))


def _cooling(intervals: Iterable[Interval], zone: tzinfo, say: Wording) -> tuple[str, str]:
    spans = tuple(intervals)
    said = [
        say(
            "{start} to {end} on {cap}",
            start=clock_text(each.start_us, zone),
            end=clock_text(each.end_us, zone),
            cap=each.cap.name,
        )
        for each in spans
    ]
    return length_text(net_us(spans)), "; ".join(said)


def _counted(record: Record, zone: tzinfo, say: Wording) -> Section:
    said = sentences(record.why, record.held, record.policy, zone, say)
    return Section(say("How it was counted"), sentences=tuple(said))


def _infusion(record: Record, zone: tzinfo, say: Wording) -> Section:
    rows = tuple(
        (
            f"{noted.seq}",
            said.order,
            said.agent,
            said.what,
            say("without a time") if said.at_us is None else instant_text(said.at_us, zone),
            said.said_by,
            instant_text(said.charted_us, zone),
        )
        for noted in record.facts
        if (said := stated(noted.fact, say)) is not None
    )
    if not rows:
        return Section(say("Infusion"), sentences=(say("No infusion was reported."),))
    headings = (
        say("Entry"),
        say("Order"),
        say("Agent"),
        say("What"),
        say("When"),
        say("Said by"),
        say("Charted"),
    )
    return Section(say("Infusion"), table=Table(headings, rows))


def _devices(record: Record, zone: tzinfo, say: Wording) -> Section:
    headings = (
        say("Unit and cap"),
        say("Serial number"),
        say("Profile"),
        say("Circulation proven by"),
        say("Cooled"),
    )
    rows = tuple(
        (
            use.cap.name,
            use.serial_number or say("not read"),
            use.profile or say("as configured"),
            say("not stated") if use.proof is None else say(PROOF_TEXTS[use.proof]),
            "; ".join(_run(start_us, end_us, zone, say) for start_us, end_us in use.runs),
        )
        for use in record.caps
    )
    swaps = tuple(_swap(each, zone, say) for each in record.swaps)
    if not rows:
        return Section(say("Devices"), sentences=(say("No unit is known to have cooled."), *swaps))
    return Section(say("Devices"), table=Table(headings, rows), sentences=swaps)


def _run(start_us: int, end_us: int, zone: tzinfo, say: Wording) -> str:
    end = say("now") if end_us == FOREVER else clock_text(end_us, zone)
    return say("{start} to {end}", start=instant_text(start_us, zone), end=end)


def _swap(swap: UnitSwapped, zone: tzinfo, say: Wording) -> str:
    if swap.loaner == swap.unit:
        what = say("{loaner} is back", loaner=swap.loaner)
    else:
        what = say("{loaner} stands in for {unit}", loaner=swap.loaner, unit=swap.unit)
    return say(
        "{at}: {what}, by {person}: {reason}.",
        at=instant_text(swap.at_us, zone),
        what=what,
        person=swap.person or say("nobody named"),
        reason=swap.reason or say("no reason"),
    )


def _documentation(record: Record, zone: tzinfo, say: Wording) -> Section:
    rows = tuple(
        (f"{noted.seq}", instant_text(said.at_us, zone), said.what, said.person, said.reason)
        for noted in record.facts
        if (said := charted(noted.fact, say)) is not None
    )
    headings = (say("Entry"), say("When"), say("What"), say("By"), say("Reason"))
    missing = ", ".join(say(MISSING_TEXTS[each]) for each in record.missing)
    return Section(
        say("Documentation and decisions"),
        table=Table(headings, rows) if rows else None,
        sentences=(
            say("Missing: {missing}.", missing=missing) if missing else say("Nothing is missing."),
            *(say("For review: {flag}.", flag=say(FLAG_TEXTS[each])) for each in record.flags),
        ),
    )


def _policy(record: Record, say: Wording) -> Section:
    policy = record.policy
    approved = policy.approved_by
    named = say(
        "{policy}, revision {revision}, in effect from {effective}, {approved}.",
        policy=policy.name,
        revision=policy.revision,
        effective=policy.effective.isoformat(),
        approved=say("approved by {person}", person=approved) if approved else say("approved by nobody"),
    )
    return Section(
        say("Policy, pinned when the session opened"), prose=" ".join([named, *policy_sentences(policy, say)])
    )


def _log(record: Record, zone: tzinfo, say: Wording) -> Section:
    title = say("Increments as published")
    rows = tuple(
        (
            f"{each.seq}",
            instant_text(each.recorded_us, zone),
            say(_OPS[each.change.op]),
            increment_key(record.session, each.change.index, each.change.revision),
            "" if each.change.op is Op.RETRACT else instant_text(each.change.attained_at_us, zone),
            "" if each.change.was_us is None else instant_text(each.change.was_us, zone),
        )
        for each in record.log
    )
    if not rows:
        return Section(title, sentences=(say("None was."),))
    headings = (say("Entry"), say("Recorded"), say("What"), say("Key"), say("Attained"), say("Was"))
    return Section(title, table=Table(headings, rows))


def _charges(record: Record, zone: tzinfo, say: Wording) -> Section:
    title = say("Charges and credits")
    rows = tuple(
        (
            f"{each.seq}",
            instant_text(each.recorded_us, zone),
            say("credit of {charge}", charge=each.charge.reverses) if each.charge.reverses else say("charge"),
            each.charge.key,
            f"{each.charge.quantity}",
            each.charge.line.service_date.isoformat(),
            _delivery(each, zone, say),
        )
        for each in record.charges
    )
    open_ = tuple(
        say(
            "In question: {charge}, {charged} charged, {counted} counted ({decision}).",
            charge=each.charge,
            charged=each.charged,
            counted=each.counted,
            decision=say("a person refused the correction") if each.refused else say("a person must decide"),
        )
        for each in record.corrections
    )
    if not rows:
        return Section(title, sentences=(say("None was released."), *open_))
    headings = (
        say("Entry"),
        say("Released"),
        say("What"),
        say("Key"),
        say("Units"),
        say("Date"),
        say("At the engine"),
    )
    return Section(title, table=Table(headings, rows), sentences=open_)


def _delivery(sent: SentCharge, zone: tzinfo, say: Wording) -> str:
    return "; ".join((say.code("proof", sent.proof), *(_step(each, zone, say) for each in sent.events)))


def _step(step: Sent | Answered | OrderedAgain, zone: tzinfo, say: Wording) -> str:
    at = instant_text(step.at_us, zone)
    match step:
        case Sent(times=1):
            return say("sent {at}", at=at)
        case Sent():
            return say("sent {at} (time {times})", at=at, times=step.times)
        case Answered():
            return f"{say.code('receipt', step.result)} {at} {step.code}".rstrip()
        case OrderedAgain():
            return say("ordered again {at} by {person}: {reason}", at=at, person=step.person, reason=step.reason)


def _proof(record: Record, say: Wording) -> Section:
    chain, token = record.chain, record.session
    signed = say("none yet") if chain.signed_seq is None else say("entry {seq}", seq=chain.signed_seq)
    entries = say(
        "{first} to {last}; the next signed checkpoint: {signed}",
        first=chain.first_seq,
        last=chain.last_seq,
        signed=signed,
    )
    return Section(
        say("Proof"),
        (
            (say("Ledger"), say("gateway {gateway}, epoch {epoch}", gateway=record.gateway, epoch=record.epoch)),
            (say("Entries"), entries),
            (say("Hash of entry {seq}", seq=chain.last_seq), chain.last_hash),
            (say("To verify all of it"), VERIFY_LEDGER),
            (say("This session alone"), EXPORT.format(token=token)),
            (say("and then"), VERIFY_BUNDLE.format(token=token, seq=chain.last_seq, hash=chain.last_hash)),
        ),
    )


def _place(record: Record, say: Wording) -> str:
    placed = record.placed
    place, why = say.code("place", placed.place), words(placed.reasons, say)
    return (
        say("The session is {place}: {why}.", place=place, why=why)
        if why
        else say("The session is {place}.", place=place)
    )


def _at(at_us: int | None, zone: tzinfo, say: Wording) -> str:
    return say("not known") if at_us is None else instant_text(at_us, zone)
