"""Which lifts of a hold are in force, and which wait for a second person. Pure.

Where the policy asks for it (`second_person`), a hold is lifted by two persons. Somebody may be known by several logins
and be named in several ways, so who resembles the first is no second: neither the login's own part (`m.curie` of
`page:m.curie`, `sso:M.Curie@north.example`, `host:m.curie:1000`) nor the stated name may be one of the other's two,
whatever stands between their letters. Either lift is a fact of its own; each applies to the number of units that its
person saw, so both apply to the smaller one. A lift without an account, as one of an earlier version, counts as
nobody's.
"""

import unicodedata
from collections.abc import Iterable

import msgspec

from gateway.session.facts import AnyFact, HoldLifted
from gateway.session.policy import Policy

_Who = frozenset[str]  # what somebody is called


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
            others = [seen for other, seen in known.items() if other.isdisjoint(who)]
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
    return lift, msgspec.structs.replace(lift, person=f"not {lift.person}", login=f"another:{lift.login}")


def may_be_one(one: HoldLifted, other: HoldLifted) -> bool:
    """Whether one person may have told both."""
    return not _who(one).isdisjoint(_who(other))


def _who(lift: HoldLifted) -> _Who:
    kind, _, login = lift.login.partition(":")
    if kind.casefold() == "host":
        login, _, _ = login.rpartition(":")  # without the number
    return frozenset({_letters(login), _letters(lift.person)})


def _letters(name: str) -> str:
    """A name or an e-mail address without its domain, in letters and digits alone if it has any."""
    plain = unicodedata.normalize("NFKC", name.rpartition("@")[0] or name).casefold()
    return "".join(filter(str.isalnum, plain)) or plain
