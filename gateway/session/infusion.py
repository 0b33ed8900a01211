"""The infusions of one session: which agents ran, whether the last one has ended, and who reported it. Pure.

Theory of operation. Each order runs until all of it has ended (orders.py). The infusion is over when every order that
counts under the policy has an end; the count begins at the latest of them. An order that only a pump names keeps no
infusion open: only the pump would ever report its end, and a pump's end is a hint.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    EndSource,
    FlushEnded,
    FlushStarted,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
)
from gateway.session.flags import Flag, HeldReason
from gateway.session.lifts import lifts
from gateway.session.orders import Order, facts_by_order, only_withdrawn, order_of
from gateway.session.policy import GapBetweenAgents, InfusionEndBasis, Policy
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
    orders_lifted: bool  # more chemotherapy is ordered, but a person lifted that hold
    class_unknown: bool  # an order without a reported class is disregarded
    late_report_us: int  # latest first receipt of an end that was reported late; 0: none was
    corrections_known_us: tuple[int, ...]  # when ends of counting orders were received, corrected or voided
    flags: frozenset[Flag]


def infusions(facts: Iterable[AnyFact], policy: Policy) -> Infusions:
    """The state of the infusions, from the infusion facts among `facts` under `policy`.

    Once a person lifts the hold of remaining orders, only statements about them that were received later hold again.
    """
    facts = tuple(facts)
    by_order, lifted_us = facts_by_order(facts), max(_lifts_us(facts, policy), default=0)
    pump_alone = any(_only_from_pump(own) for own in by_order.values())
    by_order = {name: own for name, own in by_order.items() if not (_only_from_pump(own) or only_withdrawn(own))}
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
        end=_counting_end(ends, policy) if over else None,
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
    """The first instant from `from_us` on at which `Infusions.end` was known; None if it never was.

    A fact of one order changes only that order, so only that order is recomputed when the fact is received.
    """
    facts = tuple(facts)
    by_order, lifts_us = facts_by_order(facts), _lifts_us(facts, policy)
    received: dict[int, set[str]] = {from_us: set(by_order)} | {at_us: set() for at_us in lifts_us if at_us > from_us}
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
                if _only_from_pump(known) or only_withdrawn(known):
                    continue
                agent = _class_of(known)
                orders[name] = order_of(name, known)
                _set_member(main, name, agent in _main_classes(policy))
                _set_member(running, name, agent in _counting_classes(policy) and orders[name].end is None)
        lifted_us = max((each for each in lifts_us if each <= at_us), default=0)
        remain = policy.hold_when_orders_remain and _orders_remain(orders.values(), lifted_us)
        if main and not running and not remain:
            return at_us
    return None


def _lifts_us(facts: Iterable[AnyFact], policy: Policy) -> list[int]:
    """When a person lifted the hold of remaining orders."""
    return [fact.known_at_us for fact in lifts(facts, policy) if HeldReason.CHEMO_ORDERS_REMAIN in fact.holds]


def _only_from_pump(facts: Iterable[InfusionFact]) -> bool:
    """Whether only a pump names the order, by whatever number the pump has for it."""
    return all(
        not isinstance(fact, InfusionEndVoided | FlushEnded) and fact.source is EndSource.PUMP and fact.of_order
        for fact in facts
    )


def _set_member(names: set[str], name: str, member: bool) -> None:
    if member:
        names.add(name)
    else:
        names.discard(name)


def _main_classes(policy: Policy) -> frozenset[AgentClass]:
    """The agent classes of which a session needs at least one for an infusion's end to exist."""
    if policy.infusion_end_basis is InfusionEndBasis.LAST_ALOPECIA_INDUCING_AGENT:
        return frozenset({AgentClass.CHEMO})
    return _CHEMO_ADMIN


def _counting_classes(policy: Policy) -> frozenset[AgentClass]:
    """The agent classes that must all have ended before the count begins (P4-P6)."""
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
    """The class as last reported, else as presumed. An order of which only a correction is known has none yet."""
    reported = [
        (fact.known_at_us, fact.at_us, fact.admin) for fact in facts if fact.admin is not None and not fact.presumed
    ]
    if reported:
        return max(reported)[2]
    if any(isinstance(fact, FlushStarted | FlushEnded) for fact in facts):
        return AgentClass.FLUSH
    return next((fact.admin for fact in facts if fact.presumed), None)


def _orders_remain(orders: Iterable[Order], after_us: int = 0) -> bool:
    """P7: whether the latest end that states a number of remaining orders states more than none.

    Ends that state no number do not lift a hold. Only those received after `after_us` are considered.
    """
    stated = [each for order in orders for each in order.remaining if each.known_at_us > after_us]
    latest = max(stated, key=lambda each: (each.stated_us, each.known_at_us, -(each.remaining or 0)), default=None)
    return latest is not None and (latest.remaining or 0) > 0


def _counting_end(ends: Mapping[str, Statement | None], policy: Policy) -> InfusionEnd | None:
    """The end from which cooling counts: the last agent's (P4), for a gap between two agents is not counted (P7)."""
    match policy.gap_between_agents:
        case GapBetweenAgents.NOT_COUNTED:
            return _latest(ends)


def _latest(ends: Mapping[str, Statement | None]) -> InfusionEnd | None:
    stated = [(end.end_us, name, end) for name, end in ends.items() if end is not None]
    if not stated:
        return None
    _, name, end = max(stated, key=lambda each: each[:2])
    return InfusionEnd(end.end_us, end.source, name, end.version, end.skew_s, end.known_at_us)


def _ahead_s(fact: InfusionFact) -> float:
    """A lower bound of the sender's clock error, in seconds ahead: a fact cannot be received before it was charted."""
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
