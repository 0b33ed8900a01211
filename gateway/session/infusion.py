"""The infusions of one session: which agents ran, whether the last one has ended, and who reported it. Pure.

Theory of operation. Each order is cut into segments by its starts and restarts. What the chart states about ends are
statements: a plain end is version 1, a correction has its own version. Voids withdraw statements; what remains goes
to the segment into which its instant falls, and in each segment the highest version stands. The infusion is over when
the last segment of every order that counts under the policy has an end; the count begins at the latest of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    EndSource,
    FlushEnded,
    FlushStarted,
    HoldLifted,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
)
from gateway.session.flags import Flag, HeldReason
from gateway.session.policy import InfusionEndBasis, Policy

_CHEMO_ADMIN = frozenset({AgentClass.CHEMO, AgentClass.BIOLOGIC})
_SKEW_FLAG_S = 60  # P25

InfusionFact = (
    InfusionStarted
    | InfusionEnded
    | InfusionRestarted
    | InfusionEndCorrected
    | InfusionEndVoided
    | FlushStarted
    | FlushEnded
)
INFUSION_FACTS = (
    InfusionStarted,
    InfusionEnded,
    InfusionRestarted,
    InfusionEndCorrected,
    InfusionEndVoided,
    FlushStarted,
    FlushEnded,
)


class InfusionEnd(msgspec.Struct, frozen=True):
    """The end that starts the count, and who reported it."""

    at_us: int
    source: EndSource
    order: str
    version: int  # 1: as first charted
    skew_s: float
    known_at_us: int  # when this end was first received


class Infusions(msgspec.Struct, frozen=True):
    """What is known about a session's infusions. `end` is None while it runs, is held or was never charted."""

    end: InfusionEnd | None
    agents: bool  # an agent that counts under the policy is known
    first_agent_us: int | None
    running: bool  # an agent that counts has no end
    end_missing: bool  # P19: nobody charted an end that must be there
    orders_remain: bool  # P7: more chemotherapy is ordered
    orders_lifted: bool  # it would be so, had no person lifted that hold
    class_unknown: bool  # an order of unreported class is disregarded
    late_report_us: int  # when the last belated end was first received; 0: none came late
    corrections_known_us: tuple[int, ...]  # when ends of counting orders were received, corrected or voided
    flags: frozenset[Flag]


class _Statement(msgspec.Struct, frozen=True):
    end_us: int
    version: int
    correction: bool
    charted_us: int  # when it was charted, by the chart
    known_at_us: int
    source: EndSource
    skew_s: float
    no_time: bool
    remaining: int | None

    @property
    def stated_us(self) -> int:
        """The instant as of which it says what remains: its own, or, if it has none, that of its receipt."""
        return self.known_at_us if self.no_time else self.end_us


class _Order(msgspec.Struct, frozen=True):
    name: str
    starts: tuple[int, ...]
    segments: tuple[tuple[_Statement, ...], ...]  # statements by the segment they fall into
    rejected: bool  # an end lies before the start
    no_time: bool
    remaining: tuple[_Statement, ...]

    @property
    def last(self) -> tuple[_Statement, ...]:
        return self.segments[-1]

    @property
    def end(self) -> _Statement | None:
        """P18: the highest version of the last segment; among equals the later instant, so fewer units."""
        return max(
            self.last, key=lambda each: (each.version, each.correction, each.end_us, -each.known_at_us), default=None
        )


def infusions(facts: Iterable[AnyFact], policy: Policy) -> Infusions:
    """The state of the infusions, from the infusion facts among `facts` under `policy`.

    Once a person lifts the hold of remaining orders, what was known of them by then no longer keeps the count waiting.
    """
    by_order: dict[str, list[InfusionFact]] = {}
    lifted_us = 0
    for fact in facts:
        if isinstance(fact, INFUSION_FACTS):
            by_order.setdefault(fact.order, []).append(fact)
        elif isinstance(fact, HoldLifted) and HeldReason.CHEMO_ORDERS_REMAIN in fact.holds:
            lifted_us = max(lifted_us, fact.known_at_us)
    classes = {name: _class_of(own) for name, own in by_order.items()}
    orders = {name: _order(name, own) for name, own in by_order.items()}
    counting = [orders[name] for name, agent in classes.items() if agent in _counting_classes(policy)]
    main = [orders[name] for name, agent in classes.items() if agent in _main_classes(policy)]
    stated = policy.hold_when_orders_remain and _orders_remain(orders.values())
    remain = stated and _orders_remain(orders.values(), lifted_us)
    ends = {order.name: order.end for order in counting}
    running = any(end is None for end in ends.values())
    over = bool(main) and not running and not remain
    starts = [order.starts[0] for order in main if order.starts]
    return Infusions(
        end=_latest(ends) if over else None,
        agents=bool(main),
        first_agent_us=min(starts, default=None),
        running=running,
        end_missing=any(order.end is None and not (order.rejected or order.no_time) for order in counting)
        or (remain and not running),
        orders_remain=remain,
        orders_lifted=stated and not remain,
        class_unknown=None in classes.values(),
        late_report_us=max((_late_report_us(order) for order in counting), default=0),
        corrections_known_us=tuple(
            fact.known_at_us
            for order in counting
            for fact in by_order[order.name]
            if isinstance(fact, InfusionEnded | InfusionEndCorrected | InfusionEndVoided)
        ),
        flags=_flags(by_order, classes, orders, counting, ends, over),
    )


