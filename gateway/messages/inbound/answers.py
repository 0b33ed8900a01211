"""The results of reading an inbound message of any format: accepted with facts, ignored, rejected, or a receipt.

Facts name a patient only by the subject; the identifiers are beside them. Answers say what to correct and repeat no
content.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import tzinfo
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from gateway.messages.details import Detail, Stated
from gateway.messages.identity import Identity, Merge, Number, NumberKind
from gateway.messages.vocabulary import EhrWords
from gateway.session.facts import AnyFact, CapRef
from gateway.session.worklist import WorkKey


class InboundFormat(StrEnum):
    """The format of an inbound message, as the answer to it names it."""

    JSON = "json"
    HL7V2 = "hl7v2"
    FHIR = "fhir"


class Term(StrEnum):
    """The kinds of codes that a site's configuration gives a meaning."""

    WORD = "word"  # of the MAR
    DRUG = "drug"


class FieldRead(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field that was read from a message: its place, what it is read as, and its value."""

    where: str
    what: str
    value: str
    term: Term | None = None
    meaning: str = ""  # the site's meaning of the term; "": unknown
    label: str = ""  # the text beside a code
    detail: Detail | None = None  # it is one, which the site may want its charges to say or not


class Accepted(msgspec.Struct, frozen=True):
    """The message became facts. `note` is for its sender."""

    message_id: str
    facts: tuple[AnyFact, ...]
    identities: tuple[Identity, ...] = ()
    note: str = ""
    merges: tuple[Merge, ...] = ()
    unknown: tuple[str, ...] = ()  # fields with words that the site's vocabulary lacks
    details: tuple[Stated, ...] = ()  # what is stated for charges
    placed: bool = False  # it names a place, which is this gateway's or whose visit is known here
    arrived: str = ""  # the subject of a visit that came to this suite and has no chair: the message waits for its cap


class Ignored(msgspec.Struct, frozen=True):
    """The message was understood and changes nothing here."""

    message_id: str
    code: str
    text: str
    unknown: tuple[str, ...] = ()  # the fields with words that the site gives no meaning


class Rejected(msgspec.Struct, frozen=True):
    """The message was not understood; `text` says what to correct. Fields that could not be read are ""."""

    message_id: str
    code: str
    text: str
    subject: str = ""  # the message's patient


ReceiptResult = Literal["stored", "accepted", "rejected"]


class Receipt(msgspec.Struct, frozen=True):
    """The interface engine's application acknowledgement of a message of the gateway, whose id is `for_id`.

    `stored`: the engine keeps the message, and the application's answer follows.
    """

    message_id: str
    for_id: str
    result: ReceiptResult
    code: str = ""
    text: str = ""  # the engine's text, which may name a patient
    sequence: int | None = None  # given: it is also for every message on the same topic before this one


Answer = Accepted | Ignored | Rejected


def answer_name(answer: Answer) -> Literal["accepted", "ignored", "rejected"]:
    """The name of the answer, as it is published."""
    match answer:
        case Accepted():
            return "accepted"
        case Ignored():
            return "ignored"
        case Rejected():
            return "rejected"


Inbound = Answer | Receipt


def _knows_none(subject: str, order: str) -> bool:
    return False


def _is_never_done(subject: str) -> bool:
    return False


def _holds_none(kind: NumberKind, number: Number) -> Sequence[Identity]:
    return ()


def _identifies_none(subject: str) -> Identity | None:
    return None


def _mentions_none(subject: str) -> bool:
    return False


def _has_none(key: WorkKey) -> bool:
    return False


def no_session(token: str) -> str | None:
    """A `session_of` without sessions."""
    return None


class Served(Protocol):
    """The patient that each cap serves, by cap and by patient."""

    def get(self, key: CapRef, /) -> str | None:
        """The subject that a cap serves; None if it is free."""
        ...

    def caps_of(self, subject: str) -> Sequence[CapRef]:
        """The caps that serve a subject."""
        ...


class ServedCaps(dict[CapRef, str]):
    """A `Served` made of a dict, without expiry."""

    def caps_of(self, subject: str) -> Sequence[CapRef]:
        """The caps that serve a subject."""
        return [cap for cap, served in self.items() if served == subject]


class ReaderSite(msgspec.Struct, frozen=True):
    """The gateway's configuration and state as far as readers need them."""

    chairs: Mapping[str, CapRef]  # names in lower case, as in all of the gateway
    caps: frozenset[CapRef]
    bound: Served  # the subject each cap serves now
    treated: Container[str]  # subjects that have a session here
    session_of: Callable[[str], str | None]  # token -> its session's subject, "" while unbound; None: no such session
    subject_of: Callable[[str], str]  # visit -> subject
    zone: tzinfo | None = None  # of local times without an offset; None: they are rejected
    words: EhrWords = EhrWords()
    live: bool = False  # a live gateway ignores messages that are marked as tests
    is_done: Callable[[str], bool] = _is_never_done  # whether a subject's cooling is over, so its caps are free
    has_work: Callable[[WorkKey], bool] = _has_none  # whether such a work item is open
    identity_of: Callable[[str], Identity | None] = _identifies_none  # of a subject that is served or has a session
    holders: Callable[[NumberKind, Number], Sequence[Identity]] = (
        _holds_none  # identities with that number and a session under way
    )
    mentions: Callable[[str], bool] = _mentions_none  # whether any fact names the subject
    was_served: Callable[[str], bool] = _mentions_none  # whether a cap was ever bound to the subject
    knows_order: Callable[[str, str], bool] = _knows_none  # subject, order -> whether the order was reported

    def knows(self, subject: str) -> bool:
        """Whether the subject has a session here, or is or ever was served by a cap here."""
        return subject in self.treated or bool(self.bound.caps_of(subject)) or self.was_served(subject)
