"""Reads a message of the interface engine in any format and from any topic. It never raises.

Theory of operation: the content decides the format: `MSH` begins HL7 v2, a JSON object with a `resourceType` is FHIR,
any other JSON object should be a CloudEvents event. The reader is chosen by the ending of an event's type, with any
prefix (json_readers.py), by the HL7 message type, or by the FHIR resource type. All readers make the same kinds of
facts. Steps common to all formats come last: patient fields and details of charges that the site does not keep are
dropped, an association that ends another patient's makes a work item, and work items that are open already are dropped.
"""

from collections.abc import Callable, Iterator
from typing import cast

import msgspec
from pydantic import ValidationError

from gateway.messages.details import as_wanted
from gateway.messages.hl7v2 import Er7Error, parse, read_header
from gateway.messages.identity import Identity
from gateway.messages.inbound.acks import read_ack
from gateway.messages.inbound.answers import Accepted, FieldRead, Inbound, InboundFormat, ReaderSite, Rejected
from gateway.messages.inbound.fhir import read_fhir
from gateway.messages.inbound.hl7 import Hl7, hl7_message_id
from gateway.messages.inbound.hl7_adt import read_adt
from gateway.messages.inbound.hl7_association import is_association, read_association
from gateway.messages.inbound.hl7_pump import is_pump_event, read_pump
from gateway.messages.inbound.hl7_ras import read_ras
from gateway.messages.inbound.json_message import JsonMessage, Stop, named_subject
from gateway.messages.inbound.json_models import Envelope, explain
from gateway.messages.inbound.json_readers import READERS
from gateway.messages.instants import InstantError, read_instant
from gateway.session.facts import AnyFact, CapRef, PatientBound, PatientReleased, WorkKind, WorkRaised
from gateway.session.worklist import work_key

MAX_BYTES = 64 * 1024
_TESTS = frozenset({"T", "D"})  # MSH-11: training, debugging
_USED = "RAS, ORU (pump events, associations), ADT, ACK"


def read_message(
    payload: bytes, known_at_us: int, site: ReaderSite, fields: list[FieldRead] | None = None
) -> tuple[Inbound, InboundFormat]:
    """Read a message received at `known_at_us`; the answer, and the message's format.

    Every field that is read of an HL7 or FHIR message is appended to `fields`.
    """
    noted = [] if fields is None else fields
    if payload.lstrip(b"\xef\xbb\xbf\x0b\r\n\t ").startswith(b"MSH"):
        return _settled(_read_hl7(payload, known_at_us, site, noted), site), InboundFormat.HL7V2
    resource = _resource(payload)
    if resource is not None:
        return _settled(read_fhir(resource, known_at_us, site, noted), site), InboundFormat.FHIR
    return _settled(read_json(payload, known_at_us, site), site), InboundFormat.JSON


def _read_hl7(payload: bytes, known_at_us: int, site: ReaderSite, fields: list[FieldRead]) -> Inbound:
    message_id = ""
    try:
        header = read_header(payload[:MAX_BYTES])
        message_id = hl7_message_id(header)
        if len(payload) > MAX_BYTES:
            return Rejected(message_id, "too-large", f"the message is larger than {MAX_BYTES} bytes")
        is_ack = header.get(9).upper() == "ACK"
        hl7 = Hl7(parse(payload, lossy=is_ack), known_at_us, site, fields)
    except Er7Error as error:
        return Rejected(message_id, "not-hl7", str(error))
    try:
        return _of_hl7(hl7)
    except Stop as stop:
        return stop.answer


def _of_hl7(hl7: Hl7) -> Inbound:
    header = hl7.message.first("MSH")
    kind = hl7.text(header, 9, "type of message").upper()
    if kind == "ACK":
        receipt = read_ack(hl7.message)
        if receipt is None:
            raise hl7.rejected("bad-data", "MSA-1 or MSA-2: missing; accepted: AA, AE or AR, and the id of our message")
        return receipt
    if not hl7.message_id:
        raise hl7.rejected("bad-envelope", "MSH-10: missing; accepted: the message's control id, unique at the sender")
    if hl7.site.live and header.get(11).upper() in _TESTS:
        raise hl7.ignored("test-message", "MSH-11 marks a test, and this gateway is live; accepted: P")
    match kind:
        case "RAS":
            return read_ras(hl7)
        case "ADT":
            return read_adt(hl7)
        case "ORU" if is_association(hl7.message):
            return read_association(hl7)
        case "ORU" if is_pump_event(hl7.message):
            return read_pump(hl7)
        case _:
            raise hl7.ignored("not-used", f"MSH-9: not used here; used are {_USED}")


