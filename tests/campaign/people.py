"""The clinic's people: they look at the gateway's list of sessions, and do what a visit's manners say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from tests.campaign.bus import Json
from tests.campaign.plan import HOUR, Visit

_NOT_LIFTABLE = {"unbound", "policy_unapproved", "dry_run"}


@dataclass
class Progress:
    """What people have seen and done of a visit."""

    held_since_us: int | None = None
    asked_since_us: dict[str, int] = field(default_factory=dict[str, int])
    bound_to: str = ""  # by a person
    told_end: bool = False
    signed: bool = False
    lifted: set[str] = field(default_factory=set[str])
    left_at: tuple[int, int] | None = None  # units counted and charged, where a person let the difference be

    def decided_as(self, counted: int, charged: int) -> bool:
        """Whether a person saw these numbers and let them be."""
        return self.left_at == (counted, charged)


def acts(visit: Visit, view: Json, seen: Progress, now_us: int) -> list[Json]:
    """What is to be done now about a session of the visit, as requests of the control socket."""
    manners = visit.manners
    since_stop_h = (now_us - visit.stop_us) / HOUR
    session: Json = {"request": "tell", "person": "coder-1", "reason": "as the chart says", "token": view["token"]}

    def due(hours: float | None) -> bool:
        return hours is not None and since_stop_h >= hours

    if view["phase"] == "waiting":  # its cooling is another's by now
        return []
    if not view["bound"]:
        if due(manners.bind_h):
            bind = {key: value for key, value in session.items() if key != "token"}
            return [{**bind, "act": "bind", "place": view["token"], "visit": visit.visit}]
        return []
    if manners.reassign_h is not None and seen.bound_to != visit.visit:
        return [{**session, "act": "reassign", "visit": visit.visit}] if due(manners.reassign_h) else []
    if manners.end_h is not None and not seen.told_end and due(manners.end_h):
        order, end_us = visit.ends[-1]
        at = datetime.fromtimestamp(end_us / 1e6, UTC).isoformat()
        return [{**session, "act": "infusion-ended", "order": order, "at": at, "agent": "chemo"}]
    if not view["finalised"] and not seen.signed and "infusion-end" not in view["missing"]:
        lost = "unit_lost" in view["held"] and due(manners.lift_h)  # nobody will see its end
        if lost or (view["stopped_at"] and due(manners.sign_h)):
            return [{**session, "act": "finalise"}]
    return [*_lifts(visit, view, session, seen, now_us), *_decisions(visit, view, session, seen, now_us)]


def _lifts(visit: Visit, view: Json, session: Json, seen: Progress, now_us: int) -> Iterator[Json]:
    """A hold that somebody has looked into; where nothing would be charged, why."""
    lift_h = visit.manners.lift_h
    held = [reason for reason in view["held"] if reason not in _NOT_LIFTABLE]
    if not view["finalised"]:  # which it never is while more is ordered, unless somebody lifts that
        held = [reason for reason in held if reason == "chemo_orders_remain"]
    if not held or lift_h is None or view["state"] == "explained":
        return
    seen.held_since_us = seen.held_since_us or now_us
    if now_us - seen.held_since_us >= lift_h * HOUR:
        may_count = view["increments"] or "chemo_orders_remain" in held
        yield {**session, "act": "lift-hold", "holds": held} if may_count else {**session, "act": "explain"}


def _decisions(visit: Visit, view: Json, session: Json, seen: Progress, now_us: int) -> Iterator[Json]:
    """What becomes of charges in question."""
    manners = visit.manners
    for item in view["corrections"]:
        key = f"{item['charge']} {item['charged']} {item['counted']}"
        since_us = seen.asked_since_us.setdefault(key, now_us)
        if not item["refused"] and manners.decide_h is not None and now_us - since_us >= manners.decide_h * HOUR:
            decision = {"act": "decide-correction", "charge": item["charge"], "approve": manners.approve}
            yield {**session, **decision}


def resends(delivery: Json, since_us: dict[str, int], now_us: int) -> list[Json]:
    """What is to be sent again now of what the engine rejected; `since_us` has when each charge was first seen so."""
    due: list[Json] = []
    rejected = [each for state in delivery["states"] if state["state"] == "rejected" for each in state["messages"]]
    for message in rejected:
        random = Random(f"resend {message['key']} {message['sends']}")
        wait_h = random.choice((2, 2, 30, 200))
        if now_us - since_us.setdefault(message["key"], now_us) >= wait_h * HOUR:
            all_of_code = random.random() < 0.3
            named = {"all_rejected": True, "code": message["code"]} if all_of_code else {"key": message["key"]}
            due.append({"request": "resend", "person": "coder-1", "reason": "the account is put right", **named})
    for key in since_us.keys() - {message["key"] for message in rejected}:
        del since_us[key]
    return due


def done(visit: Visit, view: Json, request: Json, seen: Progress) -> None:
    """The request was carried out, by whoever saw `view`."""
    match request["act"]:
        case "bind" if visit.manners.reassign_h is not None:
            pass  # a part that nobody claimed; the rest is another's until it is reassigned
        case "bind" | "reassign":
            seen.bound_to = visit.visit
        case "infusion-ended":
            seen.told_end = True
        case "finalise":
            seen.signed = True
        case "lift-hold":
            seen.lifted |= set(request["holds"])
        case "explain":
            seen.left_at = (len(view["increments"]), 0)
        case "decide-correction" if not request["approve"]:
            seen.left_at = next(
                (item["counted"], item["charged"])
                for item in view["corrections"]
                if item["charge"] == request["charge"]
            )
        case _:
            pass