def ended_us(facts: Iterable[AnyFact], policy: Policy, from_us: int) -> int | None:
    """The first instant from `from_us` on by which `Infusions.end` was known; None if that never was.

    Facts of one order change what is known of that order alone, so only this is made anew as they are received.
    """
    by_order: dict[str, list[InfusionFact]] = {}
    for fact in facts:
        if isinstance(fact, INFUSION_FACTS):
            by_order.setdefault(fact.order, []).append(fact)
    received: dict[int, set[str]] = {from_us: set(by_order)}
    for name, own in by_order.items():
        for fact in own:
            if fact.known_at_us > from_us:
                received.setdefault(fact.known_at_us, set()).add(name)
    orders: dict[str, _Order] = {}
    main: set[str] = set()
    running: set[str] = set()
    for at_us, names in sorted(received.items()):
        for name in names:
            if known := [fact for fact in by_order[name] if fact.known_at_us <= at_us]:
                agent = _class_of(known)
                orders[name] = _order(name, known)
                _keep(main, name, agent in _main_classes(policy))
                _keep(running, name, agent in _counting_classes(policy) and orders[name].end is None)
        if main and not running and not (policy.hold_when_orders_remain and _orders_remain(orders.values())):
            return at_us
    return None


def _keep(names: set[str], name: str, wanted: bool) -> None:
    if wanted:
        names.add(name)
    else:
        names.discard(name)


def _main_classes(policy: Policy) -> frozenset[AgentClass]:
    """The agents without which there is nothing to count after."""
    if policy.infusion_end_basis is InfusionEndBasis.LAST_ALOPECIA_INDUCING_AGENT:
        return frozenset({AgentClass.CHEMO})
    return _CHEMO_ADMIN


def _counting_classes(policy: Policy) -> frozenset[AgentClass]:
    """The agents whose end the count waits for (P4-P6)."""
    classes = _main_classes(policy)
    match policy.infusion_end_basis:
        case InfusionEndBasis.LINE_FLUSH_COMPLETE:
            classes |= {AgentClass.FLUSH}
        case InfusionEndBasis.ALL_IV_STOP:
            classes |= {AgentClass.FLUSH, AgentClass.HYDRATION}
        case InfusionEndBasis.LAST_CHEMO_ADMIN_AGENT | InfusionEndBasis.LAST_ALOPECIA_INDUCING_AGENT:
            pass
    return classes | {AgentClass.AMBULATORY_PUMP} if policy.ambulatory_pump_counts_as_infusion else classes


def _class_of(facts: Sequence[InfusionFact]) -> AgentClass | None:
    """The class as last reported, else as presumed. A correction alone has none and waits (reading 9)."""
    reported = [
        (fact.known_at_us, fact.at_us, fact.admin) for fact in facts if fact.admin is not None and not fact.presumed
    ]
    if reported:
        return max(reported)[2]
    if any(isinstance(fact, FlushStarted | FlushEnded) for fact in facts):
        return AgentClass.FLUSH
    return next((fact.admin for fact in facts if fact.presumed), None)


def _order(name: str, facts: Sequence[InfusionFact]) -> _Order:
    starts = sorted({f.at_us for f in facts if isinstance(f, InfusionStarted | InfusionRestarted | FlushStarted)})
    voids = _Voids([fact for fact in facts if isinstance(fact, InfusionEndVoided)])
    valid = [each for fact in facts if (each := _statement(fact)) is not None and not voids.withdraw(each)]
    segments: list[list[_Statement]] = [[] for _ in starts or (0,)]
    rejected = False
    for each in valid:
        if each.no_time:
            continue
        if starts and each.end_us < starts[0]:
            rejected = True
            continue
        # Reading 13. An end at the instant of a restart ends what ran before it.
        segments[max(bisect_left(starts, each.end_us) - 1, 0)].append(each)
    return _Order(
        name=name,
        starts=tuple(starts),
        segments=tuple(map(tuple, segments)),
        rejected=rejected,
        no_time=any(each.no_time for each in valid),
        remaining=tuple(each for each in valid if each.remaining is not None),
    )


