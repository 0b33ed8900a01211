"""Keeps what the suite's screens show: a session is computed again only after it was assessed again."""

import asyncio
import logging

from gateway.config.load import GatewayConfig
from gateway.config.plant import plant_of
from gateway.control.act_context import SessionSnapshot
from gateway.control.board import BoardAnswer, ChairSession, chair_session, chair_view, shown_caps, unknown_session
from gateway.control.delivery import MAX_MESSAGES
from gateway.control.requests import Board
from gateway.control.todo import Rejected, TodoAnswer, TodoView, todo_items
from gateway.control.visits import MOST, VisitsAnswer, day_begins_us, known_visits, visits_answer
from gateway.ledger.deliveries import Proof
from gateway.ledger.errors import LedgerError
from gateway.ledger.store import Ledger
from gateway.messages.instants import rfc3339
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import Clock
from gateway.runtime.logs import stack_of
from gateway.session.facts import CapRef
from gateway.session.keys import TOKEN_LENGTH
from gateway.session.outcome import SessionRecord, SessionState
from gateway.telemetry.latest import LatestReadings, TrendPoint

_log = logging.getLogger("capgate.control")


class Boards:
    """Answers `board`, `todo` and `visits` requests."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, ledger: Ledger, pipeline: Pipeline, latest: LatestReadings
    ) -> None:
        plant = plant_of(config.units)
        self._config = config
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._latest = latest
        self._caps = shown_caps(plant.caps, plant.chairs)
        self._chairs = {cap: chair for chair, cap in self._caps.items()}
        self._loaners = {each.unit: each.loaner for each in config.loaners}
        self._sessions: dict[str, tuple[SessionRecord, CapRef, ChairSession]] = {}

    async def board(self, request: Board) -> BoardAnswer:
        """The board as it is now."""
        await self._refresh()
        shown = sorted(self._sessions.values(), key=lambda each: each[0].opened_us)
        # Of several on a cap the last to open; that of a replaced machine hangs where its loaner does.
        by_cap = {
            CapRef(self._loaners.get(cap.device, cap.device), cap.channel): view
            for record, cap, view in shown
            if record.open
        }
        latest = self._latest
        return BoardAnswer(
            gateway=self._config.id,
            mode=self._config.mode,
            now=rfc3339(self._clock.now().utc_us),
            speed=self._clock.speed,
            time_zone=self._config.people_zone.key,
            todo=len(await self._todo()),
            chairs=tuple(
                chair_view(chair, cap, by_cap.get(cap), latest.of(cap.device), latest.stale_after_s[cap.device])
                for chair, cap in self._caps.items()
            ),
            trends={chair: latest.trend(cap.device, cap.channel) for chair, cap in self._caps.items()}
            if request.trends
            else None,
        )

    async def todo(self) -> TodoAnswer:
        """What waits for a person now."""
        await self._refresh()
        return TodoAnswer(todo=await self._todo())

    async def visits(self) -> VisitsAnswer:
        """The visits that were heard of today, with their identifiers."""
        now_us = self._clock.now().utc_us
        since_us = day_begins_us(now_us, self._config.people_zone)
        waiting = await self._ledger.heard_since(since_us, MOST + 1)
        found = known_visits(self._pipeline.state, waiting, since_us, now_us)
        identified = [(each, await self._pipeline.identity(each.subject)) for each in found[:MOST]]
        return visits_answer(identified, self._chairs, more=len(found) > MOST)

    def trend_of(self, cap: CapRef, since_us: int, until_us: int) -> list[TrendPoint]:
        """The cap's temperatures of the last hour, as far as they lie between these instants."""
        points = self._latest.trend(cap.device, cap.channel)
        return [each for each in points if since_us <= each.at_us <= until_us]

    async def _todo(self) -> tuple[TodoView, ...]:
        return todo_items(
            self._pipeline.state,
            {token: view for token, (_, _, view) in self._sessions.items()},
            await self._rejected(),
            self._chairs,
            self._clock.now().utc_us,
        )

    async def _rejected(self) -> Rejected:
        outbox = self._ledger.outbox
        count = (await outbox.deliveries()).rejected
        oldest = await outbox.unsettled(Proof.REJECTED, MAX_MESSAGES) if count else []
        if not oldest:
            return Rejected()
        return Rejected(count, oldest[0].recorded_us, frozenset(each.key[:TOKEN_LENGTH] for each in oldest))

    async def _refresh(self) -> None:
        """Compute the sessions that were assessed since the last time: of those whose cooling or window runs."""
        state = self._pipeline.state
        waiting = {token: each for token, each in state.records.items() if each.state is SessionState.OPEN}
        going_on = {**state.sessions.going_on, **waiting}
        self._sessions = {token: known for token, known in self._sessions.items() if token in going_on}
        for token, record in going_on.items():
            known = self._sessions.get(token)
            if known is not None and known[0] is record:
                continue
            if (computed := await self._computed(record)) is not None:
                self._sessions[token] = (record, *computed)
            await asyncio.sleep(0)  # lets readings be processed between two sessions

    async def _computed(self, record: SessionRecord) -> tuple[CapRef, ChairSession] | None:
        """Where the session is, and how its chair shows it; what one session lacks costs the others nothing."""
        try:
            found = await self._pipeline.session(record.token)
            if found is None:
                return None
            snapshot = SessionSnapshot(*found)
            return chair_session(snapshot, snapshot.review(self._pipeline.observed, self._clock.now().utc_us))
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other chairs are shown
            _log.error("a session cannot be shown", extra={"session": record.token, "at": stack_of(error)})
            return record.cap, unknown_session(record)
