"""What becomes of an inbound message, in any format: facts, nothing, or a reason to send it again.

Facts name a patient by the subject alone; the identifiers travel beside them. Answers say what to mend and repeat no
content.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import tzinfo
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

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
    """What a site maps to a meaning of its own."""

    WORD = "word"  # of the MAR
    DRUG = "drug"


class Taken(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was read of a message: where it stood, what it means here, and what it says."""

    where: str
    what: str
    value: str
    term: Term | None = None
    meaning: str = ""  # what the site takes the term for; "": nothing that it knows
    label: str = ""  # the text beside a code


class Accepted(msgspec.Struct, frozen=True):
    """The message became facts. `note` says what its sender should know about them."""

    message_id: str
    facts: tuple[AnyFact, ...]
    identities: tuple[Identity, ...] = ()
    note: str = ""
    merges: tuple[Merge, ...] = ()
    unknown: tuple[str, ...] = ()  # the fields with words that the site gives no meaning


class Ignored(msgspec.Struct, frozen=True):
    """Understood, and nothing to do here."""

    message_id: str
    code: str
    text: str
    unknown: tuple[str, ...] = ()  # the fields with words that the site gives no meaning


class Rejected(msgspec.Struct, frozen=True):
    """Not understood; `text` says what to mend. What could not be read is empty."""

    message_id: str
    code: str
    text: str
    subject: str = ""  # whom it is about


ReceiptResult = Literal["stored", "accepted", "rejected"]


class Receipt(msgspec.Struct, frozen=True):
    """What the interface engine says of a message of ours; `for_id` is that message's id.

    `stored`: it has the message, and the application's answer is to come.
    """

    message_id: str
    for_id: str
    result: ReceiptResult
    code: str = ""
    text: str = ""  # in the engine's words, which may name a patient
    sequence: int | None = None  # given: it is also for every message on the same topic before this one


Answer = Accepted | Ignored | Rejected


def answer_name(answer: Answer) -> Literal["accepted", "ignored", "rejected"]:
    """The answer in one word."""
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
    """Whose session that is: nobody's, where no session is known."""
    return None


class Served(Protocol):
    """Whom each cap serves, found by either."""

    def get(self, key: CapRef, /) -> str | None:
        """The subject that a cap serves; None if it is free."""
        ...

    def caps_of(self, subject: str) -> Sequence[CapRef]:
        """The caps that serve a subject."""
        ...


class ServedCaps(dict[CapRef, str]):
    """Whom each cap serves, as a plain table."""

    def caps_of(self, subject: str) -> Sequence[CapRef]:
        """The caps that serve a subject."""
        return [cap for cap, served in self.items() if served == subject]


class ReaderSite(msgspec.Struct, frozen=True):
    """What a reader must know of this gateway to know what is its own."""

    chairs: Mapping[str, CapRef]  # names in lower case, as in all of the gateway
    caps: frozenset[CapRef]
    bound: Served  # the subject each cap serves now
    treated: Container[str]  # subjects that have a session here
    session_of: Callable[[str], str | None]  # token -> its session's subject, "" while unbound; None: no such session
    subject_of: Callable[[str], str]  # visit -> subject
    zone: tzinfo | None = None  # of local times without an offset; None: they are rejected
    words: EhrWords = EhrWords()
    live: bool = False  # messages that are marked as tests change nothing here
    is_done: Callable[[str], bool] = _is_never_done  # whether a subject's cooling is over: its caps are free
    has_work: Callable[[WorkKey], bool] = _has_none  # whether a person is to look at it already
    identity_of: Callable[[str], Identity | None] = _identifies_none  # of somebody who is served or has a session
    holders: Callable[[NumberKind, Number], Sequence[Identity]] = (
        _holds_none  # of a number: who has a session under way
    )
    mentions: Callable[[str], bool] = _mentions_none  # whether anything of the subject is known
    was_served: Callable[[str], bool] = _mentions_none  # whether a cap was ever bound to the subject
    knows_order: Callable[[str, str], bool] = _knows_none  # subject, order -> whether anything of it is known

    def knows(self, subject: str) -> bool:
        """Whether the subject is served by a cap here, or has a session here."""
        return subject in self.treated or bool(self.bound.caps_of(subject))
