"""The sessions of a ledger: each as it was recorded and as it is re-derived from its facts.

Whether the two agree is checked by `verify`, not here.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from gateway.audit.rerun import RederivedSession, Rerun, read
from gateway.audit.stream import RawEntry, stream, transactions
from gateway.ledger import reads
from gateway.ledger.bodies import change_of, charge_of, published_of
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged, LedgerUnavailable, UnknownSession
from gateway.ledger.reads import LedgerOrigin
from gateway.session.charges import Charge
from gateway.session.increments import Change, Emitted, fold
from gateway.session.outcome import Published
from gateway.session.policy import Policy


class RecordedSession(msgspec.Struct, frozen=True):
    """A session as it was recorded, and as it is re-derived."""

    counted: RederivedSession
    log: tuple[Change, ...]
    charges: tuple[Charge, ...]
    published: Published | None  # last

    @property
    def token(self) -> str:
        """The session's token."""
        return self.counted.token

    @property
    def policy(self) -> Policy:
        """The policy that was pinned for it."""
        return self.counted.outcome.record.policy

    @property
    def standing(self) -> tuple[Emitted, ...]:
        """The increments that were announced and not retracted."""
        return tuple(each for each in fold((), self.log) if not each.retracted)


class _Announced(msgspec.Struct):
    log: list[Change]
    charges: list[Charge]
    published: Published | None = None


def origin_of(connection: sqlite3.Connection) -> LedgerOrigin:
    """Whose ledger this is. Raises LedgerUnavailable in one that no gateway has begun."""
    origin = reads.origin(connection)
    if origin is None:
        raise LedgerUnavailable("this is a ledger that no gateway has begun")
    return origin


def sessions(connection: sqlite3.Connection) -> list[RecordedSession]:
    """Every session, in the order of opening. Raises LedgerDamaged where the entries cannot be followed."""
    announced: dict[str, _Announced] = {}
    found: list[RederivedSession] = []
    try:
        found.extend(_rederived(_collecting(stream(connection), announced)))
    except Exception as error:  # whatever a damaged ledger may hold
        raise LedgerDamaged(f"the sessions cannot be followed ({error}); verify the ledger") from error
    found.sort(key=lambda each: (each.opened.known_at_us, each.opened.at_us, each.token))
    return [_recorded(each, announced.get(each.token, _Announced([], []))) for each in found]


def session(connection: sqlite3.Connection, token: str) -> RecordedSession:
    """One session. Raises UnknownSession, LedgerDamaged."""
    known = connection.execute("SELECT 1 FROM entry WHERE session = ? AND session <> '' LIMIT 1", (token,)).fetchone()
    one = next((each for each in sessions(connection) if each.token == token), None) if known else None
    if one is None:
        raise UnknownSession(f"no session {token} in this ledger")
    return one


def session_tokens(connection: sqlite3.Connection) -> frozenset[str]:
    """Every token that any entry has."""
    query = "SELECT DISTINCT session FROM entry WHERE session <> ''"
    return frozenset(token for (token,) in connection.execute(query))


def _collecting(entries: Iterable[RawEntry], announced: dict[str, _Announced]) -> Iterator[RawEntry]:
    """Yields the entries unchanged, and collects what they announce by session token."""
    for entry in entries:
        of = announced.setdefault(entry.session, _Announced([], [])) if entry.session else None
        if of is not None:
            match entry.kind:
                case EntryKind.INCREMENT:
                    of.log.append(change_of(entry.body))
                case EntryKind.CHARGE:
                    of.charges.append(charge_of(entry.body))
                case EntryKind.SESSION:
                    of.published = published_of(entry.body)
                case _:
                    pass
        yield entry


def _rederived(entries: Iterable[RawEntry]) -> Iterator[RederivedSession]:
    rerun = Rerun()
    for transaction in transactions(entries):
        yield from rerun.settled(transaction[0].recorded_us)
        rerun.take(read(transaction), transaction[0].recorded_us)
    yield from rerun.remaining()


def _recorded(counted: RederivedSession, announced: _Announced) -> RecordedSession:
    return RecordedSession(counted, tuple(announced.log), tuple(announced.charges), announced.published)
