"""Answers that are kept: the last ones, in their order, and only what the ledger does not know yet."""

from drivers.reading import FaultKind, ReadFault, Reading, Stamp
from gateway.polling.kept import MOST, KeptAnswers


def fault(unit: str, at_us: int) -> ReadFault:
    return ReadFault(unit, Stamp(at_us, at_us), FaultKind.TIMEOUT, "")


def test_only_later_answers_of_a_unit_are_recorded_again() -> None:
    kept = KeptAnswers()
    answers = [fault("a", 1), Reading("b", Stamp(2, 2), (), {}, (), None), fault("a", 3), fault("b", 4)]
    for each in answers:
        kept.add(each)
    assert list(kept.after({})) == answers
    assert list(kept.after({"a": 1, "b": 4})) == [answers[2]]


def test_of_too_many_the_oldest_are_dropped() -> None:
    kept = KeptAnswers()
    for number in range(MOST + 2):
        kept.add(fault("a", number + 1))
    (first, *_, last) = kept.after({})
    assert (first, last) == (fault("a", 3), fault("a", MOST + 2))
