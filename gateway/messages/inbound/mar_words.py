"""Interprets the codes and words of one MAR line: RXA-9 and RXA-20 with all repetitions and codings, and the ORC.

A coding has a meaning by its code or its text; an unknown text makes it unknown whatever its code, for the text is what
was charted.
"""

from collections.abc import Iterator

import msgspec

from gateway.messages.hl7v2 import Repetition, Segment
from gateway.messages.inbound.answers import FieldRead, Term
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.vocabulary import ACT_FIELDS, MarAct, careful

_CODINGS = ((1, 2), (4, 5))  # code and text, in a CE or CWE
_STATUSES = frozenset({MarAct.COMPLETE, MarAct.PARTIAL})


class MarWords(msgspec.Struct, frozen=True):
    """The meaning of the words on a line."""

    act: MarAct | None  # of the steps it names, the one that counts fewest minutes
    status: MarAct | None  # COMPLETE, PARTIAL or none
    is_step: bool  # it has a word in a field whose words are steps at the instant in RXA-3
    unknown: tuple[str, ...]  # the fields with unknown words
    may_end: bool  # ORC-1 and ORC-5 have values with which an end counts
    may_end_partial: bool  # ORC-5 has a value with which the end of a part counts


def words_of(hl7: Hl7, order: Segment, line: Segment) -> MarWords:
    """The meaning of the words in `line` and in the ORC before it."""
    acts: dict[str, set[MarAct]] = {}
    unknown: list[str] = []
    for field in ACT_FIELDS:
        if field in hl7.site.words.mar.words:
            known = set(_codings(hl7, line, field, unknown)) - {MarAct.NOTHING}
            acts[field] = known
    named = set[MarAct]().union(*acts.values())
    steps = {field: known - _STATUSES for field, known in acts.items()}
    mar = hl7.site.words.mar
    hl7.text(order, 5, "state of the order")
    hl7.text(order, 1, "order control")
    states, controls = _codes(order, 5), _codes(order, 1)
    return MarWords(
        act=careful(named),
        status=next((each for each in (MarAct.PARTIAL, MarAct.COMPLETE) if each in named), None),
        is_step=any(steps[field] for field in steps if field in mar.actions_in),
        unknown=tuple(unknown),
        may_end=controls <= mar.ends_under.get("ORC-1", frozenset())
        and states <= mar.ends_under.get("ORC-5", frozenset()),
        may_end_partial=states <= mar.partial_ends_under,
    )


def _codings(hl7: Hl7, line: Segment, field: str, unknown: list[str]) -> Iterator[MarAct]:
    """The meaning of every coding in the field; a field with an unknown one is added to `unknown`."""
    number = int(field.removeprefix("RXA-"))
    for repetition in line.repetitions(number):
        for code_at, text_at in _CODINGS:
            places = [(code_at, _part(repetition, code_at)), (text_at, _part(repetition, text_at))]
            words = [(at, word, hl7.site.words.mar.act(field, word)) for at, word in places if word]
            meaning = words[-1][2] if words else None
            for at, word, act in words:
                what = f"word of the MAR for {act}" if act is not None else "word of the MAR in no table"
                hl7.note(FieldRead(f"{field}.{at}", what, word, Term.WORD, act or meaning or ""))
                if act is not None:
                    yield act
            if words and meaning is None and field not in unknown:
                unknown.append(field)


def _codes(segment: Segment, field: int) -> set[str]:
    """Every code in the field; only "" if the field is empty."""
    codes = {
        _part(repetition, 1).upper() or "?"  # a value without a code
        for repetition in segment.repetitions(field)
        if any(text.strip() not in ("", '""') for component in repetition for text in component)
    }
    return codes or {""}


def _part(repetition: Repetition, component: int) -> str:
    text = repetition[component - 1][0].strip() if component <= len(repetition) else ""
    return "" if text == '""' else text
