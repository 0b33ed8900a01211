"""Rules over slots in three-valued logic: what rests on a slot without a value is neither true nor false. Pure."""

from collections.abc import Callable, Mapping, Sequence

from drivers.decode.values import Affine, Held
from drivers.profile.types import PointCondition
from drivers.reading import Measurement, Reason

Slots = Sequence[Held]
Rule = Callable[[Slots], bool | None]
Measure = Callable[[Slots], Measurement]


def all_of(conditions: tuple[tuple[int, PointCondition], ...]) -> Rule:
    """True if all hold, False if one does not, None if it cannot be decided."""
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
    """True if one holds, None if none does and one cannot be decided."""
    return True if True in verdicts else None if None in verdicts else False


def by_bit(word: Held, bit: int, lines: tuple[Affine, Affine]) -> Affine | Reason:
    """The conversion that a bit of the word chooses."""
    return lines[word >> bit & 1] if isinstance(word, int) else Reason.UNPARSABLE


def by_value(held: Held, lines: Mapping[int | str, Affine]) -> Affine | Reason:
    """The conversion that the value chooses; none for a value that is not listed, or that is missing."""
    return lines.get(held, Reason.UNPARSABLE) if isinstance(held, int | str) else Reason.UNPARSABLE
