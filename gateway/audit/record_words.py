"""The record of a session as a document: headed sections of named values, tables and sentences. Pure.

Every label of the record stands here, once, so that a page and a terminal say the same. Times are local, by the
calendar of the session's policy, with their offset.
"""

from collections.abc import Iterable
from datetime import tzinfo

import msgspec

from gateway.audit.fact_words import charted, stated
from gateway.audit.record import Record, SentCharge
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

    title: str
    summary: str
    warning: str  # "" unless the reader could take the record for what it is not
    sections: tuple[Section, ...]


def document(record: Record) -> Document:
    """The record in words."""
    zone = record.policy.zone
    charged = charged_units(each.charge for each in record.charges)
    summary = f"{_units(len(record.units))} of post-infusion cooling (CPT 97009) attained, {charged} charged"
    return Document(
        title=f"Scalp cooling: record of session {record.session}",
        summary=f"{summary}. {_place(record)}",
        warning=_WARNINGS[record.mode],
        sections=(
            _course(record, zone),
            _attained(record, zone),
            Section("How it was counted", sentences=tuple(sentences(record.why, record.held, record.policy, zone))),
            _infusion(record, zone),
            _devices(record, zone),
            _documentation(record, zone),
            _policy(record),
            _log(record, zone),
            _charges(record, zone),
            _proof(record),
        ),
    )


def _course(record: Record, zone: tzinfo) -> Section:
    why = record.why
    return Section(
        "Session",
        (
            ("Patient", _patient(record)),
            ("Gateway", record.gateway),
            ("Date of service", "none" if record.service_date is None else record.service_date.isoformat()),
            ("Opened", f"{instant_text(record.opened_us, zone)} on {record.opened_on.name}"),
            ("Cooling started", _at(record.started_us, zone)),
            ("Infusion ended", _at(why.infusion_end_us, zone)),
            ("Cooling ended", _at(record.stopped_us, zone)),
            ("Counted", f"{length_text(why.counted_us)}; {record.chart_minutes} min from HH:MM to HH:MM"),
            ("Times", f"local, {record.policy.timezone}, with their offset from UTC"),
            ("As of", instant_text(record.until_us, zone)),
        ),
    )


def _patient(record: Record) -> str:
    if not record.bound:
        return "not known"
    if not record.identified:
        return "known, and not named here"
    if record.patient is None:
        return "known, and the identifiers are not kept any more"
    numbers = {"visit": record.patient.visit, "MRN": record.patient.mrn, "account": record.patient.account}
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number)


def _attained(record: Record, zone: tzinfo) -> Section:
    rows = [
        (f"{unit.index}", unit.key, instant_text(unit.attained_us, zone), *_cooling(unit.intervals, zone))
        for unit in record.units
    ]
    if record.left_over:
        rows.append(("", "left over", "counts for no unit", *_cooling(record.left_over, zone)))
    if not rows:
        return Section("Units of 97009", sentences=("None stands.",))
    headings = ("Unit", "Key", "Attained", "Length", "Counted cooling that it adds")
    return Section("Units of 97009", table=Table(headings, tuple(rows)))


def _cooling(intervals: Iterable[Interval], zone: tzinfo) -> tuple[str, str]:
    spans = tuple(intervals)
    said = [
        f"{clock_text(each.start_us, zone)} to {clock_text(each.end_us, zone)} on {each.cap.name}" for each in spans
    ]
    return length_text(net_us(spans)), "; ".join(said)


def _infusion(record: Record, zone: tzinfo) -> Section:
    rows = tuple(
        (
            f"{noted.seq}",
            said.order,
            said.agent,
            said.what,
            "without a time" if said.at_us is None else instant_text(said.at_us, zone),
            said.said_by,
            instant_text(said.charted_us, zone),
        )
        for noted in record.facts
        if (said := stated(noted.fact)) is not None
    )
    if not rows:
        return Section("Infusion", sentences=("No infusion was reported.",))
    return Section("Infusion", table=Table(("Entry", "Order", "Agent", "What", "When", "Said by", "Charted"), rows))


def _devices(record: Record, zone: tzinfo) -> Section:
    headings = ("Unit and cap", "Serial number", "Profile", "Circulation proven by", "Cooled")
    rows = tuple(
        (
            use.cap.name,
            use.serial_number or "not read",
            use.profile or "as configured",
            "not stated" if use.proof is None else PROOF_TEXTS[use.proof],
            "; ".join(_run(start_us, end_us, zone) for start_us, end_us in use.runs),
        )
        for use in record.caps
    )
    swaps = tuple(_swap(each, zone) for each in record.swaps)
    if not rows:
        return Section("Devices", sentences=("No unit is known to have cooled.", *swaps))
    return Section("Devices", table=Table(headings, rows), sentences=swaps)


