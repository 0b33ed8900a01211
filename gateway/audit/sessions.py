"""The sessions of a ledger, each as recorded and as re-derived from its facts.

`verify` checks whether the two agree.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import msgspec

from gateway.audit.rerun import RederivedSession, rederived
from gateway.ledger import reads
from gateway.ledger.bodies import change_of, charge_of, published_of
from gateway.ledger.codec import Locked, codec_of
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged, LedgerLocked, LedgerUnavailable, UnknownSession
from gateway.ledger.index import LedgerFacts
from gateway.ledger.reads import LedgerOrigin
from gateway.session.charges import Charge
from gateway.session.facts import SessionOpened
from gateway.session.increments import Change, Emitted, fold
from gateway.session.local_time import local
from gateway.session.outcome import Published
from gateway.session.policy import Policy, parse_policy
from gateway.session.spans import US_PER_S

_ANNOUNCING = (EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE)
_DAY_US = 86_400 * US_PER_S
_FOREVER_US = 1 << 62


class RecordedSession(msgspec.Struct, frozen=True):
    """A session as recorded, and as re-derived from its facts."""

    counted: RederivedSession
    log: tuple[Change, ...]
    charges: tuple[Charge, ...]
    published: Published | None  # as recorded last

    @property
    def token(self) -> str:
        """The session's token."""
        return self.counted.token

    @property
    def policy(self) -> Policy:
        """The policy that was pinned for it."""
        return self.counted.outcome.record.policy

    @property
    def increments(self) -> tuple[Emitted, ...]:
        """The increments that were published and not retracted."""
        return tuple(each for each in fold((), self.log) if not each.retracted)


def origin_of(connection: sqlite3.Connection) -> LedgerOrigin:
    """The ledger's gateway and epoch. Raises LedgerUnavailable in a file that no gateway has begun."""
    origin = reads.origin(connection)
    if origin is None:
        raise LedgerUnavailable("this is a ledger that no gateway has begun")
    return origin


def salt_of(connection: sqlite3.Connection) -> bytes:
    """What turns visits into subjects. Raises LedgerUnavailable, LedgerLocked without an encrypted ledger's key."""
    codec = codec_of(connection)
    if isinstance(codec, Locked):
        raise LedgerLocked(codec.why)
    return origin_of(connection).salt


def sessions(connection: sqlite3.Connection) -> Iterator[RecordedSession]:
    """Every session, in the order of opening. Raises LedgerDamaged if its entries cannot be read."""
    return (session(connection, token) for token in reads.tokens_opened(connection, -_FOREVER_US, _FOREVER_US))


def sessions_of_days(connection: sqlite3.Connection, first: date, last: date) -> Iterator[RecordedSession]:
    """The sessions that opened from `first` to `last` in their policies' time zones, in that order. Raises
    LedgerDamaged.
    """
    first_us, last_us = (round(datetime.combine(day, time(), UTC).timestamp()) * US_PER_S for day in (first, last))
    for token in reads.tokens_opened(connection, first_us - _DAY_US, last_us + 2 * _DAY_US):
        if first <= _day_of(connection, token) <= last:
            yield session(connection, token)


def opened_on(opened: SessionOpened) -> date:
    """The day on which a session opened, by its policy's calendar."""
    return local(opened.at_us, parse_policy(opened.policy).zone).date()


def _day_of(connection: sqlite3.Connection, token: str) -> date:
    try:
        facts = LedgerFacts(connection).of(("token", token))
        return opened_on(next(fact for fact in facts if isinstance(fact, SessionOpened)))
    except Exception as error:  # a damaged ledger may hold anything
        raise LedgerDamaged(f"session {token} cannot be followed ({error!r}); verify the ledger") from error


def session(connection: sqlite3.Connection, token: str) -> RecordedSession:
    """One session, whatever else the ledger has. Raises UnknownSession, LedgerDamaged."""
    try:
        counted = rederived(connection, token)
        if counted is None:
            raise UnknownSession(f"no session {token} in this ledger")
        entries = reads.entries(connection, kinds=_ANNOUNCING, session=token)
        bodies = {kind: [entry.body for entry in entries if entry.kind is kind] for kind in _ANNOUNCING}
        published = [published_of(body) for body in bodies[EntryKind.SESSION][-1:]]
        log = tuple(map(change_of, bodies[EntryKind.INCREMENT]))
        charges = tuple(map(charge_of, bodies[EntryKind.CHARGE]))
    except UnknownSession:
        raise
    except Exception as error:  # a damaged ledger may hold anything
        raise LedgerDamaged(f"session {token} cannot be followed ({error}); verify the ledger") from error
    return RecordedSession(counted, log, charges, published[0] if published else None)


def unopened(connection: sqlite3.Connection) -> frozenset[str]:
    """The tokens that entries have and no session."""
    query = """
        SELECT DISTINCT session FROM entry
         WHERE session <> '' AND session NOT IN (SELECT token FROM session_state)"""
    return frozenset(token for (token,) in connection.execute(query))
