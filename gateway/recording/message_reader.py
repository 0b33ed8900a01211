"""Reads a message of the interface engine, with everything in the ledger about what the message names.

The readers in `messages.inbound` ask only the gateway's memory. What they ask for is noted and looked up in the ledger,
and the message is read again, until a look-up finds nothing new.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from gateway.config.load import GatewayConfig
from gateway.config.plant import plant_of
from gateway.ledger.entry import seal, subject_of
from gateway.ledger.look_up import Names, NumberOf
from gateway.ledger.staging import Staged
from gateway.ledger.store import Ledger
from gateway.messages.identity import Identity, Merge, Number, NumberKind
from gateway.messages.inbound.answers import Accepted, Ignored, Inbound, InboundFormat, ReaderSite
from gateway.messages.inbound.content import content_of
from gateway.messages.inbound.dispatch import read_message
from gateway.messages.notation import Mode
from gateway.session.facts import AnyFact, OrderChecked, PatientBound, WorkRaised
from gateway.session.related import Anchor
from gateway.session.state import TrackerState
from gateway.session.statements import InfusionFact


@dataclass
class _Known:
    """What the ledger was asked for about a message's names, and what it has."""

    asked: Names = field(default_factory=Names)
    renumbered: dict[str, str] = field(default_factory=dict[str, str])  # visit -> the subject that it had before
    identities: dict[str, Identity] = field(default_factory=dict[str, Identity])
    holders: dict[NumberOf, list[Identity]] = field(default_factory=dict[NumberOf, list[Identity]])
    staged: set[str] = field(default_factory=set[str])  # subjects about whom messages wait


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
        """Read a message, with everything that it names read back from the ledger, however old.

        Where messages about its patient wait, every order counts as reported: they may have reported it.
        """
        return await self._read(payload, now_us, now_us, _Known())

    async def read_staged(self, staged: Staged, now_us: int) -> tuple[Inbound, InboundFormat]:
        """Read a message that has waited; those about its patient that came before are recorded."""
        known = _Known(asked=Names(unseen={staged.subject}))
        return await self._read(staged.payload, staged.known_at_us, now_us, known)

    async def _read(
        self, payload: bytes, known_at_us: int, now_us: int, known: _Known
    ) -> tuple[Inbound, InboundFormat]:
        while True:
            named = Names()
            read = read_message(payload, known_at_us, self._site(now_us, named, known))
            if not await self._look_up(named, known, now_us):
                return read

    async def _look_up(self, named: Names, known: _Known, now_us: int) -> bool:
        """Look up in the ledger what is named and was not looked up before; whether anything was found."""
        new = named.without(known.asked)
        known.asked.add(named)
        new.keys = {key for key in new.keys if key not in self._state().whole}
        new.unseen = {subject for subject in new.unseen if not self._mentions(subject)}
        if new.empty:
            return False
        found = await self._ledger.look_up(new, now_us)
        anchors = [anchor for anchor in found.anchors if anchor.key not in self._state().whole]
        await self._read_back(anchors)
        holders = {
            number: [each for each in holding if self._is_under_way(each.subject, now_us)]
            for number, holding in found.holders.items()
        }
        known.renumbered |= found.renumbered
        known.identities |= found.identities
        known.holders |= holders
        known.staged |= found.staged
        return bool(found.renumbered or anchors or found.identities or any(holders.values()) or found.staged)

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

    def waiting_for(self, read: Accepted) -> str:
        """The subject for whose cap the message waits; "" if it does not wait.

        A message waits that tells of an arrival, or that only states something of one visit that was never seen here,
        and names no place of ours.
        """
        patients = patients_of(read.facts)
        states = all(isinstance(fact, InfusionFact | OrderChecked | WorkRaised) for fact in read.facts)
        unseen = states and len(patients) == 1 and not read.placed and not any(map(self._mentions, patients))
        return next(iter(patients)) if unseen else read.arrived

    def names(self, read: Accepted) -> frozenset[str]:
        """The subjects that the message makes known here, or joins with one that is."""
        of_visit = partial(subject_of, self._ledger.salt)
        pairs = [{of_visit(each.old.value), of_visit(each.new.value)} for each in read.merges if each.kind == "visit"]
        return patients_of(read.facts).union(*(pair for pair in pairs if any(map(self._mentions, pair))))

    def _mentions(self, subject: str) -> bool:
        """Whether any fact in memory names the subject."""
        return bool(self._state().facts.of(("patient", subject)))

    def seal(self, read: Accepted, payload: bytes) -> str:
        """The message's idempotency key: a salted digest of its id and its content."""
        return seal(
            self._ledger.salt, b"\0".join((read.message_id.encode(errors="surrogatepass"), content_of(payload)))
        )

    def serves(self, subject: str, now_us: int) -> bool:
        """Whether the subject has or had a cap or a session here."""
        return self._site(now_us, Names(), _Known()).knows(subject)

    def _site(self, now_us: int, named: Names, known: _Known) -> ReaderSite:
        """The gateway's state as readers see it, with what was looked up; it notes in `named` what they ask for."""

        def subject(visit: str) -> str:
            of_visit = subject_of(self._ledger.salt, visit)
            named.keys.add(("patient", of_visit))
            named.visits.add(visit)
            return of_visit if self._mentions(of_visit) else known.renumbered.get(visit, of_visit)

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

        def knows_order(subject: str, order: str) -> bool:
            named.unseen.add(subject)
            return subject in known.staged or self._state().knows_order(subject, order)

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
            mentions=self._mentions,
            was_served=was_served,
            knows_order=knows_order,
        )


def patients_of(facts: Iterable[AnyFact]) -> frozenset[str]:
    """The subjects of the patients whom the facts concern."""
    return frozenset(name for fact in facts for kind, name in fact.concerns if kind == "patient")
