"""Reader of FHIR `MedicationAdministration`, R4 and R5: a chart entry about an infusion.

Bundles (fhir_bundle.py) and references (fhir_references.py) are resolved before. A resource is one administration, and
is sent again as a whole with every change: its last state by `meta.lastUpdated`, else by receipt, replaces the earlier
ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

from gateway.messages.details import Detail
from gateway.messages.inbound.administrations import Administration, Stage, administration_facts, time_notes
from gateway.messages.inbound.answers import Accepted, FieldRead, Ignored, Inbound, ReaderSite, Rejected, Term
from gateway.messages.inbound.fhir_bundle import is_test, not_used
from gateway.messages.inbound.fhir_details import stated_details
from gateway.messages.inbound.fhir_references import VISITS, Resolved, identity_of, resolved, with_notes
from gateway.messages.inbound.hl7 import MAX_LENGTH
from gateway.messages.inbound.json_message import Stop
from gateway.messages.instants import Instant, InstantError, read_instant
from gateway.session.facts import AgentClass

_USED = "MedicationAdministration"
_RUNNING = frozenset({"in-progress", "on-hold", "unknown"})
_OVER = frozenset({"completed", "stopped"})
_WITHDRAWN = frozenset({"entered-in-error", "not-done"})
_PERIODS = ("effectivePeriod", "occurencePeriod", "occurrencePeriod")  # R4; R5, which spells it so; as one expects
_INSTANTS = ("effectiveDateTime", "occurenceDateTime", "occurrenceDateTime")
_TIME = "accepted: a dateTime with a time of day and an offset, as in 2026-03-10T15:00:00-04:00"
_AGENT = "medication: its code is in no table of the site, so the order counts as chemo until its class is known"


def read_fhir(resource: Mapping[str, object], known_at_us: int, site: ReaderSite, fields: list[FieldRead]) -> Inbound:
    """Read a FHIR resource received at `known_at_us`. It never raises."""
    if resource.get("resourceType") != _USED:
        return not_used(resource, _message_id(resource))
    if site.live and is_test(resource):
        return Ignored(_message_id(resource), "test-message", "meta.security marks a test, and this gateway is live")
    found = resolved(resource, known_at_us, site)
    try:
        return with_notes(_Resource(found, _message_id(resource), known_at_us, site, fields).read(), found.notes)
    except Stop as stop:
        return with_notes(stop.answer, found.notes)


class _Resource:
    """The reader of one resource."""

    def __init__(
        self, found: Resolved, message_id: str, known_at_us: int, site: ReaderSite, fields: list[FieldRead]
    ) -> None:
        self._found = found
        self._resource = found.resource
        self._known_at_us = known_at_us
        self._site = site
        self._fields = fields
        self._message_id = message_id

    def read(self) -> Inbound:
        """The answer."""
        identity = identity_of(self._found, self._site, self._note, self._known_at_us, self._message_id)
        order = self._order()
        status = self._text("status", "state")
        agent, presumed = self._agent()
        charted_us = self._charted_us()
        start, end = None, None
        notes = [_AGENT] if presumed else []
        if status in _WITHDRAWN:
            stage = Stage.WITHDRAWN
            notes = ["charted and taken back: nothing of it counts until it is charted anew"]
        elif status in _RUNNING | _OVER:
            start, end = self._times(is_over=status == "completed")
            stage = Stage.ENDED if status in _OVER and end is not None else Stage.RUNNING
            if status in _OVER and end is None:
                notes.append("the period has no end: nothing counts until it has one")
            if status == "on-hold":
                notes.append("status: a pause ends nothing")
            notes += time_notes(start, end, self._known_at_us)
        else:
            accepted = ", ".join(sorted(_RUNNING | _OVER | _WITHDRAWN))
            raise self._rejected("bad-data", f"status: missing or not accepted; accepted: {accepted}")
        administration = Administration(
            stage=stage,
            order=order,
            number=self._number(order),
            subject=identity.subject,
            agent=agent,
            presumed=presumed,
            start=start,
            end=end,
            charted_us=charted_us,
            replaces=True,
            order_known=stage is not Stage.WITHDRAWN or self._site.knows_order(identity.subject, order),
        )
        facts = administration_facts(administration, self._known_at_us, self._message_id)
        if not facts:
            raise self._rejected("bad-time", f"the period has no start with a time of day; {_TIME}")
        details = stated_details(self._resource, identity.subject, order)
        for each in (stated.details for stated in details):
            for person in each.orderers:
                self._note(FieldRead("request.requester", "who ordered", person.number, detail=Detail.ORDERER))
            for diagnosis in each.diagnoses:
                where, text = "request.reasonCode", diagnosis.text
                self._note(FieldRead(where, "diagnosis", diagnosis.code, label=text, detail=Detail.DIAGNOSIS))
        return Accepted(self._message_id, facts, (identity,), "; ".join(notes), details=details)

    def _order(self) -> str:
        """The order's identifier, the same for start, end and changes: the request's, else the resource's own."""
        order = self._identifier("request", "order")
        if not order:
            order = self._own_identifier() or self._text("id", "administration")
        if not order:
            raise self._rejected("bad-data", "request.identifier: missing; accepted: the order, or an identifier")
        return order

    def _number(self, order: str) -> str:
        """The administration's number within the order: the resource's id, else its own identifier."""
        return self._text("id", "administration") or self._own_identifier() or order

    def _own_identifier(self) -> str:
        values = (_text(each, "value") for each in _list(self._resource.get("identifier")))
        return self._note(FieldRead("identifier.value", "administration", next(filter(None, values), "")))

    def _agent(self) -> tuple[AgentClass, bool]:
        medication = _object(self._resource.get("medication"))
        concepts = {
            "medicationCodeableConcept": _object(self._resource.get("medicationCodeableConcept")),
            "medication.concept": _object(medication.get("concept")),
        }
        codes = [
            (f"{path}.coding.code", code, _text(coding, "display") or _text(concept, "text"))
            for path, concept in concepts.items()
            for coding in _list(concept.get("coding"))
            if (code := _text(coding, "code"))
        ]
        agent = self._site.words.agent(code for _, code, _ in codes)
        for where, code, label in codes:
            self._note(FieldRead(where, "drug code", code, Term.DRUG, agent or "", label))
        return (AgentClass.CHEMO, True) if agent is None else (agent, False)

    def _times(self, *, is_over: bool) -> tuple[Instant | None, Instant | None]:
        """Start and end. A single instant is both if the administration is over, else the start."""
        for name in _PERIODS:
            period = _object(self._resource.get(name))
            if period:
                start = self._instant(f"{name}.start", "start of infusion", period.get("start"))
                end = self._instant(f"{name}.end", "end of infusion", period.get("end"))
                if start is not None and end is not None and not (start.no_time or end.no_time):
                    if end.at_us < start.at_us:
                        raise self._rejected("bad-time", f"{name}.end: before its start")
                    end = None if end.at_us == start.at_us else end
                return start, end
        for name in _INSTANTS:
            if name in self._resource:
                at = self._instant(name, "start of infusion", self._resource.get(name))
                return at, at if is_over and at is not None and not at.no_time else None
        raise self._rejected("bad-time", f"effectivePeriod (R5: occurencePeriod): missing; {_TIME}")

    def _instant(self, path: str, what: str, text: object) -> Instant | None:
        if text is None:
            return None
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            raise self._rejected("bad-time", f"{path}: no dateTime; {_TIME}")
        self._note(FieldRead(path, what, text))
        try:
            return read_instant(text, self._known_at_us, self._site.zone)
        except InstantError as error:
            problem = str(error).split("; accepted", maxsplit=1)[0]
            raise self._rejected("bad-time", f"{path}: {problem}; {_TIME}") from None

    def _charted_us(self) -> int | None:
        at = self._instant("meta.lastUpdated", "charted at", _object(self._resource.get("meta")).get("lastUpdated"))
        return None if at is None or at.no_time else at.at_us

    def _identifier(self, element: str, what: str) -> str:
        """The value of a reference's identifier; "" if it has none."""
        identifier = _object(_object(self._resource.get(element)).get("identifier"))
        return self._note(FieldRead(f"{element}.identifier.value", what, _text(identifier, "value")))

    def _text(self, element: str, what: str) -> str:
        return self._note(FieldRead(element, what, _text(self._resource, element)))

    def _note(self, read: FieldRead) -> str:
        if len(read.value) > MAX_LENGTH:
            raise self._rejected("bad-data", f"{read.where}: too long; accepted: 1 to {MAX_LENGTH} characters")
        if read.value:
            self._fields.append(read)
        return read.value

    def _rejected(self, code: str, text: str) -> Stop:
        visits = [_text(_object(_object(self._resource.get(of)).get("identifier")), "value") for of in VISITS]
        visit = next(filter(None, visits), "")
        return Stop(Rejected(self._message_id, code, text, self._site.subject_of(visit) if visit else ""))


def _message_id(resource: Mapping[str, object]) -> str:
    """The id of this state of the resource: its id and a digest of its content, as FHIR has no message ids."""
    content = hashlib.blake2b(repr(resource).encode(errors="replace"), digest_size=8).hexdigest()
    kind, own = _text(resource, "resourceType")[:MAX_LENGTH], _text(resource, "id")[:MAX_LENGTH]
    return f"{kind}/{own}|{content}"


def _object(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Mapping[str, object]]:
    return [_object(each) for each in cast(list[object], value)] if isinstance(value, list) else []


def _text(owner: Mapping[str, object], name: str) -> str:
    value = owner.get(name)
    return value.strip() if isinstance(value, str) else ""
