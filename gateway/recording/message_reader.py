"""Reads a message of the interface engine, with everything in the ledger about what the message names.

The readers in `messages.inbound` ask only the gateway's memory. What they ask for is noted and looked up in the ledger,
and the message is read again, until a look-up finds nothing new.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.config.load import GatewayConfig
from gateway.config.plant import plant_of
from gateway.ledger.entry import seal, subject_of
from gateway.ledger.store import Ledger
from gateway.messages.identity import Identity, Merge, Number, NumberKind
from gateway.messages.inbound.answers import Accepted, Ignored, Inbound, InboundFormat, ReaderSite
from gateway.messages.inbound.content import content_of
from gateway.messages.inbound.dispatch import read_message
from gateway.messages.notation import Mode
from gateway.session.facts import Key, PatientBound
from gateway.session.related import Anchor
from gateway.session.state import TrackerState


@dataclass
class _Named:
    """Everything that a message's reader asked for: keys of facts, visits, subjects' identities, numbers' holders."""

    keys: set[Key] = field(default_factory=set[Key])
    visits: set[str] = field(default_factory=set[str])
    subjects: set[str] = field(default_factory=set[str])
    numbers: set[tuple[NumberKind, Number]] = field(default_factory=set[tuple[NumberKind, Number]])

    def add(self, other: "_Named") -> None:
        self.keys |= other.keys
        self.visits |= other.visits
        self.subjects |= other.subjects
        self.numbers |= other.numbers


@dataclass
class _Known:
    """What the ledger was asked for about a message's names, and what it has."""

    asked: _Named = field(default_factory=_Named)
    renumbered: dict[str, str] = field(default_factory=dict[str, str])  # visit -> the subject that it had before
    identities: dict[str, Identity] = field(default_factory=dict[str, Identity])
    holders: dict[tuple[NumberKind, Number], list[Identity]] = field(
        default_factory=dict[tuple[NumberKind, Number], list[Identity]]
    )


class MessageReader:
    """Reads messages for the steps of the pipeline. `state` returns the tracker state from which the next step begins.

    `read_back` adds to it what the ledger has at some anchors.
    """

    def __init__(
        self,
        config: GatewayConfig,
        ledger: Ledger,
        state: Callable[[], TrackerState],
        read_back: Callable[[Sequence[Anchor]], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._read_back = read_back
        self._time_zone = config.time_zone
        self._words = config.words
        self._live = config.mode is Mode.LIVE
        self._plant = plant_of(config.units)

    async def read(self, payload: bytes, now_us: int) -> tuple[Inbound, InboundFormat]:
        """Read a message, with everything that it names read back from the ledger, however old."""
        known = _Known()
        while True:
            named = _Named()
            read = read_message(payload, now_us, self._site(now_us, named, known))
            if not await self._look_up(named, known, now_us):
                return read

    async def _look_up(self, named: "_Named", known: "_Known", now_us: int) -> bool:
        """Look up in the ledger what is named and was not looked up before; whether anything was found."""
        visits = named.visits - known.asked.visits
        renumbered = await self._ledger.subjects(visits)
        known.renumbered |= renumbered
        aliases: set[Key] = {("patient", subject) for subject in renumbered.values()}
        keys = (named.keys - known.asked.keys) | aliases
        absent = await self._ledger.anchors([key for key in keys if key not in self._state().whole], now_us)
        await self._read_back(absent)
        found = bool(renumbered or absent)
        for subject in named.subjects - known.asked.subjects:
            if (identity := await self._ledger.identity(subject)) is not None:
                known.identities[subject] = identity
                found = True
        for kind, number in named.numbers - known.asked.numbers:
            holders = await self._ledger.identified(kind, number)
            known.holders[kind, number] = [each for each in holders if self._is_under_way(each.subject, now_us)]
            found |= bool(known.holders[kind, number])
        known.asked.add(named)
        return found

    def _is_under_way(self, subject: str, now_us: int) -> bool:
        """Whether a cap serves the subject, or a session of it is not done."""
        undone = any(not record.done for record in self._state().sessions.of_patient(subject))
        return undone or bool(self._state().serving(now_us).caps_of(subject))

    async def with_known_merges(self, read: Accepted) -> Accepted | Ignored:
        """The message with only those merges whose old number the ledger has; Ignored if nothing is left of it."""
        merges: list[Merge] = []
        for merge in read.merges:
            known = any(merge.old.is_same(each.new) for each in merges)
            if known or await self._ledger.identified(merge.by, merge.old):
                merges.append(merge)
        if not (merges or read.facts or read.identities):
            return Ignored(read.message_id, "not-ours", "nobody is known here under the old number")
        return msgspec.structs.replace(read, merges=tuple(merges))

    def seal(self, read: Accepted, payload: bytes) -> str:
        """The message's idempotency key: a salted digest of its id and its content."""
        return seal(
            self._ledger.salt, b"\0".join((read.message_id.encode(errors="surrogatepass"), content_of(payload)))
        )

    def serves(self, subject: str, now_us: int) -> bool:
        """Whether the subject has or had a cap or a session here."""
        return self._site(now_us, _Named(), _Known()).knows(subject)

    def _site(self, now_us: int, named: "_Named", known: "_Known") -> ReaderSite:
        """The gateway's state as readers see it, with what was looked up; it notes in `named` what they ask for."""

        def mentions(subject: str) -> bool:
            return bool(self._state().facts.of(("patient", subject)))

        def subject(visit: str) -> str:
            of_visit = subject_of(self._ledger.salt, visit)
            named.keys.add(("patient", of_visit))
            named.visits.add(visit)
            return of_visit if mentions(of_visit) else known.renumbered.get(visit, of_visit)

        def session_of(token: str) -> str | None:
            named.keys.add(("token", token))
            return self._state().records[token].patient if token in self._state().records else None

        def was_served(subject: str) -> bool:
            return any(isinstance(fact, PatientBound) for fact in self._state().facts.of(("patient", subject)))

        def identity_of(subject: str) -> Identity | None:
            named.subjects.add(subject)
            return known.identities.get(subject)

        def holders(kind: NumberKind, number: Number) -> Sequence[Identity]:
            named.numbers.add((kind, number))
            return known.holders.get((kind, number), ())

        return ReaderSite(
            self._plant.chairs,
            self._plant.caps,
            self._state().serving(now_us),
            self._state().sessions.of_patients,
            session_of,
            subject,
            self._time_zone,
            self._words,
            live=self._live,
            is_done=self._state().sessions.is_done,
            has_work=lambda key: key in self._state().work_keys,
            identity_of=identity_of,
            holders=holders,
            mentions=mentions,
            was_served=was_served,
            knows_order=self._state().knows_order,
        )
