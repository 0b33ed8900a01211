"""Finds units that another gateway of the site reads too, from the unit statuses that gateways publish.

Theory of operation. A gateway publishes the status of each unit that it reads at least once a minute. Two statuses of
another gateway about a machine that this one reads too, CONFIRM_US apart, show that both count the same cooling.
Retained statuses are no evidence, for a machine may have been moved since; nor are queued ones, which arrive all at
once after a connection. Only this gateway's clock is used.

Sharing is recorded as active until no such status has come for LAPSE_US (a debounce), so that an unstable link makes at
most a few facts an hour. Without a broker connection it does not lapse, and a start begins that time anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec

from gateway.messages.unit_claims import Mark, UnitClaim, read_claim, shared_by
from gateway.runtime.clock import US_PER_S, Clock
from gateway.session.fact_types import SharedBy, WorkKind
from gateway.session.facts import AnyFact, CapRef, UnitShared, UnitSharingEnded, WorkRaised
from gateway.session.sharing import RESTATED_US, Sharer, active_shares, sharing_facts
from gateway.session.state import TrackerState
from gateway.session.worklist import work_key

_log = logging.getLogger("capgate.sessions")

CONFIRM_US = 30 * US_PER_S
LAPSE_US = 600 * US_PER_S
CHECK_S = 5.0
MOST_SHARERS = 8  # of one unit: bounds what other MQTT clients can make the gateway keep and record


class _Sighting(msgspec.Struct):
    by: SharedBy
    since_us: int  # both read the unit from here on
    first_us: int  # receipt of the first status
    last_us: int  # receipt of the last status


class SharedUnits:
    """The units of one gateway that others read too.

    `claims` returns the units that it reads itself, `connection` the number of the broker connection, 0 for none.
    """

    def __init__(
        self,
        gateway: str,
        claims: Callable[[int], Iterable[UnitClaim]],
        connection: Callable[[], int],
        clock: Clock,
        state: Callable[[], TrackerState],
    ) -> None:
        self._gateway = gateway
        self._claims = claims
        self._connection = connection
        self._clock = clock
        self._state = state
        self._own: dict[Mark, list[UnitClaim]] = {}
        self._seen: dict[Sharer, _Sighting] = {}  # not recorded yet
        self._connected_by = 0
        facts = state().facts.by_key
        self._active = active_shares(fact for key, known in facts.items() if key[0] == "unit" for fact in known)
        self._last_seen_us = dict.fromkeys(self._active, clock.now().utc_us)

    @property
    def active(self) -> Sequence[UnitShared]:
        """The shares that are active now, sorted by unit."""
        return sorted(self._active.values(), key=lambda each: (each.device, each.gateway, each.unit))

    def notice(self, topic: str, payload: bytes) -> None:
        """Process a status message `.../{gateway}/unit/{unit}/status`, of this gateway or another."""
        gateway, _, unit, _ = topic.split("/")[-4:]
        if gateway == self._gateway or (claim := read_claim(gateway, unit, payload)) is None:
            return
        now_us = self._clock.now().utc_us
        self._note_connection(now_us)
        for own in {own.unit: own for mark in claim.marks for own in self._own.get(mark, ())}.values():
            if by := shared_by(own, claim):
                self._note(Sharer(own.unit, gateway, unit), by, max(own.since_us, min(claim.since_us, now_us)), now_us)

    def check(self) -> Sequence[AnyFact]:
        """The facts to record now: new shares, ended ones, and those due to be recorded again."""
        now_us = self._clock.now().utc_us
        self._note_connection(now_us)
        self._own = _by_mark(self._claims(now_us))
        return [*self._found(now_us), *self._ended(now_us), *self._lasting(now_us)]

    async def run(self, record: Callable[[Sequence[AnyFact]], Awaitable[object]]) -> None:
        """Check every CHECK_S until cancelled. Raises what `record` raises."""
        while True:  # ends with the task
            if facts := self.check():
                await record(facts)
            await asyncio.sleep(CHECK_S / self._clock.speed)

    def _note(self, sharer: Sharer, by: SharedBy, since_us: int, now_us: int) -> None:
        if sharer in self._active:
            self._last_seen_us[sharer] = now_us
        elif (seen := self._seen.get(sharer)) is not None:
            seen.last_us = now_us
        elif sum(each.device == sharer.device for each in (*self._seen, *self._active)) < MOST_SHARERS:
            self._seen[sharer] = _Sighting(by, since_us, now_us, now_us)

    def _note_connection(self, now_us: int) -> None:
        """After a new connection statuses may be old, and those of active shares could not arrive before."""
        if (number := self._connection()) != self._connected_by:
            self._connected_by = number
            self._seen.clear()
            self._last_seen_us = dict.fromkeys(self._active, now_us)

    def _found(self, now_us: int) -> Iterator[AnyFact]:
        """Shares whose sightings span CONFIRM_US."""
        for sharer, seen in list(self._seen.items()):
            if seen.last_us - seen.first_us >= CONFIRM_US:
                del self._seen[sharer]
                facts = list(sharing_facts(sharer, seen.by, seen.since_us, now_us))
                self._active[sharer], self._last_seen_us[sharer] = facts[-1], seen.last_us
                extra = {"unit": sharer.device, "other": f"{sharer.gateway}/{sharer.unit}", "by": seen.by}
                _log.error("another gateway reads a unit too", extra=extra)
                yield from facts
                if work_key(raised := _work(sharer, now_us)) not in self._state().work_keys:
                    yield raised
            elif now_us - seen.last_us > LAPSE_US:
                del self._seen[sharer]

    def _ended(self, now_us: int) -> Iterator[AnyFact]:
        for sharer, seen_us in list(self._last_seen_us.items()):
            if self._connected_by and now_us - seen_us > LAPSE_US:
                del self._active[sharer], self._last_seen_us[sharer]
                extra = {"unit": sharer.device, "other": f"{sharer.gateway}/{sharer.unit}"}
                _log.warning("no other gateway reads the unit any more", extra=extra)
                yield UnitSharingEnded(
                    at_us=seen_us, known_at_us=now_us, device=sharer.device, gateway=sharer.gateway, unit=sharer.unit
                )

    def _lasting(self, now_us: int) -> Iterator[AnyFact]:
        """Active shares recorded RESTATED_US ago, again, so that later sessions see them."""
        for sharer, fact in self._active.items():
            if now_us - fact.at_us >= RESTATED_US:
                (again,) = sharing_facts(sharer, fact.by, now_us, now_us)
                self._active[sharer] = again
                yield again


def _by_mark(claims: Iterable[UnitClaim]) -> dict[Mark, list[UnitClaim]]:
    found: dict[Mark, list[UnitClaim]] = {}
    for claim in claims:
        for mark in claim.marks:
            found.setdefault(mark, []).append(claim)
    return found


def _work(sharer: Sharer, now_us: int) -> WorkRaised:
    return WorkRaised(
        at_us=now_us,
        known_at_us=now_us,
        what=WorkKind.UNIT_SHARED,
        cap=CapRef(sharer.device, 1),
        order=f"{sharer.gateway}/{sharer.unit}",
    )
