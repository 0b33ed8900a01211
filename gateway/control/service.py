"""Answers what is asked over the control socket: reads the pipeline's sessions, tells it what a person tells."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import cast

import msgspec

from gateway.commissioning.trial import Commissioning
from gateway.config.load import GatewayConfig
from gateway.control.acts import ActContext, SessionSnapshot, cap_name, facts_of
from gateway.control.outbox import OutboxService, delivery_status
from gateway.control.requests import (
    ACTS,
    Act,
    AnyAct,
    Bind,
    OneSession,
    ReleaseAct,
    Reload,
    RequestRefused,
    ResendRequest,
    SendTest,
    Sessions,
    Status,
    Swap,
    SwapBack,
    WorkIsDone,
    Worklist,
    read_request,
)
from gateway.control.units import UnitService
from gateway.ledger.deliveries import Proof
from gateway.ledger.entry import subject_of
from gateway.ledger.errors import LedgerError
from gateway.ledger.store import Ledger
from gateway.messages.instants import rfc3339
from gateway.mqtt.gateway_status import software_version
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import Clock
from gateway.session.assessment import Phase
from gateway.session.charges import standing_charges
from gateway.session.facts import CapRef
from gateway.session.increments import Change, Op
from gateway.session.outcome import Outcome, SessionRecord
from gateway.session.release import ReleaseState
from gateway.session.spans import US_PER_S
from gateway.session.state import inspect
from gateway.session.worklist import WorkItem

_log = logging.getLogger("capgate.control")

Json = dict[str, object]


class ControlService:
    """Where operators are served, one request at a time each."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        ledger: Ledger,
        pipeline: Pipeline,
        restart: Callable[[], None] | None = None,
        commissioning: Commissioning | None = None,
    ) -> None:
        self._units = UnitService(config, clock, pipeline, restart)
        self._outbox = OutboxService(config, clock, pipeline, commissioning)
        self._config = config
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._chairs = {chair: CapRef(unit.id, cap) for unit in config.units for cap, chair in unit.chairs.items()}
        self._caps = frozenset(CapRef(unit.id, cap) for unit in config.units for cap in range(1, unit.profile.caps + 1))

    async def answer(self, line: bytes, uid: int) -> bytes:
        """One JSON object without line end. `uid` is who asks by the kernel's word; only the log has it.

        Raises LedgerError where recording is no longer possible.
        """
        try:
            answer = {"ok": True, **await self._serve(line, uid)}
        except RequestRefused as refused:
            answer = {"ok": False, "error": refused.error, "accepted": refused.accepted}
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect here must not end the recording; nothing was changed
            # The places alone: an error's text may quote the request.
            _log.error("a request met a defect", extra={"at": traceback.format_tb(error.__traceback__)})
            answer = {"ok": False, "error": "a defect of the gateway; its log says where", "accepted": ""}
        return msgspec.json.encode(answer)

    async def _serve(self, line: bytes, uid: int) -> Json:
        request = read_request(line)
        match request:
            case Status():
                counted = await self._ledger.outbox.deliveries()
                expected = self._config.receipts.expected is not None
                return self._status() | {"outbox": delivery_status(counted, expected=expected)}
            case Sessions():
                return await self._sessions(request)
            case OneSession():
                standing = self._find(request.token)
                described = await self._proven(self._described(standing))
                return {"session": described | await self._patient(standing, request.identify)}
            case Worklist():
                return {"work": [self._item(item) for item in self._pipeline.state.work]}
            case Reload() | Swap() | SwapBack():
                return await self._units.serve(request)
            case ResendRequest() | SendTest():
                return await self._outbox.serve(request)
            case _:
                return await self._tell(request, uid)

    def _status(self) -> Json:
        config, records = self._config, self._pipeline.state.records.values()
        return {
            "gateway": config.id,
            "site": config.site,
            "mode": config.mode,
            "software": software_version(),
            "now": rfc3339(self._clock.now().utc_us),
            "time_zone": config.time_zone and config.time_zone.key,
            "units": [unit.id for unit in config.units],
            "open": sum(map(_is_open, records)),
            "acts": ACTS,
        }

    async def _sessions(self, request: Sessions) -> Json:
        described: list[Json] = []
        for token in self._tokens(every=request.all):
            standing = self._find(token)
            summary = await self._proven(_summary(standing, self._record(token)))
            described.append(summary | await self._patient(standing, request.identify))
            await asyncio.sleep(0)  # readings come between two sessions
        return {"sessions": described}

    def _item(self, item: WorkItem) -> Json:
        """What is to be looked at, and the sessions that it concerns; whose they are, only `session show` tells."""
        raised, records = item.raised, self._pipeline.state.records.values()
        return {
            "item": item.id,
            "what": raised.what,
            "since": rfc3339(raised.known_at_us),
            "cap": raised.cap and cap_name(raised.cap),
            "order": raised.order or None,
            "message": raised.msg,
            "sessions": [
                record.token
                for record in records
                if raised.cap == record.cap or (raised.patient and raised.patient == record.patient)
            ],
        }

    def _tokens(self, *, every: bool) -> list[str]:
        records = sorted(self._pipeline.state.records.values(), key=lambda record: (record.opened_us, record.token))
        return [record.token for record in records if every or _is_open(record)]

    def _record(self, token: str) -> SessionRecord:
        return self._pipeline.state.records[token]

    def _find(self, token: str) -> SessionSnapshot:
        found = inspect(self._pipeline.state, token.upper(), self._pipeline.observed, self._clock.now().utc_us)
        if found is None:
            raise RequestRefused("no session has that token", ", ".join(self._tokens(every=False)) or "none is open")
        return SessionSnapshot(*found)

    def _described(self, standing: SessionSnapshot) -> Json:
        assessment = standing.outcome.assessment
        end = assessment.infusion_end
        return _summary(standing, self._record(standing.token)) | {
            "infusion_end": end and {"at": rfc3339(end.at_us), "order": end.order, "source": end.source},
            "intervals": [
                {"from": rfc3339(each.start_us), "to": rfc3339(each.end_us), "cap": cap_name(each.cap)}
                for each in assessment.intervals
            ],
            "person": standing.outcome.person or None,
            "facts": [
                cast(Json, msgspec.to_builtins(fact)) | {"at": rfc3339(fact.at_us)}
                for fact in sorted(standing.session.facts, key=lambda fact: (fact.at_us, fact.known_at_us))
            ],
        }

    async def _proven(self, summary: Json) -> Json:
        """The same, with what is known of each charge on its way to the engine."""
        proofs = await self._ledger.outbox.proofs_of(str(summary["token"]))
        charges = cast(list[Json], summary["charges"])
        shown = [each | {"delivery": proofs.get(str(each["charge"]), Proof.UNPROVEN)} for each in charges]
        return summary | {"charges": shown}

    async def _patient(self, standing: SessionSnapshot, identify: bool) -> Json:
        """The identifiers, only where they are asked for; null if nobody is known or they are purged."""
        if not identify:
            return {}
        kept = await self._ledger.identity(standing.patient) if standing.patient else None
        return {
            "patient": kept and {"visit": kept.visit, "mrn": kept.mrn or None, "account": kept.account or None},
        }

    async def _tell(self, act: AnyAct, uid: int) -> Json:
        named = self._named(act)
        facts, identities = facts_of(act, named, self._bearings())
        outcomes = await self._pipeline.record(facts, identities)
        token = "" if named is None else named.token
        _log.info("a person told", extra={"act": act.act, "session": token, "uid": uid})
        return {
            "recorded": [cast(Json, msgspec.to_builtins(fact))["fact"] for fact in facts],
            "changed": [_changed(outcome) for outcome in outcomes],
        }

    def _named(self, act: Act) -> SessionSnapshot | None:
        """The session that the act gives; None where it names a chair, a cap or an item of the work list."""
        match act:
            case Bind() | ReleaseAct():
                is_token = act.place.upper() in self._pipeline.state.records
                return self._find(act.place) if is_token else None
            case WorkIsDone():
                return None
            case _:
                return self._find(getattr(act, "token", ""))

    def _bearings(self) -> ActContext:
        now_us, state = self._clock.now().utc_us, self._pipeline.state
        return ActContext(
            now_us=now_us,
            oldest_us=now_us - state.memory_us,
            zone=self._config.time_zone,
            chairs=self._chairs,
            caps=self._caps,
            serving=state.serving(now_us),
            subject_of=lambda visit: subject_of(self._ledger.salt, visit),
            work=state.work,
        )


