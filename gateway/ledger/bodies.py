"""The bodies of entries: their encoding and decoding, for the gateway's restart and the audit.

The body of an increment, a charge or a session holds what the tracker needs to rebuild its state, what the published
message says without the patient's identifiers and the details of a charge, and the message's seal, so that the chain
proves every byte that was sent without naming a patient or a diagnosis. Of the envelope it has what the entry's columns
and the event's type do not say. A fact's body is the fact, as `gateway.session.facts` encodes it. A body is JSON in
UTF-8; each reader decodes only the fields that it needs. The seal of a message is a digest keyed with the ledger's salt
(`entry.seal`).
"""

from typing import Any, TypeVar

import msgspec

from gateway.ledger.access import Access, TookNote
from gateway.messages.cloudevents import Event
from gateway.session.charges import Charge
from gateway.session.increments import Change
from gateway.session.outcome import Published


class IncrementBody(msgspec.Struct, frozen=True):
    """The body of an increment's entry."""

    change: Change
    event: msgspec.Raw = msgspec.Raw()
    sent: dict[str, str] = {}  # as a charge's


class SessionBody(msgspec.Struct, frozen=True, rename={"published": "told"}):
    """The body of a session's entry."""

    published: Published
    event: msgspec.Raw = msgspec.Raw()
    sent: dict[str, str] = {}  # as a charge's


class ChargeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a charge's or a credit's entry."""

    charge: Charge
    event: msgspec.Raw = msgspec.Raw()
    sent: dict[str, str] = {}  # the messages it was sent as, in every notation: id -> seal


class StatusBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an entry about the gateway itself."""

    event: Event
    taken: str = ""  # the seal of the message of the engine that the event answers, if it was taken


class AccessBody(msgspec.Struct, frozen=True):
    """The body of the entry of a reading of patients' identifiers, kind `status`."""

    access: Access


class SetAsideBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of the entry after those that were carried over from a damaged ledger."""

    set_aside: str  # name of the damaged file
    epoch: str = ""  # its epoch
    carried: int = 0  # entries carried over; among those before this one marks replace lost ones
    missing: int = 0  # number of entries lost, as far as is known; at least 1 if unknown
    lost_since_us: int = 0  # when the last entry before the first lost one was recorded; 0: from the beginning
    lost: tuple[str, ...] = ()  # ids of messages that were lost, though their entries were carried over
    sent: dict[str, str] = {}  # messages of entries that were lost: id -> seal, "" if its bytes were gone
    sealed: dict[str, list[str]] = {}  # all rows beside the chain, as `SealedBody` has them

    @property
    def lost_any(self) -> bool:
        """Whether an entry or a message may be lost."""
        return bool(self.missing or self.lost or self.sent or not self.carried)


class ReceiptNote(msgspec.Struct, frozen=True):
    """An application receipt as the chain holds it; the engine's text is stored outside the chain."""

    key: str  # of the message that it is for
    result: str
    code: str


class ReceiptBody(msgspec.Struct, frozen=True):
    """The body of a receipt's entry."""

    receipt: ReceiptNote


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's order to send a message again; `login` and `role` as in `gateway.ledger.access.Actor`."""

    key: str
    person: str
    reason: str
    login: str = ""
    role: str = ""


class ResendBody(msgspec.Struct, frozen=True):
    """The body of the entry of an order to send a message again."""

    resend: Order


class TookBody(msgspec.Struct, frozen=True):
    """The body of the entry of that, kind `status`."""

    took: TookNote


class PurgeNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a purge deleted beside the chain, and who had it done: a person, or, without one, the configuration."""

    identifiers: tuple[str, ...] = ()  # of these subjects
    numbers: tuple[str, ...] = ()  # seals of changes of numbers
    messages: int = 0  # of which the bytes
    entries: tuple[int, ...] = ()  # that those come from
    texts: int = 0  # of receipts
    copies: tuple[str, ...] = ()  # files beside the ledger
    older_than_us: tuple[int | None, ...] = ()  # what was due: identifiers, messages, copies; None: nothing was
    person: str = ""
    reason: str = ""
    login: str = ""
    role: str = ""


class SealedBody(msgspec.Struct, frozen=True):
    """The body of the entry that seals rows beside the chain: by subject, "" for changed numbers."""

    sealed: dict[str, list[str]]


class PurgeBody(msgspec.Struct, frozen=True):
    """The body of the entry of a purge, kind `status`."""

    purge: PurgeNote


AnyBody = (
    IncrementBody
    | SessionBody
    | ChargeBody
    | StatusBody
    | AccessBody
    | SetAsideBody
    | ReceiptBody
    | ResendBody
    | PurgeBody
    | SealedBody
    | TookBody
)


class _AnswerData(msgspec.Struct, frozen=True):
    result: str = ""
    for_: str = msgspec.field(name="for", default="")


class _AnswerEvent(msgspec.Struct, frozen=True):
    data: _AnswerData = _AnswerData()


class _Answer(msgspec.Struct, frozen=True):
    """The fields of an answer's body that are read."""

    event: _AnswerEvent = _AnswerEvent()
    taken: str = ""


