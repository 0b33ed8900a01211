"""The control service: dispatches each request of the control socket to its handler, which returns an answer."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from gateway.audit.wordings import wording_of
from gateway.commissioning.messages import build_trial
from gateway.commissioning.trial import Commissioning
from gateway.config.load import GatewayConfig
from gateway.config.plant import plant_of
from gateway.control.act_context import ActContext, SessionSnapshot
from gateway.control.acts import facts_of
from gateway.control.answers import (
    ActAnswer,
    AnyAnswer,
    DoneAnswer,
    FeedAnswer,
    PurgeAnswer,
    RefusalAnswer,
    SessionAnswer,
    SessionsAnswer,
    SessionView,
    StatusAnswer,
    TrialAnswer,
    WhyAnswer,
    WhyView,
    WorklistAnswer,
)
from gateway.control.board import BoardAnswer
from gateway.control.equipment import EquipmentAnswer
from gateway.control.machines import Machines
from gateway.control.repeats import Repeats
from gateway.control.requests import (
    ACTS,
    AnyAct,
    AnyMachineRequest,
    AnyOutboxRequest,
    AnyRequest,
    ArchiveRequest,
    AssignAct,
    Bind,
    Board,
    CaptureRequest,
    ConfirmClock,
    Delivery,
    Diagnose,
    EquipmentRequest,
    FeedRequest,
    LiftHold,
    LookedRequest,
    OneSession,
    PurgeRequest,
    ReleaseAct,
    Reload,
    RequestRefused,
    ResendRequest,
    Screen,
    SendTest,
    Sessions,
    Status,
    Swap,
    SwapBack,
    Todo,
    TookRequest,
    Visits,
    WhyRequest,
    WorkDoneAct,
    Worklist,
    read_request,
)
from gateway.control.screens import AnyShown, Screens
from gateway.control.session_finder import TOKEN, SessionFinder
from gateway.control.units import UnitService
from gateway.control.views import (
    fact_kind,
    feed_view,
    identified,
    outbox_view,
    policy_view,
    purge_answer,
    session_change_view,
    unknown_session_view,
    why_view,
    work_view,
)
from gateway.ledger.access import Actor, Took, TookNote
from gateway.ledger.bodies import Order, PurgeNote
from gateway.ledger.entry import subject_of
from gateway.ledger.errors import LedgerError
from gateway.ledger.store import Ledger
from gateway.ledger.temperatures import HISTORY_FILE
from gateway.messages.instants import rfc3339
from gateway.monitoring.error_history import ErrorHistory
from gateway.mqtt.gateway_status import software_version
from gateway.polling.captures import Captures
from gateway.recording.pipeline import Pipeline
from gateway.recording.receipts import OrderRefused
from gateway.recording.retention import ClockAhead, Retention
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.logs import stack_of
from gateway.session.charges import uncredited_charges
from gateway.session.facts import ActTold
from gateway.telemetry.latest import LatestReadings

_log = logging.getLogger("capgate.control")

OLDEST_US = 1_100 * 86_400 * US_PER_S  # how far in the past an act's time may be


class ControlService:
    """Answers the requests of operators; the requests of one connection are handled one at a time."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        ledger: Ledger,
        pipeline: Pipeline,
        restart: Callable[[], None] | None = None,
        commissioning: Commissioning | None = None,
        latest: LatestReadings | None = None,
        machines: Machines | None = None,
        retention: Retention | None = None,
    ) -> None:
        latest = latest or LatestReadings(config.units)
        captures = Captures(config.lines, clock, config.state_dir)
        errors = ErrorHistory(config.state_dir / HISTORY_FILE)
        self._machines = machines or Machines(config, clock, latest, captures, errors, dict)
        self._retention = retention or Retention(config, clock, ledger, pipeline)
        self._units = UnitService(config, clock, pipeline, restart)
        self._commissioning = commissioning
        self._config = config
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._plant = plant_of(config.units)
        self._finder = SessionFinder(self._plant, clock, ledger, pipeline)
        self._screens = Screens(config, self._plant, clock, ledger, pipeline, latest, self._finder)
        self._repeats = Repeats()

    async def answer(self, line: bytes, by: Actor) -> bytes:
        """The answer to a line of `by`: one JSON object without line end.

        Raises LedgerError where recording is no longer possible.
        """
        try:
            answer = await self._serve(read_request(line), by)
            await self._pipeline.looked(by, *identified(answer))
        except RequestRefused as refused:
            answer = RefusalAnswer(error=refused.error, accepted=refused.accepted)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect here must not end the recording; nothing was changed
            _log.error("a request met a defect", extra={"at": stack_of(error)})
            answer = RefusalAnswer(error="a defect of the gateway; its log says where", accepted="")
        return msgspec.json.encode(answer)

    async def board(self, request: Board) -> BoardAnswer:
        """The suite's board, for screens in this process."""
        return await self._screens.board(request)

    async def _serve(self, request: AnyRequest, by: Actor) -> AnyAnswer | AnyShown | EquipmentAnswer:
        match request:
            case Board() | Todo() | Delivery() | Screen() | Visits():
                return await self._screens.answer(request)
            case Status():
                return await self._status()
            case Sessions():
                return await self._sessions(request)
            case OneSession():
                session = await self._finder.view(request.token, identify=request.identify, detailed=True)
                return SessionAnswer(time_zone=self._time_zone, session=session)
            case Worklist():
                records = self._finder.records.values()
                work = tuple(work_view(item, records) for item in self._pipeline.state.work)
                return WorklistAnswer(time_zone=self._time_zone, work=work)
            case WhyRequest():
                return await self._why(request)
            case FeedRequest():
                return self._feed()
            case LookedRequest() | PurgeRequest():
                return await self._of_identifiers(request, by)
            case EquipmentRequest() | Diagnose() | CaptureRequest() | TookRequest() | ArchiveRequest():
                return await self._of_machines(request, by)
            case ConfirmClock() | Reload() | Swap() | SwapBack():
                return await self._units.serve(request, by)
            case ResendRequest() | SendTest():
                return await self._sent(request, by)
            case _:
                return await self._told(request, by)

    @property
    def _time_zone(self) -> str:
        """The name of the zone in whose time people read."""
        return self._config.people_zone.key

    async def _status(self) -> StatusAnswer:
        config, now_us = self._config, self._clock.now().utc_us
        deliveries = await self._ledger.outbox.deliveries()
        return StatusAnswer(
            gateway=config.id,
            site=config.site,
            mode=config.mode,
            software=software_version(),
            now=rfc3339(now_us),
            time_zone=config.time_zone and config.time_zone.key,
            units=tuple(unit.id for unit in config.units),
            open=sum(not record.done for record in self._finder.records.values()),
            acts=ACTS,
            outbox=outbox_view(deliveries, receipts_expected=config.receipts.expected is not None),
            policy=policy_view(config.policies.at(now_us)),
            next_policies=tuple(map(policy_view, config.policies.after(now_us))),
        )

    async def _why(self, request: WhyRequest) -> WhyAnswer:
        views: list[WhyView] = []
        say = wording_of(request.language or self._config.page.language)
        for snapshot in await self._finder.named(request.session):
            review = snapshot.review(self._pipeline.observed, self._clock.now().utc_us)
            zone = self._config.time_zone or snapshot.outcome.record.policy.zone
            views.append(why_view(snapshot, review, zone, say))
            await asyncio.sleep(0)  # lets readings be processed between two sessions
        return WhyAnswer(sessions=tuple(views))

    def _feed(self) -> FeedAnswer:
        feed = self._pipeline.feed
        rows = tuple(feed_view(row) for row in feed.rows(self._clock.now().utc_us))
        return FeedAnswer(time_zone=self._time_zone, since=rfc3339(feed.since_us), feed=rows)

    async def _sessions(self, request: Sessions) -> SessionsAnswer:
        views: list[SessionView] = []
        for token in self._finder.tokens(every=request.all):
            try:
                views.append(await self._view(token, identify=request.identify))
            except LedgerError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other sessions are listed
                _log.error("a session cannot be shown", extra={"session": token, "at": stack_of(error)})
                views.append(unknown_session_view(self._finder.records[token]))
            await asyncio.sleep(0)  # lets readings be processed between two sessions
        return SessionsAnswer(sessions=tuple(views))

    async def _view(self, token: str, *, identify: bool) -> SessionView:
        if identify:
            return await self._finder.view(token, identify=True, detailed=False)
        return await self._finder.listed(token)

    async def _of_machines(self, request: AnyMachineRequest | TookRequest, by: Actor) -> AnyAnswer | EquipmentAnswer:
        """Answer it; who takes something of the machines is recorded."""
        match request:
            case TookRequest():
                what, address = Took(request.what), request.address
                await self._pipeline.took(TookNote(what, request.person, "", by.login, by.role, address))
                return DoneAnswer(done="recorded")
            case ArchiveRequest():
                made = await self._machines.serve(request, by)
                await self._pipeline.took(TookNote(Took.DIAGNOSE, request.person, login=by.login, role=by.role))
                return made
            case CaptureRequest():
                begun = await self._machines.serve(request, by)
                await self._pipeline.took(TookNote(Took.CAPTURE, request.person, request.line, by.login, by.role))
                return begun
            case _:
                return await self._machines.serve(request, by)

    async def _of_identifiers(self, request: LookedRequest | PurgeRequest, by: Actor) -> DoneAnswer | PurgeAnswer:
        match request:
            case LookedRequest():
                await self._pipeline.looked(by, request.looked, request.sessions)
                return DoneAnswer(done="recorded")
            case PurgeRequest():
                return await self._purge(request, by)

    async def _purge(self, request: PurgeRequest, by: Actor) -> PurgeAnswer:
        if not self._retention.plan.purges:
            raise RequestRefused("nothing is ever purged here", "days under [retention] in the configuration")
        if request.dry_run:
            return purge_answer(await self._retention.would_purge(), dry_run=True)
        if request.person is None or request.reason is None:
            raise RequestRefused("person or reason: missing", "who acts and why, or dry_run true")
        note = PurgeNote(person=request.person, reason=request.reason)
        try:
            swept = await self._retention.sweep(note, by, waited_for=True, clock_checked=request.clock_checked)
        except ClockAhead as ahead:
            now = rfc3339(self._clock.now().utc_us)
            raise RequestRefused(f"{ahead}, {now}", "clock_checked, once somebody saw that this is right") from None
        return purge_answer(swept, dry_run=False)

    async def _sent(self, request: AnyOutboxRequest, by: Actor) -> DoneAnswer | TrialAnswer:
        match request:
            case ResendRequest():
                return await self._resend(request, by)
            case SendTest():
                return await self._send_test(request)

    async def _resend(self, request: ResendRequest, by: Actor) -> DoneAnswer:
        order = Order(request.key or "", request.person, request.reason, by.login, by.role)
        if request.key is None or request.all_rejected:
            return await self._resend_rejected(request, order)
        if request.code is not None:
            raise RequestRefused("code: a key names one message", "code with all_rejected, or key alone")
        try:
            await self._pipeline.send_again(order)
        except OrderRefused as refused:
            raise RequestRefused(str(refused), refused.accepted) from None
        return DoneAnswer(done=f"{request.key} is sent again")

    async def _resend_rejected(self, request: ResendRequest, order: Order) -> DoneAnswer:
        if request.key is not None or not request.all_rejected:
            raise RequestRefused("one of key and all_rejected", "key, or all_rejected true")
        ordered = await self._pipeline.send_rejected_again(request.code, order)
        return DoneAnswer(done=f"{ordered} {'message is' if ordered == 1 else 'messages are'} sent again")

    async def _send_test(self, request: SendTest) -> TrialAnswer:
        if self._commissioning is None:
            raise RequestRefused("this gateway sends no test messages", "capgate run")
        trial = build_trial(request.what, self._config, self._clock.now().utc_us)
        return TrialAnswer(tried=await self._commissioning.send(trial, request.wait_s))

    async def _told(self, act: AnyAct, by: Actor) -> ActAnswer:
        if act.key is None:
            return await self._act(act, by)
        return await self._repeats.once(by.login, act.key, partial(self._unless_told, act, act.key, by))

    async def _unless_told(self, act: AnyAct, key: str, by: Actor) -> ActAnswer:
        """Carry it out, unless that was before a restart."""
        if (told := await self._ledger.act_told(by.login, key)) is not None:
            return ActAnswer(time_zone=self._time_zone, recorded=told.recorded, changed=())
        return await self._act(act, by)

    async def _act(self, act: AnyAct, by: Actor) -> ActAnswer:
        named = await self._named(act)
        purged = frozenset[str]() if named is None else await self._purged(named)
        facts, identities = facts_of(act, named, self._context(by, purged))
        kinds = tuple(map(fact_kind, facts))
        outcomes = await self._pipeline.record((*facts, *self._key_of(act, kinds, by)), identities)
        token = "" if named is None else named.token
        _log.info("a person told", extra={"act": act.act, "session": token, "login": by.login})
        after = await self._finder.find(token) if isinstance(act, LiftHold) else None
        return ActAnswer(
            time_zone=self._time_zone,
            recorded=kinds,
            changed=tuple(map(session_change_view, outcomes)),
            awaiting_second=() if after is None else tuple(after.awaiting_second),
        )

    def _key_of(self, act: AnyAct, kinds: tuple[str, ...], by: Actor) -> Iterator[ActTold]:
        if act.key is not None:
            now_us = self._clock.now().utc_us
            yield ActTold(at_us=now_us, known_at_us=now_us, login=by.login, key=act.key, recorded=kinds)

    async def _named(self, act: AnyAct) -> SessionSnapshot | None:
        """The session that the act names by its token; None if it names a chair, a cap or an item of the work list."""
        match act:
            case Bind() | ReleaseAct():
                is_token = TOKEN.fullmatch(act.place.upper()) is not None and act.place not in self._plant.chairs
                return await self._finder.find(act.place) if is_token else None
            case WorkDoneAct():
                return None
            case AssignAct():
                return await self._finder.find(act.what) if TOKEN.fullmatch(act.what) else None
            case _:
                return await self._finder.find(act.token)

    async def _purged(self, named: SessionSnapshot) -> frozenset[str]:
        """The patients whom the session concerns, or charged, and of whom no identifiers are kept."""
        charged = {charge.line.patient for charge in uncredited_charges(named.outcome.record.charged)}
        patients = filter(None, {named.patient, *charged})
        return frozenset([each for each in patients if await self._ledger.identity(each) is None])

    def _context(self, by: Actor, purged: frozenset[str]) -> ActContext:
        now_us, state = self._clock.now().utc_us, self._pipeline.state
        return ActContext(
            by=by,
            now_us=now_us,
            oldest_us=now_us - OLDEST_US,
            zone=self._config.time_zone,
            chairs=self._plant.chairs,
            caps=self._plant.caps,
            serving=state.serving(now_us),
            observed=self._pipeline.observed,
            subject_of=lambda visit: subject_of(self._ledger.salt, visit),
            work=state.work,
            of_patient=lambda subject: state.facts.of(("patient", subject)),
            purged=purged,
        )
