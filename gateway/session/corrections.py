"""Corrections: credits and new charges where charges no longer agree with the count (P22). Pure.

Theory of operation. The lines that should be charged now are compared with the charges that are not credited. They
differ if patient, service date or increment numbers differ, or if no second of the charged time counts any more; an
increment that merely moved makes no difference. A difference is never settled silently: it is an item, open until a
person approves or refuses it, or settled at once where the policy credits automatically. To settle it is to credit the
old charge in full and to make the new one.

A session that is held has no lines: its charges are in question, and only a person decides that. An item
remembers how many decisions about its charge were known when it opened. So a decision is about the difference that
the person saw, and no clock matters: the same facts and the same log give the same items after a restart.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from gateway.session.charges import Charge, ChargeLine, CorrectionReason, Keys, credit_of, uncredited_charges
from gateway.session.counting import Interval
from gateway.session.facts import AnyFact, CorrectionDecided
from gateway.session.policy import Policy


class CorrectionItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A difference between what was charged and what is counted, for a person to decide."""

    charge: str  # the key of the charge in question, or the one reserved for a missing charge
    charged: int  # quantity; 0: nothing was charged yet
    counted: int  # quantity that would be charged in its place
    patient: str  # whom that would be charged to
    service_date: date | None = None
    reason: CorrectionReason
    decisions: int = 0  # how many about this charge were known when the item opened
    refused: bool = False  # closed while the difference is the same


class Account(msgspec.Struct, frozen=True):
    """All charges and credits of one session under one token, and its correction items."""

    token: str
    charged: tuple[Charge, ...] = ()
    items: tuple[CorrectionItem, ...] = ()


_Claim = tuple[str, date, frozenset[str]]


class _Difference(msgspec.Struct, frozen=True):
    """A charge that should be credited, the line that should be charged in its place, or both."""

    charge: Charge | None
    line: ChargeLine | None


def corrected(
    account: Account,
    lines: Sequence[ChargeLine],
    counted: Sequence[Interval],
    facts: Sequence[AnyFact],
    policy: Policy,
    patient: str,
    *,
    held: bool,
) -> tuple[tuple[Charge, ...], tuple[CorrectionItem, ...]]:
    """The credits and charges that may be made now, and an item for each difference that a person must decide.

    `lines` are those that should be charged, `counted` is all cooling that counts.
    """
    decided = sorted(
        (fact for fact in facts if isinstance(fact, CorrectionDecided)), key=lambda fact: (fact.known_at_us, fact.at_us)
    )
    keys = Keys(account.token, account.charged)
    charges: list[Charge] = []
    items: list[CorrectionItem] = []
    for difference in _differences(account.charged, lines, counted):
        key = None if difference.line is None else keys.draw()
        reason = CorrectionReason.HELD if held else _why(difference, patient)
        item = _item(difference, key, patient, reason)
        verdicts = [fact.approved for fact in decided if fact.charge == item.charge]
        before = next((each.decisions for each in account.items if _same(each, item)), len(verdicts))
        new = verdicts[before:]
        approved = new[-1] if new else policy.automatic_credit and not held
        past_z = difference.line is not None and key is None  # keys are exhausted: it can only be charged by hand
        if approved and not past_z:
            charges += _settled(difference, key, reason)
        else:
            refused = bool(new) and not approved
            items.append(msgspec.structs.replace(item, decisions=before, refused=refused))
    return tuple(charges), tuple(items)


def _differences(
    charged: Sequence[Charge], lines: Sequence[ChargeLine], counted: Sequence[Interval]
) -> Iterator[_Difference]:
    uncredited = uncredited_charges(charged)
    expected = {line.claim for line in lines} if _in_time(charged, counted) else set[_Claim]()
    claimed = expected & {charge.line.claim for charge in uncredited}
    missing = [line for line in lines if line.claim not in claimed]
    for charge in uncredited:
        if charge.line.claim not in expected:
            line = next((each for each in missing if each.numbers & charge.line.numbers), None)
            if line is not None:
                missing.remove(line)
            yield _Difference(charge, line)
    yield from (_Difference(None, line) for line in missing)


def _in_time(charged: Sequence[Charge], counted: Sequence[Interval]) -> bool:
    """Whether any of the charged time still counts. Charges credited for reason TIME are left out."""
    credited = {each.reverses for each in charged if each.reason is CorrectionReason.TIME}
    lines = [each.line for each in charged if not each.reverses and each.key not in credited]
    return any(each.start_us < line.end_us and line.start_us < each.end_us for line in lines for each in counted)


def _why(difference: _Difference, patient: str) -> CorrectionReason:
    charge, line = difference.charge, difference.line
    if charge is not None and charge.line.patient != patient:
        return CorrectionReason.PATIENT
    if charge is not None and line is not None and charge.line.claim == line.claim:
        return CorrectionReason.TIME
    if charge is not None and line is not None and charge.line.numbers == line.numbers:
        return CorrectionReason.SERVICE_DATE
    return CorrectionReason.COUNT


def _item(difference: _Difference, key: str | None, patient: str, reason: CorrectionReason) -> CorrectionItem:
    charge, line = difference.charge, difference.line
    name = charge.key if charge is not None else key or (line.increments[0] if line is not None else "")
    return CorrectionItem(
        charge=name,
        charged=0 if charge is None else charge.quantity,
        counted=0 if line is None else len(line.increments),
        patient=patient,
        service_date=None if line is None else line.service_date,
        reason=reason,
    )


def _same(item: CorrectionItem, other: CorrectionItem) -> bool:
    """Whether both are about the same difference."""
    return msgspec.structs.replace(item, decisions=0, refused=False) == other


def _settled(difference: _Difference, key: str | None, reason: CorrectionReason) -> Iterator[Charge]:
    """The old charge credited in full, then the new one."""
    if difference.charge is not None:
        yield credit_of(difference.charge, reason)
    if difference.line is not None and key is not None:
        yield Charge(key=key, line=difference.line)
