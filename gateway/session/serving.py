"""Which patient each cap serves: its last binding, unless released, voided or expired. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.session.attribution import voided
from gateway.session.facts import AnyFact, BindingVoided, CapRef, PatientBound, PatientReleased
from gateway.session.occupancy import BINDING_HOLDS_US
from gateway.session.session_index import SessionIndex
from gateway.session.shared_map import SharedMap


class Bindings(msgspec.Struct, frozen=True):
    """The last binding of each cap that was not released."""

    of_caps: SharedMap[CapRef, PatientBound] = SharedMap[CapRef, PatientBound]()
    of_patients: SharedMap[str, tuple[CapRef, ...]] = SharedMap[str, tuple[CapRef, ...]]()

    def after(self, facts: Iterable[AnyFact]) -> "Bindings":
        """The bindings after these facts, which are in the order of their receipt."""
        bindings = self
        for fact in facts:
            match fact:
                case PatientBound():
                    bindings = bindings._without(fact.cap)._bound(fact)
                case PatientReleased():
                    known = bindings.of_caps.get(fact.cap)
                    if known is not None and fact.patient in ("", known.patient):
                        bindings = bindings._without(fact.cap)
                case BindingVoided():
                    known = bindings.of_caps.get(fact.cap)
                    if known is not None and voided(known, fact):
                        bindings = bindings._without(fact.cap)
                case _:
                    pass
        return bindings

    def _bound(self, fact: PatientBound) -> "Bindings":
        caps = (*self.of_patients.get(fact.patient, ()), fact.cap)
        return Bindings(
            self.of_caps.updated([(fact.cap, fact)]),
            self.of_patients.updated([(fact.patient, caps)]),
        )

    def _without(self, cap: CapRef) -> "Bindings":
        known = self.of_caps.get(cap)
        if known is None:
            return self
        caps = tuple(each for each in self.of_patients[known.patient] if each != cap)
        of_patients = self.of_patients.updated([(known.patient, caps)])
        return Bindings(self.of_caps.without([cap]), of_patients if caps else of_patients.without([known.patient]))


class Serving(Mapping[CapRef, str]):
    """The patient of each cap: bound within BINDING_HOLDS_US, or with an open session, so a missed release expires."""

    def __init__(self, bindings: Bindings, sessions: SessionIndex, now_us: int) -> None:
        self._bindings = bindings
        self._sessions = sessions
        self._now_us = now_us

    def caps_of(self, subject: str) -> Sequence[CapRef]:
        """The caps that serve the subject."""
        return [cap for cap in self._bindings.of_patients.get(subject, ()) if cap in self]

    def __getitem__(self, cap: CapRef) -> str:
        binding = self._bindings.of_caps[cap]
        if self._now_us - binding.at_us > BINDING_HOLDS_US and not self._sessions.open_of(binding.patient):
            raise KeyError(cap)
        return binding.patient

    def __iter__(self) -> Iterator[CapRef]:
        return (cap for cap in self._bindings.of_caps if cap in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
