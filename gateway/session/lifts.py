"""Which lifts of a hold are in force, and which wait for a second person. Pure.

Where the policy asks for it (`second_person`), a hold is lifted by two persons who differ both by the account by which
the gateway knew them and by the name that was stated. Either is a fact of its own; each applies to the number of units
that its person saw, so both apply to the smaller one. A lift without an account, as one of an earlier version, counts
as nobody's.
"""

from collections.abc import Iterable

import msgspec

from gateway.session.facts import AnyFact, HoldLifted
from gateway.session.policy import Policy

_Who = tuple[str, str]


def lifts(facts: Iterable[AnyFact], policy: Policy) -> tuple[HoldLifted, ...]:
    """The lifts that are in force."""
    said = tuple(fact for fact in facts if isinstance(fact, HoldLifted))
    if not policy.second_person:
        return said
    before: dict[str, dict[_Who, int]] = {}  # by code and person: the most units that the person let go
    found: list[HoldLifted] = []
    for lift in sorted(said, key=lambda fact: (fact.known_at_us, fact.login)):
        if not lift.login:
            continue
        who, units = _who(lift), lift.units or 0
        for code in lift.holds:
            known = before.setdefault(code, {})
            others = [seen for other, seen in known.items() if _differ(other, who)]
            if others:
                found.append(msgspec.structs.replace(lift, holds=(code,), units=min(units, max(others))))
            known[who] = max(units, known.get(who, 0))
    return tuple(found)


def awaiting_second(facts: Iterable[AnyFact], policy: Policy, held: Iterable[str], units: int) -> dict[str, HoldLifted]:
    """Of the codes that still hold, those that somebody lifted for as many units: by code the lift that waits."""
    if not policy.second_person:
        return {}
    said = [fact for fact in facts if isinstance(fact, HoldLifted) and fact.login and (fact.units or 0) >= units]
    last = {code: fact for fact in sorted(said, key=lambda fact: fact.known_at_us) for code in fact.holds}
    return {code: last[code] for code in held if code in last}


def with_second(lift: HoldLifted) -> tuple[HoldLifted, HoldLifted]:
    """The lift, and the same by somebody else."""
    return lift, msgspec.structs.replace(lift, person=f"not {lift.person}", login=f"not {lift.login}")


def _who(lift: HoldLifted) -> _Who:
    return lift.login.casefold(), lift.person.strip().casefold()


def _differ(one: _Who, other: _Who) -> bool:
    return one[0] != other[0] and one[1] != other[1]
