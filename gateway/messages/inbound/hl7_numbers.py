"""Reader of `ADT` that changes identifiers: merges, changes and moves of record numbers, accounts and visits.

Each `MRG` is paired with the `PID` before it and the `PV1` of its group, however many there are (HL7 2.x, 3.3). A merge
applies wherever the old number is known. A move (A44, A45) concerns only the account or the visit that moves, and
nothing else of its former patient. If both visits or patients are known here, their records stay apart, and a work item
is raised.
"""

from collections.abc import Iterator

import msgspec

from gateway.messages.hl7v2 import Segment
from gateway.messages.identity import Merge, Number, NumberKind
from gateway.messages.inbound.answers import Accepted, FieldRead, Inbound
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_identity import authority_of, record_numbers, typed_numbers
from gateway.session.facts import WorkKind, WorkRaised

_OLD = {"PV1-19": 5, "PV1-50": 6, "PID-18": 3}  # the field of MRG that has what this field had before
_MOVED: dict[str, NumberKind] = {"A44": "account", "A45": "visit"}
_EXPECTED = (
    "MRG-1, MRG-3, MRG-5 or MRG-6: no number that differs; accepted: the old number there, the new in PID or PV1"
)


class _Pair(msgspec.Struct):
    """One MRG with the PID and PV1 that it belongs to."""

    person: Segment
    old: Segment
    stay: Segment


def read_numbers(hl7: Hl7) -> Inbound:
    """Read the identifier changes of the message."""
    changes = number_changes(hl7)
    if not changes:
        raise hl7.rejected("bad-data", _EXPECTED)
    note = "noted wherever the old number is known"
    return Accepted(hl7.message_id, tuple(_work(hl7, changes)), note=note, merges=changes)


def number_changes(hl7: Hl7) -> tuple[Merge, ...]:
    """Every identifier change in the message, in order."""
    trigger = hl7.message.first("MSH").get(9, 2) or hl7.message.first("EVN").get(1)
    moves = _MOVED.get(trigger.upper())
    return tuple(dict.fromkeys(change for pair in _pairs(hl7) for change in _changes(hl7, pair, moves)))


def _pairs(hl7: Hl7) -> list[_Pair]:
    pairs: list[_Pair] = []
    person, stay = Segment("PID"), Segment("PV1")
    for segment in hl7.message.segments:
        match segment.name:
            case "PID":
                person, stay = segment, Segment("PV1")
            case "MRG":
                pairs.append(_Pair(person, segment, stay))
            case "PV1":
                stay = segment
                if pairs and pairs[-1].person is person and not pairs[-1].stay.fields:
                    pairs[-1].stay = segment
            case _:
                pass
    return pairs


def _changes(hl7: Hl7, pair: _Pair, moves: NumberKind | None) -> Iterator[Merge]:
    news = record_numbers(hl7, pair.person)
    olds = typed_numbers(pair.old.repetitions(1), hl7.site.words.mrn_types)
    visits = [
        (_number(hl7, pair.old, _OLD[place], "visit before"), _number(hl7, _segment(pair, place), place, "visit"))
        for place in hl7.site.words.visit_from
        if place in _OLD
    ]
    old_account, account = _number(hl7, pair.old, 3, "account before"), _number(hl7, pair.person, 18, "account")
    if moves is not None:
        held = next((old or new for old, new in visits), None) if moves == "visit" else old_account or account
        if held is not None:
            yield from (Merge("mrn", held, new, moves) for new in news[:1])
            yield from (Merge("account", held, new, moves) for new in (account,) if new and moves != "account")
    else:
        for old in olds:
            new = next((each for each in news if each.authority == old.authority), news[0] if news else None)
            hl7.note(FieldRead("MRG-1", "record number before", old.value))
            yield from _change("mrn", old, new)
    yield from _change("account", old_account, account)
    for old, new in visits:
        yield from _change("visit", old, new)


def _change(kind: NumberKind, old: Number | None, new: Number | None) -> Iterator[Merge]:
    if old is not None and new is not None and not old.is_same(new):
        yield Merge(kind, old, new, kind)


def _segment(pair: _Pair, place: str) -> Segment:
    return pair.person if place.startswith("PID") else pair.stay


def _number(hl7: Hl7, segment: Segment, place: str | int, what: str) -> Number | None:
    field = int(str(place).rpartition("-")[2])
    text = hl7.identifier(segment, field, what)
    return Number(text, authority_of(segment.repetitions(field)[0])) if text else None


def _work(hl7: Hl7, changes: tuple[Merge, ...]) -> Iterator[WorkRaised]:
    """Work items for merged visits or patients that are both known here."""
    for change in changes:
        if change.by != change.kind:
            continue
        if change.kind == "visit":
            subjects = [hl7.site.subject_of(number.value) for number in (change.old, change.new)]
            apart = [each for each in dict.fromkeys(subjects) if hl7.site.mentions(each)]
        else:
            olds = [each.subject for each in hl7.site.holders(change.kind, change.old)]
            news = [each.subject for each in hl7.site.holders(change.kind, change.new)]
            apart = [*olds, *news] if olds and news else []
        if len(apart) > 1:
            yield from (_joined(hl7, subject) for subject in apart)


def _joined(hl7: Hl7, subject: str) -> WorkRaised:
    return WorkRaised(
        at_us=hl7.known_at_us,
        known_at_us=hl7.known_at_us,
        what=WorkKind.VISITS_JOINED,
        patient=subject,
        msg=hl7.message_id,
    )
