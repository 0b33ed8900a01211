"""The infusions of one session: which agents ran, whether the last one has ended, and who reported it. Pure.

Theory of operation. Each order runs until all of it has ended (orders.py). The infusion is over when every order that
counts under the policy has an end; the count begins at the latest of them. An order that a pump alone names holds
nothing open: nothing but a pump would ever tell its end, and a pump's end is a hint.
"""

from collections.abc import Iterable, Sequence

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
)
from gateway.session.flags import Flag, HeldReason
from gateway.session.orders import Order, order_of, says_nothing
from gateway.session.policy import InfusionEndBasis, Policy
from gateway.session.spans import US_PER_S
from gateway.session.statements import InfusionFact, Statement

_CHEMO_ADMIN = frozenset({AgentClass.CHEMO, AgentClass.BIOLOGIC})
_SKEW_FLAG_S = 60  # P25


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


def infusions(facts: Iterable[AnyFact], policy: Policy) -> Infusions:
    """The state of the infusions, from the infusion facts among `facts` under `policy`.

    Once a person lifts the hold of remaining orders, what was known of them by then no longer keeps the count waiting.
    """
    by_order: dict[str, list[InfusionFact]] = {}
    lifted_us = 0
    for fact in facts:
        if isinstance(fact, InfusionFact):
            by_order.setdefault(fact.order, []).append(fact)
        elif isinstance(fact, HoldLifted) and HeldReason.CHEMO_ORDERS_REMAIN in fact.holds:
            lifted_us = max(lifted_us, fact.known_at_us)
    pump_alone = any(_of_a_pump_alone(own) for own in by_order.values())
    by_order = {name: own for name, own in by_order.items() if not (_of_a_pump_alone(own) or says_nothing(own))}
    classes = {name: _class_of(own) for name, own in by_order.items()}
    orders = {name: order_of(name, own) for name, own in by_order.items()}
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
        flags=_flags(by_order, classes, orders, counting, ends, over)
        | frozenset([Flag.PUMP_WITHOUT_ORDER] if pump_alone else []),
    )


def ended_us(facts: Iterable[AnyFact], policy: Policy, from_us: int) -> int | None:
    """The first instant from `from_us` on by which `Infusions.end` was known; None if that never was.

    Facts of one order change what is known of that order alone, so only this is made anew as they are received.
    """
    by_order: dict[str, list[InfusionFact]] = {}
    for fact in facts:
        if isinstance(fact, InfusionFact):
            by_order.setdefault(fact.order, []).append(fact)
    received: dict[int, set[str]] = {from_us: set(by_order)}
    for name, own in by_order.items():
        for fact in own:
            if fact.known_at_us > from_us:
                received.setdefault(fact.known_at_us, set()).add(name)
    orders: dict[str, Order] = {}
    main: set[str] = set()
    running: set[str] = set()
    for at_us, names in sorted(received.items()):
        for name in names:
            if known := [fact for fact in by_order[name] if fact.known_at_us <= at_us]:
                if _of_a_pump_alone(known) or says_nothing(known):
                    continue
                agent = _class_of(known)
                orders[name] = order_of(name, known)
                _keep(main, name, agent in _main_classes(policy))
                _keep(running, name, agent in _counting_classes(policy) and orders[name].end is None)
        if main and not running and not (policy.hold_when_orders_remain and _orders_remain(orders.values())):
            return at_us
    return None


def _of_a_pump_alone(facts: Iterable[InfusionFact]) -> bool:
    """Whether a pump alone names the order, by whatever number it has for it."""
    return all(
        not isinstance(fact, InfusionEndVoided | FlushEnded) and fact.source is EndSource.PUMP and fact.of_order
        for fact in facts
    )


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


def _orders_remain(orders: Iterable[Order], after_us: int = 0) -> bool:
    """Readings 5 and 15: the latest end that states a number decides; other ends do not lift a hold.

    Only what was received after `after_us` is looked at.
    """
    stated = [each for order in orders for each in order.remaining if each.known_at_us > after_us]
    latest = max(stated, key=lambda each: (each.stated_us, each.known_at_us, -(each.remaining or 0)), default=None)
    return latest is not None and (latest.remaining or 0) > 0


def _latest(ends: dict[str, Statement | None]) -> InfusionEnd | None:
    """The end of the infusion: the last agent's (P4)."""
    stated = [(end.end_us, name, end) for name, end in ends.items() if end is not None]
    if not stated:
        return None
    _, name, end = max(stated, key=lambda each: each[:2])
    return InfusionEnd(end.end_us, end.source, name, end.version, end.skew_s, end.known_at_us)


def _ahead_s(fact: InfusionFact) -> float:
    """How far the sender's clock is ahead at least: what was charted cannot have come before it was."""
    return 0.0 if fact.charted_us is None else (fact.charted_us - fact.known_at_us) / US_PER_S


def _late_report_us(order: Order) -> int:
    """When the order's end was first received, if that was after it happened; otherwise 0."""
    first = min(order.last, key=lambda each: each.known_at_us, default=None)
    return 0 if first is None or first.known_at_us <= first.end_us else first.known_at_us


def _flags(
    by_order: dict[str, list[InfusionFact]],
    classes: dict[str, AgentClass | None],
    orders: dict[str, Order],
    counting: Sequence[Order],
    ends: dict[str, Statement | None],
    over: bool,
) -> frozenset[Flag]:
    flags: set[Flag] = set()
    relevant = [fact for order in counting for fact in by_order[order.name]]
    if any(fact.ambiguous for fact in relevant):
        flags.add(Flag.AMBIGUOUS_LOCAL_TIME)  # P26
    if any(abs(fact.skew_s) > _SKEW_FLAG_S for fact in relevant):
        flags.add(Flag.CLOCK_SKEW_CORRECTED)  # P25
    if any(_ahead_s(fact) > _SKEW_FLAG_S for fact in relevant):
        flags.add(Flag.SENDER_CLOCK_AHEAD)  # P25
    if any(order.rejected for order in counting):
        flags.add(Flag.INFUSION_END_BEFORE_START)
    if any(order.no_time and not order.last for order in counting):
        flags.add(Flag.INFUSION_END_WITHOUT_TIME)  # P19
    if any(end is not None and end.known_at_us < end.end_us for end in ends.values()):
        flags.add(Flag.INFUSION_END_IN_FUTURE)  # P20
    if any(order.interrupted for order in counting):
        flags.add(Flag.INFUSION_INTERRUPTED)  # P8
    end = _latest(ends) if over else None
    pumps = [orders[name] for name, agent in classes.items() if agent is AgentClass.AMBULATORY_PUMP]
    if any(pump.end is None or end is None or pump.end.end_us > end.at_us for pump in pumps):
        flags.add(Flag.AMBULATORY_PUMP_RUNNING)  # P6
    return frozenset(flags)
