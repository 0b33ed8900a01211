"""The texts of pinned policies, each written out in the chain once.

Theory of operation. The first entry that opens a session under a policy has its text; later ones name it by its
SHA-256. So the chain vouches for the text wherever it lies, and whoever has the text can show that it is the one. The
table `policy` has each text by name: it is found at once, and survives should the page of that first entry be damaged.
"""

import hashlib
import re
import sqlite3
from functools import lru_cache

import msgspec

from gateway.ledger.errors import LedgerDamaged
from gateway.session.facts import AnyFact, SessionOpened, decode_fact

_NAME = re.compile(r"sha256:[0-9a-f]{64}")
_TEXTS = 64  # whose names are in memory: more policies than a site has at a time


@lru_cache(_TEXTS)
def name_of(text: str) -> str:
    """The name of a policy's text: `sha256:` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def named(opened: SessionOpened) -> SessionOpened:
    """The fact as an entry holds it once the ledger has the text."""
    return msgspec.structs.replace(opened, policy=name_of(opened.policy))


def name_in(opened: SessionOpened) -> str | None:
    """The name by which the fact has its policy; None if it has the text, which no name can be taken for."""
    return opened.policy if _NAME.fullmatch(opened.policy) else None


def read_fact(connection: sqlite3.Connection, body: str) -> AnyFact:
    """The fact in an entry's body, with the text of the policy that it pins.

    Raises msgspec.DecodeError, and LedgerDamaged where the text is not to be had.
    """
    fact = decode_fact(body)
    if not isinstance(fact, SessionOpened) or (name := name_in(fact)) is None:
        return fact
    row = connection.execute("SELECT text FROM policy WHERE name = ?", (name,)).fetchone()
    if row is None or name_of(row[0]) != name:
        raise LedgerDamaged(f"the text of policy {name} is missing or was altered")
    return msgspec.structs.replace(fact, policy=row[0])


def insert(connection: sqlite3.Connection, fact: AnyFact | None) -> None:
    """Keep the text that the fact has, if it has one."""
    if isinstance(fact, SessionOpened) and name_in(fact) is None:
        row = (name_of(fact.policy), fact.policy)
        connection.execute("INSERT OR IGNORE INTO policy (name, text) VALUES (?, ?)", row)


def make(connection: sqlite3.Connection) -> None:
    """Keep the texts of a ledger that has each in the entries alone."""
    for (body,) in connection.execute("SELECT body FROM entry WHERE session <> '' AND kind = 'fact'").fetchall():
        try:
            insert(connection, decode_fact(body))
        except msgspec.DecodeError:
            continue


def names(connection: sqlite3.Connection) -> frozenset[str]:
    """The policies whose text the ledger has."""
    return frozenset(name for (name,) in connection.execute("SELECT name FROM policy"))


def altered(connection: sqlite3.Connection) -> list[str]:
    """The policies under whose name another text lies."""
    rows = connection.execute("SELECT name, text FROM policy ORDER BY name")
    return [name for name, text in rows if name_of(text) != name]


def require(connection: sqlite3.Connection) -> None:
    """Raises LedgerDamaged if a text was altered, or that of a session that is not done is missing."""
    query = """
        SELECT body FROM session_state JOIN entry ON entry.session = session_state.token AND entry.session <> ''
         WHERE NOT done AND entry.kind = 'fact'"""
    known = names(connection)
    wanted = {name for (body,) in connection.execute(query) if (name := _name_in_body(body)) is not None}
    if wrong := [*altered(connection), *sorted(wanted - known)]:
        raise LedgerDamaged(f"the text of policy {wrong[0]} is missing or was altered")


def _name_in_body(body: str) -> str | None:
    try:
        fact = decode_fact(body)
    except msgspec.DecodeError:
        return None
    return name_in(fact) if isinstance(fact, SessionOpened) else None
