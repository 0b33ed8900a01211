"""Answers what the screens ask for: the board, what waits, deliveries, one session, today's visits."""

import asyncio

from gateway.config.load import GatewayConfig
from gateway.config.plant import Plant
from gateway.control.board import BoardAnswer, chair_session
from gateway.control.boards import Boards
from gateway.control.delivery import MAX_MESSAGES, SHOWN, DeliveryAnswer, delivery_answer
from gateway.control.requests import AnyScreen, Board, Delivery, Screen, Todo, Visits
from gateway.control.screen import ScreenAnswer, joined, lanes_of, thinned, told_of
from gateway.control.session_finder import SessionFinder
from gateway.control.todo import TodoAnswer
from gateway.control.views import why_view
from gateway.control.visits import VisitsAnswer
from gateway.ledger.deliveries import Proof
from gateway.ledger.store import Ledger
from gateway.ledger.temperatures import HISTORY_FILE
from gateway.messages.instants import rfc3339
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import US_PER_S, Clock
from gateway.telemetry.history_points import stored_points
from gateway.telemetry.latest import LatestReadings

SHOWN_US = 24 * 3600 * US_PER_S  # of a session's temperatures
AnyShown = BoardAnswer | TodoAnswer | DeliveryAnswer | ScreenAnswer | VisitsAnswer


class Screens:
    """The answers to the requests of screens."""

    def __init__(
        self,
        config: GatewayConfig,
        plant: Plant,
        clock: Clock,
        ledger: Ledger,
        pipeline: Pipeline,
        latest: LatestReadings,
        sessions: SessionFinder,
    ) -> None:
        self._boards = Boards(config, clock, ledger, pipeline, latest)
        self._config = config
        self._plant = plant
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._sessions = sessions

    async def board(self, request: Board) -> BoardAnswer:
        """The suite's board."""
        return await self._boards.board(request)

    async def answer(self, request: AnyScreen) -> AnyShown:
        """What the screen shows. Raises RequestRefused."""
        match request:
            case Board():
                return await self.board(request)
            case Todo():
                return await self._boards.todo()
            case Delivery():
                return await self._delivery()
            case Screen():
                return await self._screen(request)
            case Visits():
                return await self._boards.visits()

    async def _delivery(self) -> DeliveryAnswer:
        outbox = self._ledger.outbox
        messages = {state: await outbox.unsettled(state, MAX_MESSAGES) for state in SHOWN}
        messages[Proof.UNPROVEN] += await outbox.unsettled(Proof.ORDERED, MAX_MESSAGES)
        return delivery_answer(await outbox.deliveries(), messages)

    async def _screen(self, request: Screen) -> ScreenAnswer:
        snapshot = await self._sessions.find(request.token)
        now_us = self._clock.now().utc_us
        review = snapshot.review(self._pipeline.observed, now_us)
        cap, shown = chair_session(snapshot, review)
        lanes, until, attained = lanes_of(review)
        history, opened_us = self._config.state_dir / HISTORY_FILE, snapshot.outcome.record.opened_us
        stored = await asyncio.to_thread(
            stored_points, history, cap.device, cap.channel, opened_us, min(now_us, opened_us + SHOWN_US)
        )
        chairs = {each: chair for chair, each in self._plant.chairs.items()}
        return ScreenAnswer(
            now=rfc3339(now_us),
            chair=chairs.get(cap, cap.name),
            cap=cap.name,
            shown=shown,
            session=await self._sessions.view(snapshot.token, identify=request.identify, detailed=True),
            why=why_view(snapshot, review, self._config.time_zone or snapshot.outcome.record.policy.zone),
            lanes=lanes,
            until=until,
            attained=attained,
            told=told_of(snapshot),
            temperatures=thinned(list(joined(stored, self._boards.trend_of(cap, opened_us, now_us)))),
        )
