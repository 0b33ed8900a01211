"""Conversion between `UnitsObserved`, the compact form in the ledger, and one `ObservedUntil` for each unit. Pure."""

from collections.abc import Iterable

from gateway.session.facts import AnyFact, CapCounters, ObservedUntil, TreatmentMark, UnitMark, UnitsObserved

_Clocks = tuple[int, str, int]  # known_at_us, the boot's id, and how far UTC is ahead of the boot clock, us


def combined(observed: Iterable[ObservedUntil]) -> tuple[UnitsObserved, ...]:
    """`observed` as one fact; more than one only where readings have different clocks."""
    groups: dict[_Clocks, list[ObservedUntil]] = {}
    for each in observed:
        ahead_us = each.at_us - each.boot_us if each.boot else 0
        groups.setdefault((each.known_at_us, each.boot, ahead_us), []).append(each)
    return tuple(_fact(group, *clocks) for clocks, group in groups.items())


def observed_units(fact: AnyFact) -> tuple[ObservedUntil, ...]:
    """The fact as one ObservedUntil for each unit, from either recorded form; empty for any other fact."""
    match fact:
        case ObservedUntil():
            return (fact,)
        case UnitsObserved():
            return tuple(_unit(fact, each) for each in fact.units)
        case _:
            return ()


def _fact(observed: list[ObservedUntil], known_at_us: int, boot: str, ahead_us: int) -> UnitsObserved:
    at_us = max(each.at_us for each in observed)
    units = tuple(UnitMark(each.device, at_us - each.at_us, _caps(each)) for each in observed)
    return UnitsObserved(
        at_us=at_us, known_at_us=known_at_us, units=units, boot=boot, boot_us=at_us - ahead_us if boot else 0
    )


def _caps(observed: ObservedUntil) -> tuple[CapCounters, ...]:
    return tuple(
        CapCounters(
            mark.channel, mark.treatment, mark.elapsed_s, 0 if mark.at_us is None else observed.at_us - mark.at_us
        )
        for mark in observed.marks
    )


def _unit(fact: UnitsObserved, unit: UnitMark) -> ObservedUntil:
    at_us = fact.at_us - unit.before_us
    return ObservedUntil(
        at_us=at_us,
        known_at_us=fact.known_at_us,
        device=unit.device,
        marks=tuple(
            TreatmentMark(cap.channel, cap.treatment, cap.elapsed_s, at_us - cap.before_us if cap.before_us else None)
            for cap in unit.caps
        ),
        boot=fact.boot,
        boot_us=fact.boot_us - unit.before_us if fact.boot else 0,
    )