def _resource(payload: bytes) -> dict[str, object] | None:
    """The FHIR resource in the bytes; None if they are something else, or too large."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        decoded: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    fields = cast(dict[str, object], decoded) if isinstance(decoded, dict) else {}
    return fields if isinstance(fields.get("resourceType"), str) else None


def _settled(answer: Inbound, site: ReaderSite) -> Inbound:
    """The steps that are common to all formats."""
    if not isinstance(answer, Accepted):
        return answer
    kept = site.words.kept
    identities = tuple(_kept(identity, kept) for identity in answer.identities)
    numbers = {"visit", *kept}
    merges = tuple(merge for merge in answer.merges if {merge.kind, merge.by} <= numbers)
    facts = tuple(_with_work(answer, site))
    details = as_wanted(answer.details, site.words.details)
    return msgspec.structs.replace(answer, facts=facts, identities=identities, merges=merges, details=details)


def _kept(identity: Identity, kept: frozenset[str]) -> Identity:
    names = {"subject", "visit", *kept, *(f"{name}_authority" for name in ("visit", *kept))}
    return Identity(**{name: value for name, value in msgspec.structs.asdict(identity).items() if name in names})


def _with_work(answer: Accepted, site: ReaderSite) -> Iterator[AnyFact]:
    left: set[CapRef] = set()
    for fact in answer.facts:
        if not isinstance(fact, WorkRaised) or not site.has_work(work_key(fact)):
            yield fact
        if isinstance(fact, PatientReleased) and fact.patient == site.bound.get(fact.cap):
            left.add(fact.cap)
        if isinstance(fact, PatientBound) and fact.cap not in left:
            served = site.bound.get(fact.cap)
            if served is not None and served != fact.patient and not site.is_done(served):
                yield from _with_work(Accepted(answer.message_id, (_taken_over(fact),)), site)


def _taken_over(bound: PatientBound) -> WorkRaised:
    return WorkRaised(
        at_us=bound.known_at_us,
        known_at_us=bound.known_at_us,
        what=WorkKind.CAP_TAKEN_OVER,
        cap=bound.cap,
        patient=bound.patient,
        msg=bound.msg,
    )


def read_json(payload: bytes, known_at_us: int, site: ReaderSite) -> Inbound:
    """Read a CloudEvents event in JSON received at `known_at_us`."""
    try:
        message, read = _open(payload, known_at_us, site)
        return read(message)
    except Stop as stop:
        return stop.answer


def _open(payload: bytes, known_at_us: int, site: ReaderSite) -> tuple[JsonMessage, Callable[[JsonMessage], Inbound]]:
    if len(payload) > MAX_BYTES:
        raise Stop(Rejected("", "too-large", f"the message is larger than {MAX_BYTES} bytes"))
    try:
        decoded: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Stop(Rejected("", "not-json", _no_json(payload))) from None
    if not isinstance(decoded, dict):
        raise Stop(Rejected("", "not-an-event", "no JSON object; accepted: a CloudEvents 1.0 event"))
    fields = cast(dict[str, object], decoded)
    message_id, subject = _message_id(fields), named_subject(fields.get("data"), site)
    try:
        envelope = Envelope.model_validate(fields)
        read = _reader_of(envelope.type, message_id)
        time = read_instant(envelope.time, known_at_us, site.zone)
    except ValidationError as error:
        raise Stop(Rejected(message_id, "bad-envelope", explain(error, Envelope), subject)) from None
    except InstantError as error:
        raise Stop(Rejected(message_id, "bad-time", f"time: {error}", subject)) from None
    recorded_us = _recorded_us(envelope, known_at_us, site, message_id)
    return JsonMessage(message_id, time, recorded_us, known_at_us, site, envelope.data), read


def _no_json(payload: bytes) -> str:
    """An error text for bytes that are not JSON: what they look like, and what is accepted."""
    bare = payload.lstrip(b"\xef\xbb\xbf\r\n\t ")
    if bare.startswith(b"<") and b"http://hl7.org/fhir" in bare:
        return "FHIR in XML is not read; accepted: FHIR in JSON, as application/fhir+json has it"
    if bare.startswith(b"<"):
        return "XML is not read; accepted: HL7 v2 in ER7 encoding, FHIR in JSON, or a CloudEvents 1.0 event in JSON"
    if bare.startswith((b"FHS", b"BHS")):
        return "the batch holds no message; accepted: messages that begin with MSH"
    return "not JSON; accepted: a CloudEvents 1.0 event in UTF-8"


def _message_id(fields: dict[str, object]) -> str:
    match fields:
        case {"source": str(source), "id": str(id_)} if source and id_:
            return f"{source[:256]}|{id_[:256]}"
        case _:
            return ""


def _recorded_us(envelope: Envelope, known_at_us: int, site: ReaderSite, message_id: str) -> int | None:
    if envelope.recordedtime is None:
        return None
    try:
        return read_instant(envelope.recordedtime, known_at_us, site.zone).at_us
    except InstantError as error:
        subject = named_subject(envelope.data, site)
        raise Stop(Rejected(message_id, "bad-time", f"recordedtime: {error}", subject)) from None


def _reader_of(event_type: str, message_id: str) -> Callable[[JsonMessage], Inbound]:
    for ending, inbound_type in READERS.items():
        if event_type == ending or event_type.endswith(f".{ending}"):
            return inbound_type.read
    raise Stop(Rejected(message_id, "unknown-type", f"type: accepted are the endings {', '.join(READERS)}"))
