"""Rules over slots in three-valued (Kleene) logic: a condition on a slot without a value is None. Pure."""

from collections.abc import Callable, Mapping, Sequence

from drivers.decode.values import Affine, SlotValue
from drivers.profile.types import PointCondition
from drivers.reading import Measurement, Reason

Slots = Sequence[SlotValue]
Rule = Callable[[Slots], bool | None]
Measure = Callable[[Slots], Measurement]


def all_of(conditions: tuple[tuple[int, PointCondition], ...]) -> Rule:
    """A rule: True if all conditions hold, False if one does not, else None."""
    compiled = tuple(
        (index, None if each.bit is None else 1 << each.bit, each.low, each.high, each.negated)
        for index, each in conditions
    )

    def rule(slots: Slots) -> bool | None:
        verdict: bool | None = True
        for index, mask, low, high, negated in compiled:
            held = slots[index]
            if isinstance(held, str):
                verdict = None
            elif (low <= held <= high if mask is None else bool(int(held) & mask)) is negated:
                return False
        return verdict

    return rule


def either(verdicts: list[bool | None]) -> bool | None:
    """True if one is True, else None if one is None, else False."""
    return True if True in verdicts else None if None in verdicts else False


def by_bit(word: SlotValue, bit: int, lines: tuple[Affine, Affine]) -> Affine | Reason:
    """The conversion chosen by a bit of the word; the reason if the word has none."""
    return lines[word >> bit & 1] if isinstance(word, int) else Reason.UNPARSABLE


def by_value(held: SlotValue, lines: Mapping[int | str, Affine]) -> Affine | Reason:
    """The conversion chosen by the value; a reason if it is missing or not listed."""
    return lines.get(held, Reason.UNPARSABLE) if isinstance(held, int | str) else Reason.UNPARSABLE
