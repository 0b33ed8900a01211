"""Charges and credits, and the charge lines that a session's increments make. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from string import ascii_uppercase

import msgspec

from gateway.session.assessment import Assessment
from gateway.session.counting import Interval
from gateway.session.increments import Emitted, after, net_us
from gateway.session.keys import charge_key, credit_key, increment_key, without_revision
from gateway.session.policy import ChargeLines, Policy


class CorrectionReason(StrEnum):
    """Why a charge is wrong or missing."""

    COUNT = "count"  # other increments are counted now
    PATIENT = "patient"  # the increments are another patient's
    SERVICE_DATE = "service_date"
    HELD = "held"  # something holds them that was not known when they were charged
    TIME = "time"  # as many increments are counted, but no second of the time that was charged


class ChargeLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a charge claims: increments of one patient on one day. Instants are UTC microseconds."""

    patient: str
    service_date: date  # P27: the session's, whatever the line's own instants
    increments: tuple[str, ...]  # keys with revision
    start_us: int  # of the cooling that is charged, first instant to last
    end_us: int
    net_us: int

    @property
    def numbers(self) -> frozenset[str]:
        """The increments, whatever their revision."""
        return frozenset(without_revision(key) for key in self.increments)

    @property
    def claim(self) -> tuple[str, date, frozenset[str]]:
        """The identity of the claim: lines with the same patient, service date and increments claim the same."""
        return self.patient, self.service_date, self.numbers


class Charge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A charge, or the credit in full of the one that `reverses` names."""

    key: str
    line: ChargeLine
    reverses: str = ""
    reason: CorrectionReason | None = None  # of a credit

    @property
    def quantity(self) -> int:
        """How many units it charges or credits."""
        return len(self.line.increments)


def charged_units(charged: Iterable[Charge]) -> int:
    """The units that are charged and not credited."""
    return sum(-each.quantity if each.reverses else each.quantity for each in charged)


def uncredited_charges(charged: Iterable[Charge]) -> list[Charge]:
    """The charges that no credit reverses."""
    log = list(charged)
    credited = {each.reverses for each in log}
    return [each for each in log if not each.reverses and each.key not in credited]


def credit_of(charge: Charge, reason: CorrectionReason) -> Charge:
    """The credit that reverses `charge` in full."""
    return Charge(key=credit_key(charge.key), line=charge.line, reverses=charge.key, reason=reason)


class Keys:
    """Generates keys for charges of the session `token` that `charged` does not use."""

    def __init__(self, token: str, charged: Iterable[Charge]) -> None:
        self._token = token
        self._used = {each.key for each in charged}

    def draw(self) -> str | None:
        """The next key; None past letter Z."""
        keys = (charge_key(self._token, letter) for letter in ascii_uppercase)
        key = next((each for each in keys if each not in self._used), None)
        if key is not None:
            self._used.add(key)
        return key


def lines(
    assessment: Assessment, policy: Policy, patient: str, token: str, emitted: Iterable[Emitted]
) -> Iterator[ChargeLine]:
    """The charge lines of the increments that are both published (in `emitted`, not retracted) and in `assessment`."""
    revisions = {each.index: each.revision for each in emitted if not each.retracted}
    counted = [increment for increment in assessment.increments if increment.index in revisions]
    if not counted or assessment.service_date is None:
        return
    keys = tuple(increment_key(token, each.index, revisions[each.index]) for each in counted)
    match policy.charge_lines:
        case ChargeLines.QUANTITY:
            yield _line(patient, assessment.service_date, keys, assessment.intervals)
        case ChargeLines.PER_INCREMENT:
            before_us = 0
            for key, increment in zip(keys, counted, strict=True):
                own = after(increment.intervals, before_us)  # so that no time is charged twice
                yield _line(patient, assessment.service_date, (key,), own)
                before_us = increment.attained_at_us


def _line(patient: str, service_date: date, keys: tuple[str, ...], intervals: Sequence[Interval]) -> ChargeLine:
    return ChargeLine(
        patient=patient,
        service_date=service_date,
        increments=keys,
        start_us=min(each.start_us for each in intervals),
        end_us=max(each.end_us for each in intervals),
        net_us=net_us(intervals),
    )