def _run(start_us: int, end_us: int, zone: tzinfo) -> str:
    return f"{instant_text(start_us, zone)} to {'now' if end_us == FOREVER else clock_text(end_us, zone)}"


def _swap(swap: UnitSwapped, zone: tzinfo) -> str:
    what = f"{swap.loaner} is back" if swap.loaner == swap.unit else f"{swap.loaner} stands in for {swap.unit}"
    return (
        f"{instant_text(swap.at_us, zone)}: {what}, by {swap.person or 'nobody named'}: {swap.reason or 'no reason'}."
    )


def _documentation(record: Record, zone: tzinfo) -> Section:
    rows = tuple(
        (f"{noted.seq}", instant_text(said.at_us, zone), said.what, said.person, said.reason)
        for noted in record.facts
        if (said := charted(noted.fact)) is not None
    )
    missing = [MISSING_TEXTS[each] for each in record.missing]
    return Section(
        "Documentation and decisions",
        table=Table(("Entry", "When", "What", "By", "Reason"), rows) if rows else None,
        sentences=(
            f"Missing: {', '.join(missing)}." if missing else "Nothing is missing.",
            *(f"For review: {FLAG_TEXTS[each]}." for each in record.flags),
        ),
    )


def _policy(record: Record) -> Section:
    policy = record.policy
    approved = f"approved by {policy.approved_by}" if policy.approved_by else "approved by nobody"
    named = f"{policy.name}, revision {policy.revision}, in effect from {policy.effective.isoformat()}, {approved}"
    return Section("Policy, pinned when the session opened", prose=" ".join([f"{named}.", *policy_sentences(policy)]))


def _log(record: Record, zone: tzinfo) -> Section:
    rows = tuple(
        (
            f"{each.seq}",
            instant_text(each.recorded_us, zone),
            _OPS[each.change.op],
            increment_key(record.session, each.change.index, each.change.revision),
            "" if each.change.op is Op.RETRACT else instant_text(each.change.attained_at_us, zone),
            _at(each.change.was_us, zone, ""),
        )
        for each in record.log
    )
    if not rows:
        return Section("Increments as published", sentences=("None was.",))
    return Section(
        "Increments as published", table=Table(("Entry", "Recorded", "What", "Key", "Attained", "Was"), rows)
    )


def _charges(record: Record, zone: tzinfo) -> Section:
    rows = tuple(
        (
            f"{each.seq}",
            instant_text(each.recorded_us, zone),
            f"credit of {each.charge.reverses}" if each.charge.reverses else "charge",
            each.charge.key,
            f"{each.charge.quantity}",
            each.charge.line.service_date.isoformat(),
            _delivery(each, zone),
        )
        for each in record.charges
    )
    open_ = tuple(
        f"In question: {each.charge}, {each.charged} charged, {each.counted} counted"
        f" ({'a person refused the correction' if each.refused else 'a person must decide'})."
        for each in record.corrections
    )
    if not rows:
        return Section("Charges and credits", sentences=("None was released.", *open_))
    headings = ("Entry", "Released", "What", "Key", "Units", "Date", "At the engine")
    return Section("Charges and credits", table=Table(headings, rows), sentences=open_)


def _delivery(sent: SentCharge, zone: tzinfo) -> str:
    said = (f"{each.what} {instant_text(each.at_us, zone)} {each.detail}".rstrip() for each in sent.events)
    return "; ".join((sent.proof, *said))


def _proof(record: Record) -> Section:
    chain, token = record.chain, record.session
    signed = "none yet" if chain.signed_seq is None else f"entry {chain.signed_seq}"
    return Section(
        "Proof",
        (
            ("Ledger", f"gateway {record.gateway}, epoch {record.epoch}"),
            ("Entries", f"{chain.first_seq} to {chain.last_seq}; the next signed checkpoint: {signed}"),
            (f"Hash of entry {chain.last_seq}", chain.last_hash),
            ("To verify all of it", VERIFY_LEDGER),
            ("This session alone", EXPORT.format(token=token)),
            ("and then", VERIFY_BUNDLE.format(token=token, seq=chain.last_seq, hash=chain.last_hash)),
        ),
    )


def _place(record: Record) -> str:
    placed = record.placed
    return f"The session is {placed.place}" + (f": {placed.why}." if placed.why else ".")


def _at(at_us: int | None, zone: tzinfo, otherwise: str = "not known") -> str:
    return otherwise if at_us is None else instant_text(at_us, zone)


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"
