"""What the ledger has of its sessions, for those who read it afterwards.

What was recorded and what the facts give stand side by side; `verify` says whether they agree.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from gateway.audit.rerun import Recounted, Rerun, read
from gateway.audit.stream import RawEntry, stream, transactions
from gateway.ledger import reads
from gateway.ledger.bodies import change_of, charge_of, told_of
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged, LedgerUnavailable, UnknownSession
from gateway.ledger.reads import LedgerOrigin
from gateway.session.charges import Charge
from gateway.session.increments import Change, Emitted, fold
from gateway.session.outcome import Published
from gateway.session.policy import Policy


class RecordedSession(msgspec.Struct, frozen=True):
    """A session as it was recorded, and as its facts give it."""

    counted: Recounted
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
        """The increments that were told and not taken back."""
        return tuple(each for each in fold((), self.log) if not each.retracted)


class _Said(msgspec.Struct):
    log: list[Change]
    charges: list[Charge]
    told: Published | None = None


def origin_of(connection: sqlite3.Connection) -> LedgerOrigin:
    """Whose ledger this is. Raises LedgerUnavailable in one that no gateway has begun."""
    origin = reads.origin(connection)
    if origin is None:
        raise LedgerUnavailable("this is a ledger that no gateway has begun")
    return origin


def sessions(connection: sqlite3.Connection) -> list[RecordedSession]:
    """Every session, in the order of opening. Raises LedgerDamaged where the entries cannot be followed."""
    said: dict[str, _Said] = {}
    found: list[Recounted] = []
    try:
        found.extend(_recounted(_noting(stream(connection), said)))
    except Exception as error:  # whatever a damaged ledger may hold
        raise LedgerDamaged(f"the sessions cannot be followed ({error}); verify the ledger") from error
    found.sort(key=lambda each: (each.opened.known_at_us, each.opened.at_us, each.token))
    return [_recorded(each, said.get(each.token, _Said([], []))) for each in found]


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


def _noting(entries: Iterable[RawEntry], said: dict[str, _Said]) -> Iterator[RawEntry]:
    """The entries as they come; what they say of sessions is noted in passing."""
    for entry in entries:
        of = said.setdefault(entry.session, _Said([], [])) if entry.session else None
        if of is not None:
            match entry.kind:
                case EntryKind.INCREMENT:
                    of.log.append(change_of(entry.body))
                case EntryKind.CHARGE:
                    of.charges.append(charge_of(entry.body))
                case EntryKind.SESSION:
                    of.told = told_of(entry.body)
                case _:
                    pass
        yield entry


def _recounted(entries: Iterable[RawEntry]) -> Iterator[Recounted]:
    rerun = Rerun()
    for transaction in transactions(entries):
        yield from rerun.leaving(transaction[0].recorded_us)
        rerun.take(read(transaction), transaction[0].recorded_us)
    yield from rerun.remaining()


def _recorded(counted: Recounted, said: _Said) -> RecordedSession:
    return RecordedSession(counted, tuple(said.log), tuple(said.charges), said.told)