def _is_open(record: SessionRecord) -> bool:
    """Whether it goes on, or a person has something to do."""
    told = record.published
    if told is None or any(not item.refused for item in told.corrections):
        return True
    if told.finalised:
        return told.release is ReleaseState.HELD
    return not (told.closed and told.phase is Phase.WAITING)  # its cooling proved to be another's


def _summary(standing: SessionSnapshot, record: SessionRecord) -> Json:
    """The session; increments and charges as they are told of in `record`."""
    outcome, assessment = standing.outcome, standing.outcome.assessment
    stopped_us = assessment.stopped_us
    return {
        "token": record.token,
        "unit": record.cap.device,
        "cap": record.cap.channel,
        "caps": [cap_name(cap) for cap in standing.caps],
        "bound": bool(standing.patient),
        "finalised": record.published is not None and record.published.finalised,
        "phase": assessment.phase,
        "started_at": rfc3339(record.opened_us),
        "stopped_at": None if stopped_us is None else rfc3339(stopped_us),
        "net_s": assessment.net_us / US_PER_S,
        "increments": [
            {
                "increment": f"{record.token}{each.index:02d}{each.revision}",
                "attained_at": rfc3339(each.attained_at_us),
            }
            for each in record.emitted
            if not each.retracted
        ],
        "held": outcome.held,
        "flags": assessment.flags,
        "missing": outcome.missing,
        "charges": [{"charge": each.key, "quantity": each.quantity} for each in standing_charges(record.charged)],
        "corrections": _corrections(outcome),
    }


def _changed(outcome: Outcome) -> Json:
    token = outcome.record.token
    return {
        "session": token,
        "happened": outcome.happened,
        "phase": outcome.assessment.phase,
        "increments": [_change(token, change) for change in outcome.changes],
        "held": outcome.held,
        "charges": [
            {"charge": each.key, "quantity": each.quantity, "reverses": each.reverses or None}
            for each in outcome.release.charges
        ],
        "corrections": _corrections(outcome),
    }


def _corrections(outcome: Outcome) -> list[Json]:
    """The charges in question, which a person decides about."""
    return [
        {
            "charge": item.charge,
            "charged": item.charged,
            "counted": item.counted,
            "reason": item.reason,
            "refused": item.refused,
        }
        for item in outcome.release.items
    ]


def _change(token: str, change: Change) -> Json:
    return {
        "op": change.op,
        "increment": f"{token}{change.index:02d}{change.revision}",
        "attained_at": None if change.op is Op.RETRACT else rfc3339(change.attained_at_us),
        "was": None if change.was_us is None else rfc3339(change.was_us),
    }
