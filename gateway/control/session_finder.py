"""Finds sessions by what people call them, in memory or read back from the ledger, and shows them."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from gateway.config.plant import Plant
from gateway.control.act_context import SessionSnapshot, named_caps
from gateway.control.answers import ChargeView, PatientView, SessionView
from gateway.control.requests import RequestRefused
from gateway.control.views import charge_views, patient_view, session_view
from gateway.ledger.store import Ledger
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import US_PER_S, Clock
from gateway.session.keys import TOKEN_LENGTH
from gateway.session.outcome import SessionRecord
from gateway.session.spans import FOREVER

LISTED_US = 3 * 86_400 * US_PER_S  # how long a session that is done may be listed; it is in memory for longer
TOKEN = re.compile(rf"[0-9A-Z]{{{TOKEN_LENGTH}}}")


class SessionFinder:
    """The sessions of this gateway."""

    def __init__(self, plant: Plant, clock: Clock, ledger: Ledger, pipeline: Pipeline) -> None:
        self._plant = plant
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._listed: dict[str, tuple[SessionRecord, SessionView]] = {}  # by token, of which time changes nothing

    @property
    def records(self) -> Mapping[str, SessionRecord]:
        """Those in memory, by token."""
        return self._pipeline.state.records

    async def named(self, name: str) -> list[SessionSnapshot]:
        """The session with that token, or on that chair or cap now, or all of that visit, the earliest first.

        Raises RequestRefused.
        """
        cap = named_caps(self._plant.caps, self._plant.chairs).get(name.lower())
        if cap is not None:
            tokens = [record.token for record in self._pipeline.state.sessions.open_on(cap.device) if record.cap == cap]
        elif TOKEN.fullmatch(name.upper()) and (found := await self._pipeline.session(name.upper())) is not None:
            return [SessionSnapshot(*found)]
        else:
            tokens = await self._pipeline.tokens_of_visit(name)
        sessions = [SessionSnapshot(*found) for token in tokens if (found := await self._pipeline.session(token))]
        if not sessions:
            open_ = ", ".join(self.tokens(every=False)) or "none is open"
            raise RequestRefused("no session has that token, chair or visit", open_)
        return sessions

    def tokens(self, *, every: bool) -> list[str]:
        """Those that are not done; with `every` also those done of the last days, and no older ones in memory."""
        since_us = self._clock.now().utc_us - LISTED_US if every else FOREVER
        records = sorted(self.records.values(), key=lambda record: (record.opened_us, record.token))
        return [record.token for record in records if not record.done or record.opened_us >= since_us]

    async def find(self, name: str) -> SessionSnapshot:
        """The session that is named; of several of one visit the one that is not done. Raises RequestRefused."""
        found = await self.named(name)
        open_ = [each for each in found if not each.outcome.record.done] or found
        if len(open_) > 1:
            raise RequestRefused("several sessions are meant", ", ".join(each.token for each in open_))
        return open_[0]

    async def view(self, token: str, *, identify: bool, detailed: bool) -> SessionView:
        """The session that is named, with or without who its patient is and what it came from."""
        snapshot = await self.find(token)
        record = self.records[snapshot.token]
        charges = await self._charges(record)
        patient = await self._patient(snapshot) if identify else UNSET
        return session_view(snapshot, record, charges, patient, detailed=detailed)

    async def listed(self, token: str) -> SessionView:
        """The session without its patient and details; what waits for people is computed once, not at each look."""
        record = self.records[token]
        known, view = self._listed.get(token, (None, None))
        if view is not None and known is record:
            return msgspec.structs.replace(view, charges=await self._charges(record))
        self._listed = {token: each for token, each in self._listed.items() if token in self.records}
        view = await self.view(token, identify=False, detailed=False)
        record = self.records[token]
        if not record.awake:
            self._listed[token] = record, view
        return view

    async def _charges(self, record: SessionRecord) -> tuple[ChargeView, ...]:
        return charge_views(record, await self._ledger.outbox.proofs_of(record.token))

    async def _patient(self, snapshot: SessionSnapshot) -> PatientView | None:
        """The identifiers; None if nobody is bound or they are purged."""
        identity = await self._ledger.identity(snapshot.patient) if snapshot.patient else None
        return identity and patient_view(identity)