class _Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a body holds of a JSON message, but for `_BESIDE`."""

    type: str
    id: str
    causationid: str = ""
    data: dict[str, Any]


class _Message(msgspec.Struct, frozen=True):
    """The fields of any body that are read."""

    event: msgspec.Raw = msgspec.Raw()
    sent: dict[str, str] = {}


_BESIDE = ("patient", "details")  # of a message's data: they lie beside the chain, and can be purged

B = TypeVar("B")

_encoder = msgspec.json.Encoder()
_increment = msgspec.json.Decoder(IncrementBody)
_session = msgspec.json.Decoder(SessionBody)
_charge = msgspec.json.Decoder(ChargeBody)
_answer = msgspec.json.Decoder(_Answer)
_message = msgspec.json.Decoder(_Message)
_held = msgspec.json.Decoder(_Held)
_set_aside = msgspec.json.Decoder(SetAsideBody)
_access = msgspec.json.Decoder(AccessBody)
_purge = msgspec.json.Decoder(PurgeBody)
_sealed = msgspec.json.Decoder(SealedBody)
_took = msgspec.json.Decoder(TookBody)


def encode_body(body: AnyBody) -> bytes:
    """The body as JSON, fields in the order of their declaration."""
    return _encoder.encode(body)


def said(message: bytes) -> msgspec.Raw:
    """What a body holds of a JSON message. Raises msgspec.DecodeError if it is none."""
    held = _held.decode(message)
    for name in _BESIDE:
        held.data.pop(name, None)
    return msgspec.Raw(_encoder.encode(held))


def change_of(body: str) -> Change:
    """The change in an increment's body. Raises msgspec.DecodeError."""
    return _increment.decode(body).change


def charge_of(body: str) -> Charge:
    """The charge or credit in a charge's body. Raises msgspec.DecodeError."""
    return _charge.decode(body).charge


def published_of(body: str) -> Published:
    """The session's published state in its body. Raises msgspec.DecodeError."""
    return _session.decode(body).published


def taken_message(body: str) -> str | None:
    """The seal of the inbound message that the body's answer accepted; its id, if an earlier version wrote the body."""
    try:
        answer = _answer.decode(body)
    except msgspec.DecodeError:
        return None
    of_earlier = answer.event.data.for_ if answer.event.data.result == "accepted" else ""
    return answer.taken or of_earlier or None


def set_aside_of(body: str) -> SetAsideBody | None:
    """The body as a SetAsideBody; None if it is another one."""
    return _if_one(_set_aside, body)


def access_of(body: str) -> Access | None:
    """The reading in a status entry's body; None if it is another one."""
    found = _if_one(_access, body)
    return found and found.access


def purge_of(body: str) -> PurgeNote | None:
    """The purge in a status entry's body; None if it is another one."""
    found = _if_one(_purge, body)
    return found and found.purge


def sealed_rows(body: str) -> dict[str, list[str]] | None:
    """The seals in the entry of rows beside the chain; None if it is another one."""
    found = _if_one(_sealed, body)
    return found and found.sealed


def took_of(body: str) -> TookNote | None:
    """What was taken, in a status entry's body; None if it is another one."""
    found = _if_one(_took, body)
    return found and found.took


def delivery_of(body: str) -> ReceiptBody | ResendBody | None:
    """The receipt or the order in a delivery's body; None if it is neither."""
    for kind in (ReceiptBody, ResendBody):
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            continue
    return None


def event_of(body: str) -> bytes | None:
    """What a body holds of its message, byte for byte; None if it has none. Raises msgspec.DecodeError."""
    event = _message.decode(body).event
    return bytes(event) or None


def sealed(body: str) -> dict[str, str]:
    """The messages whose seals a body has: id -> seal. Raises msgspec.DecodeError."""
    return _message.decode(body).sent


def without_patient(event: bytes) -> dict[str, Any]:
    """A message without what lies beside the chain. Raises msgspec.DecodeError if it is no message."""
    decoded = msgspec.json.decode(event, type=dict[str, Any])
    if isinstance(decoded.get("data"), dict):
        for name in _BESIDE:
            decoded["data"].pop(name, None)
    return decoded


def agrees(event: bytes, message: bytes) -> bool:
    """Whether what a body holds of a message is what the message says. Raises msgspec.DecodeError.

    Earlier versions held its whole envelope, the first one the patient as well.
    """
    return event in (message, bytes(said(message))) or without_patient(event) == without_patient(message)


def names_patient(body: str) -> bool:
    """Whether the body has a message with a patient's identifiers. Raises msgspec.DecodeError."""
    event = event_of(body)
    return event is not None and msgspec.json.decode(event) != without_patient(event)


def _if_one(decoder: msgspec.json.Decoder[B], body: str) -> B | None:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return None
