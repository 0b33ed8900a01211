"""What becomes of an inbound message, in any format: facts, nothing, or a reason to send it again.

Facts name a patient by the subject alone; the identifiers travel beside them. Answers say what to mend and repeat no
content.
"""

from collections.abc import Callable, Mapping
from datetime import tzinfo

import msgspec

from gateway.session.facts import AnyFact, CapRef


class Identity(msgspec.Struct, frozen=True):
    """The identifiers behind a subject, for the ledger's own table."""

    subject: str
    visit: str
    mrn: str | None = None
    account: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The message became facts. `note` says what its sender should know about them."""

    message_id: str
    facts: tuple[AnyFact, ...]
    identities: tuple[Identity, ...] = ()
    note: str = ""


class Ignored(msgspec.Struct, frozen=True):
    """Understood, and nothing to do here."""

    message_id: str
    code: str
    text: str


class Rejected(msgspec.Struct, frozen=True):
    """Not understood; `text` says what to mend. The id is empty if none could be read."""

    message_id: str
    code: str
    text: str


Inbound = Accepted | Ignored | Rejected


class Site(msgspec.Struct, frozen=True):
    """What a reader must know of this gateway to tell what is its own."""

    chairs: Mapping[str, CapRef]  # names in lower case, as everywhere in the gateway
    caps: frozenset[CapRef]
    bound: Mapping[CapRef, str]  # the subject each cap serves now
    sessions: Mapping[str, str]  # token -> subject, of the sessions that may still change
    subject_of: Callable[[str], str]  # visit -> subject
    zone: tzinfo | None = None  # of local times without an offset; None: they are rejected

    def knows(self, subject: str) -> bool:
        """Whether the subject is served by a cap here, or has a session here that may still change."""
        return subject in self.bound.values() or subject in self.sessions.values()