def _statement(fact: InfusionFact) -> _Statement | None:
    """The statement of an end that `fact` makes; None if it makes none, or if it is a pump's (a hint, P19)."""
    match fact:
        case InfusionEnded() if fact.source is not EndSource.PUMP:
            return _Statement(
                fact.at_us,
                1,
                False,
                fact.at_us,
                fact.known_at_us,
                fact.source,
                fact.skew_s,
                fact.no_time,
                fact.remaining_chemo_orders,
            )
        case InfusionEndCorrected() if fact.source is not EndSource.PUMP:
            return _Statement(
                fact.new_end_us,
                fact.version,
                True,
                fact.at_us,
                fact.known_at_us,
                fact.source,
                fact.skew_s,
                False,
                None,
            )
        case FlushEnded():
            return _Statement(
                fact.at_us, 1, False, fact.at_us, fact.known_at_us, EndSource.MAR, fact.skew_s, False, None
            )
        case _:
            return None


class _Voids:
    """The voids of one order."""

    def __init__(self, voids: Sequence[InfusionEndVoided]) -> None:
        whole = [(void.known_at_us, void.at_us) for void in voids if void.version is None]
        versions = sorted((void.version, void.at_us) for void in voids if void.version is not None)
        self._whole = max(whole, default=None)
        self._versions = [version for version, _ in versions]
        # For each version the latest void of it and of all above it.
        self._last_us = list(accumulate((at_us for _, at_us in reversed(versions)), max))[::-1]

    def withdraw(self, statement: _Statement) -> bool:
        """Whether any of them withdraws the statement."""
        # Reading 4: what was received before the void, whatever its instant.
        if self._whole is not None and (statement.known_at_us, statement.charted_us) < self._whole:
            return True
        # P18: the highest version wins. An end that came about after the void is another end.
        first = bisect_left(self._versions, statement.version)
        return first < len(self._versions) and (statement.correction or statement.end_us <= self._last_us[first])


def _orders_remain(orders: Iterable[_Order], after_us: int = 0) -> bool:
    """Readings 5 and 15: the latest end that states a number decides; other ends do not lift a hold.

    Only what was received after `after_us` is looked at.
    """
    stated = [each for order in orders for each in order.remaining if each.known_at_us > after_us]
    latest = max(stated, key=lambda each: (each.stated_us, each.known_at_us, -(each.remaining or 0)), default=None)
    return latest is not None and (latest.remaining or 0) > 0


def _latest(ends: dict[str, _Statement | None]) -> InfusionEnd | None:
    """The end of the infusion: the last agent's (P4)."""
    stated = [(end.end_us, name, end) for name, end in ends.items() if end is not None]
    if not stated:
        return None
    _, name, end = max(stated, key=lambda each: each[:2])
    return InfusionEnd(end.end_us, end.source, name, end.version, end.skew_s, end.known_at_us)


def _late_report_us(order: _Order) -> int:
    """When the order's end was first received, if that was after it happened; otherwise 0."""
    first = min(order.last, key=lambda each: each.known_at_us, default=None)
    return 0 if first is None or first.known_at_us <= first.end_us else first.known_at_us


def _flags(
    by_order: dict[str, list[InfusionFact]],
    classes: dict[str, AgentClass | None],
    orders: dict[str, _Order],
    counting: Sequence[_Order],
    ends: dict[str, _Statement | None],
    over: bool,
) -> frozenset[Flag]:
    flags: set[Flag] = set()
    relevant = [fact for order in counting for fact in by_order[order.name]]
    if any(fact.ambiguous for fact in relevant):
        flags.add(Flag.AMBIGUOUS_LOCAL_TIME)  # P26
    if any(abs(fact.skew_s) > _SKEW_FLAG_S for fact in relevant):
        flags.add(Flag.CLOCK_SKEW_CORRECTED)  # P25
    if any(order.rejected for order in counting):
        flags.add(Flag.INFUSION_END_BEFORE_START)
    if any(order.no_time and not order.last for order in counting):
        flags.add(Flag.INFUSION_END_WITHOUT_TIME)  # P19
    if any(end is not None and end.known_at_us < end.end_us for end in ends.values()):
        flags.add(Flag.INFUSION_END_IN_FUTURE)  # P20
    if any(segment for order in counting for segment in order.segments[:-1]):
        flags.add(Flag.INFUSION_INTERRUPTED)  # P8
    end = _latest(ends) if over else None
    pumps = [orders[name] for name, agent in classes.items() if agent is AgentClass.AMBULATORY_PUMP]
    if any(pump.end is None or end is None or pump.end.end_us > end.at_us for pump in pumps):
        flags.add(Flag.AMBULATORY_PUMP_RUNNING)  # P6
    return frozenset(flags)
