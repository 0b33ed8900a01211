"""Whose session is meant by the numbers in a message that names no visit: account and record number. Pure.

A number finds a session while that is under way and no other has the number. Where a number finds several, or what else
the message says speaks against the one found, nothing is taken: each of them goes to the work list.
"""

import msgspec

from gateway.messages.identity import Identity, Number, NumberKind
from gateway.messages.inbound.answers import ReaderSite
from gateway.session.facts import WorkKind, WorkRaised

UNCLEAR = "its numbers may mean several patients, or speak against each other: a person looks at it"


class Stated(msgspec.Struct, frozen=True):
    """The numbers of a patient in a message; a sender may know several of one kind, the first is the site's choice."""

    accounts: tuple[Number, ...] = ()
    mrns: tuple[Number, ...] = ()

    @property
    def account(self) -> Number | None:
        """The account."""
        return self.accounts[0] if self.accounts else None

    def of(self, kind: NumberKind) -> tuple[Number, ...]:
        """The numbers of that kind."""
        match kind:
            case "account":
                return self.accounts
            case "mrn":
                return self.mrns
            case "visit":
                return ()

    def mrn_of(self, known: Identity | None) -> Number | None:
        """The record number: the one that is known already, else the first."""
        own = None if known is None else known.number("mrn")
        same = (each for each in self.mrns if own is not None and own.is_same(each))
        return next(same, self.mrns[0] if self.mrns else None)

    def holders(self, site: ReaderSite, kind: NumberKind) -> list[Identity]:
        """Who has a number of that kind, and a session under way."""
        found = (known for number in self.of(kind) for known in site.holders(kind, number))
        return list({known.subject: known for known in found}.values())

    def contradicts(self, known: Identity) -> bool:
        """Whether a number of that person is another one here."""
        kinds: tuple[NumberKind, ...] = ("account", "mrn")
        return any((own := known.number(kind)) is not None and own.is_other(self.of(kind)) for kind in kinds)


class Found(msgspec.Struct, frozen=True):
    """The one session under way, or those between which the numbers do not decide."""

    one: Identity | None = None
    doubtful: tuple[Identity, ...] = ()


def find(site: ReaderSite, stated: Stated) -> Found:
    """Who is meant: by the account, else by the record number."""
    kinds: tuple[NumberKind, ...] = ("account", "mrn")
    for kind in kinds:
        holders = stated.holders(site, kind)
        agreeing = [known for known in holders if not stated.contradicts(known)]
        if len(agreeing) == 1:
            return Found(agreeing[0])
        if holders:
            return Found(doubtful=tuple(agreeing or holders))
    return Found()


def unclear(subject: str, known_at_us: int, message_id: str) -> WorkRaised:
    """Work for a person: a message may be about this patient, and nobody can say."""
    return WorkRaised(
        at_us=known_at_us, known_at_us=known_at_us, what=WorkKind.PATIENT_UNCLEAR, patient=subject, msg=message_id
    )
