"""Whom a message means by the numbers that it states, in any format: visit, account, record number. Pure.

The visit decides. Without one a number finds a session while that is under way and no other has the number. Where a
number finds several, or what else the message says speaks against the one found, nothing is taken: each of them goes to
the work list.
"""

import msgspec

from gateway.messages.identity import Identity, Number, NumberKind, differ
from gateway.messages.inbound.answers import Accepted, ReaderSite
from gateway.session.facts import CapRef, WorkKind, WorkRaised

UNCLEAR = "its numbers may mean several patients, or speak against each other: a person looks at it"


class Stated(msgspec.Struct, frozen=True):
    """The numbers of a patient in a message; of several of one kind the first is preferred by the site."""

    accounts: tuple[Number, ...] = ()
    mrns: tuple[Number, ...] = ()

    @property
    def account(self) -> Number | None:
        """The first account number; None without one."""
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
        """The record number: the one that `known` has, else the first."""
        own = None if known is None else known.number("mrn")
        same = (each for each in self.mrns if own is not None and own.is_same(each))
        return next(same, self.mrns[0] if self.mrns else None)

    def holders(self, site: ReaderSite, kind: NumberKind) -> list[Identity]:
        """The identities with one of these numbers of that kind, and with a session under way."""
        found = (known for number in self.of(kind) for known in site.holders(kind, number))
        return list({known.subject: known for known in found}.values())

    def contradicts(self, known: Identity) -> bool:
        """Whether a number of `known` differs from that in the message."""
        kinds: tuple[NumberKind, ...] = ("account", "mrn")
        return any((own := known.number(kind)) is not None and own.is_other(self.of(kind)) for kind in kinds)


class Meant(msgspec.Struct, frozen=True):
    """Whom a message means: nobody who is known, one, or those between whom the numbers do not decide."""

    visit: Number | None = None  # None: nobody
    known: Identity | None = None
    doubtful: tuple[Identity, ...] = ()


def meant(site: ReaderSite, stated: Stated, visit: Number | None, *, is_account: bool = False) -> Meant:
    """Who is meant: by the visit, else by the account, else by the record number.

    `is_account`: the visit stands where accounts do, and one that is unknown here is looked for among them.
    """
    if visit is not None:
        subject = site.subject_of(visit.value)
        is_known = site.knows(subject)
        known = site.identity_of(subject) if is_known else None
        if known is not None and differ(known.visit_authority or "", visit.authority):
            return Meant(doubtful=(known,))
        if is_known or not is_account:
            return Meant(visit, known)
    kinds: tuple[NumberKind, ...] = ("account", "mrn")
    for kind in kinds:
        holders = stated.holders(site, kind)
        agreeing = [known for known in holders if not stated.contradicts(known)]
        if len(agreeing) == 1:
            return Meant(Number(agreeing[0].visit, agreeing[0].visit_authority or ""), agreeing[0])
        if holders:
            return Meant(doubtful=tuple(agreeing or holders))
    return Meant(visit)


def identity(site: ReaderSite, stated: Stated, visit: Number, known: Identity | None) -> Identity:
    """The identifiers of the patient with that visit, as the message states them."""
    mrn, account = stated.mrn_of(known), stated.account
    return Identity(
        site.subject_of(visit.value),
        visit.value,
        mrn=mrn and mrn.value,
        account=account and account.value,
        visit_authority=visit.authority or None,
        mrn_authority=(mrn and mrn.authority) or None,
        account_authority=(account and account.authority) or None,
    )


def unclear(site: ReaderSite, candidates: tuple[Identity, ...], known_at_us: int, message_id: str) -> Accepted:
    """Work for a person: the message may be about each of these patients, and nobody can say."""
    for each in candidates:
        site.subject_of(each.visit)  # a person looks at the session
    work = (
        WorkRaised(
            at_us=known_at_us,
            known_at_us=known_at_us,
            what=WorkKind.PATIENT_UNCLEAR,
            patient=each.subject,
            msg=message_id,
        )
        for each in candidates
    )
    return Accepted(message_id, tuple(work), note=UNCLEAR)


def chair_disagrees(cap: CapRef | None, subject: str, known_at_us: int, message_id: str) -> WorkRaised:
    """Work for a person: the chair in the message serves another patient than its numbers mean."""
    return WorkRaised(
        at_us=known_at_us,
        known_at_us=known_at_us,
        what=WorkKind.CHAIR_DISAGREES,
        cap=cap,
        patient=subject,
        msg=message_id,
    )
