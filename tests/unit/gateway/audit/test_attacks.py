"""Attacks on a ledger by somebody who can write its file and run any SQL: whoever holds checkpoints finds them all.

Each attack is made 50 times at seeded places, skilfully: triggers are dropped and put back, and what the attack touches
is hashed anew where it says so. The key is out of the attacker's reach.
"""

import hashlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from gateway.audit.report import AuditReport
from gateway.audit.verify import verify
from gateway.ledger import reads
from gateway.ledger.batch import OutboxRow
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Head, link
from gateway.ledger.keys import KEY_FILE, load_key
from tests.unit.gateway.ledger.ledger_story import write_story

TIMES = 50
Attack = Callable[[sqlite3.Connection, random.Random, int], None]


class Victim:
    """A sound ledger, what its receiver holds of it, and copies to attack."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "sound" / "ledger.db"
        write_story(self._path)
        connection = sqlite3.connect(self._path)
        self.held = reads.checkpoints(connection)
        self.last_seq = self.held[-1].head.seq
        connection.close()
        self.keys = frozenset([load_key(self._path.with_name(KEY_FILE)).public_raw])
        self._copy = directory / "attacked.db"

    def verify(
        self, attack: Callable[[sqlite3.Connection], object] | None = None, held: Sequence[Checkpoint] | None = None
    ) -> AuditReport:
        """What the verifier says of a copy, attacked or not, to a receiver who holds `held`, by default all."""
        shutil.copy(self._path, self._copy)
        connection = sqlite3.connect(self._copy, isolation_level=None)
        connection.execute("PRAGMA journal_mode = memory").fetchall()
        connection.execute("PRAGMA synchronous = off")
        triggers = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")]
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        if attack is not None:
            attack(connection)
        for sql in triggers:
            connection.execute(sql)
        connection.close()
        return verify(self._copy, self.held if held is None else held, self.keys)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return Victim(tmp_path_factory.mktemp("victim"))


def rehash(connection: sqlite3.Connection, from_seq: int) -> None:
    """Chains everything from `from_seq` on anew, as the gateway would have."""
    origin = reads.origin(connection)
    assert origin is not None
    head = reads.head_at(connection, origin, from_seq - 1)
    query = "SELECT seq, recorded_us, kind, session, body FROM entry WHERE seq >= ? ORDER BY seq"
    for seq, recorded_us, kind, session, body in connection.execute(query, (from_seq,)).fetchall():
        own_hash = link(head, kind, session, recorded_us, body)
        connection.execute("UPDATE entry SET prev_hash = ?, hash = ? WHERE seq = ?", (head.hash, own_hash, seq))
        head = Head(head.epoch, seq, own_hash, head.gateway)


def shift(connection: sqlite3.Connection, from_seq: int, by: int) -> None:
    """Renumbers entries from `from_seq` on, in an order that never collides."""
    order = "DESC" if by > 0 else "ASC"
    seqs = connection.execute(f"SELECT seq FROM entry WHERE seq >= ? ORDER BY seq {order}", (from_seq,)).fetchall()
    for (seq,) in seqs:
        connection.execute("UPDATE entry SET seq = ? WHERE seq = ?", (seq + by, seq))


def edit(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """One field of one entry is changed."""
    seq = chance.randint(1, last_seq)
    field = chance.choice(["recorded_us", "kind", "session", "body"])
    changed = {
        "recorded_us": "recorded_us + 1000000",
        "kind": "CASE kind WHEN 'fact' THEN 'status' ELSE 'fact' END",
        "session": "session || 'X'",
        "body": "replace(body, substr(body, 9, 1), 'x') || ' '",
    }[field]
    connection.execute(f"UPDATE entry SET {field} = {changed} WHERE seq = ?", (seq,))


def delete(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """One entry is taken out of the middle; half the time the rest moves up and is hashed anew."""
    seq = chance.randint(1, last_seq - 1)
    connection.execute("DELETE FROM entry WHERE seq = ?", (seq,))
    if chance.random() < 0.5:
        shift(connection, seq + 1, -1)
        rehash(connection, seq)


def insert(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """A copy of an entry is put in; half the time the rest is hashed anew."""
    seq = chance.randint(1, last_seq - 1)
    shift(connection, seq + 1, 1)
    connection.execute(
        "INSERT INTO entry SELECT seq + 1, recorded_us, kind, session, body, prev_hash, hash FROM entry WHERE seq = ?",
        (seq,),
    )
    if chance.random() < 0.5:
        rehash(connection, seq + 1)


def reorder(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """Two entries change places; half the time the rest is hashed anew."""
    first, second = sorted(chance.sample(range(1, last_seq + 1), 2))
    for before, after in ((first, -1), (second, first), (-1, second)):
        connection.execute("UPDATE entry SET seq = ? WHERE seq = ?", (after, before))
    if chance.random() < 0.5:
        rehash(connection, first)


def truncate(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """The tail is cut off, with all that belongs to it."""
    cut_off(connection, chance.randint(1, last_seq - 1))


def roll_back(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """The ledger is one of an earlier moment, and goes on from there otherwise, soundly chained."""
    seq = chance.randint(1, last_seq - 1)
    cut_off(connection, seq)
    for number in range(seq + 1, last_seq + chance.randint(1, 9)):
        body = f'{{"fact":"clock_stepped","at_us":1,"known_at_us":1,"source":"x","step_s":{number}.0}}'
        connection.execute("INSERT INTO entry VALUES (?, ?, 'fact', '', ?, '', '')", (number, 1 << 60, body))
    rehash(connection, seq + 1)


def rechain(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """A fact is changed and the whole tail hashed anew, checkpoints inside dropped: nothing is amiss within."""
    seq = chance.randint(1, last_seq)
    connection.execute("UPDATE entry SET body = body || ' ' WHERE seq = ?", (seq,))
    connection.execute("DELETE FROM checkpoint WHERE seq >= ?", (seq,))
    rehash(connection, seq)


def hide(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """A fact is no longer found by something that it concerns, or a session by nothing at all."""
    lot = chance.random()
    if lot < 0.7:
        kind, name, at_us, seq = chance.choice(connection.execute("SELECT * FROM concern").fetchall())
        where = "kind = ? AND name = ? AND at_us = ? AND seq = ?"
        connection.execute(f"DELETE FROM concern WHERE {where}", (kind, name, at_us, seq))
    elif lot < 0.8:
        connection.execute("DELETE FROM observed")
    else:
        (token,) = chance.choice(connection.execute("SELECT token FROM session_state").fetchall())
        connection.execute("DELETE FROM session_state WHERE token = ?", (token,))


def misplace(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """A fact is found by what it does not concern, or at another instant, or a session is noted otherwise."""
    match chance.randrange(5):
        case 0:
            seq = chance.randint(1, last_seq)
            connection.execute("INSERT INTO concern VALUES ('patient', 'another', ?, ?)", (chance.randrange(9), seq))
        case 1:
            kind, name, at_us, seq = chance.choice(connection.execute("SELECT * FROM concern").fetchall())
            where = "kind = ? AND name = ? AND at_us = ? AND seq = ?"
            connection.execute(f"UPDATE concern SET at_us = at_us + 1 WHERE {where}", (kind, name, at_us, seq))
        case 2:
            connection.execute("UPDATE session_state SET done = NOT done")
        case 3:
            connection.execute("UPDATE observed SET seq = seq - 1")
        case _:
            connection.execute("UPDATE session_state SET opened_us = opened_us + 1")


def claim_old(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """It is not said, or wrongly, since when the present rules hold, so that nothing would be derived again."""
    connection.execute("DELETE FROM rules")
    match chance.randrange(3):
        case 0:
            connection.execute("INSERT INTO rules VALUES (?)", (last_seq + chance.randrange(1, 9),))
        case 1:
            query = """SELECT min(seq) FROM entry WHERE body GLOB '{"fact":"units_observed"*'"""
            (first,) = connection.execute(query).fetchone()
            connection.execute("INSERT INTO rules VALUES (?)", (chance.randint(first, last_seq),))
        case _:
            pass


def change_policy(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """Another policy lies under the name that entries give; or under its own, which nobody gives; or it is gone."""
    (text,) = connection.execute("SELECT text FROM policy").fetchone()
    other = text.replace("= 960", f"= {chance.randrange(60, 960)}")
    match chance.randrange(3):
        case 0:
            connection.execute("UPDATE policy SET text = ?", (other,))
        case 1:
            name = f"sha256:{hashlib.sha256(other.encode()).hexdigest()}"
            connection.execute("UPDATE policy SET name = ?, text = ?", (name, other))
        case _:
            connection.execute("DELETE FROM policy")


def change_message(connection: sqlite3.Connection, chance: random.Random, last_seq: int) -> None:
    """A message for the EHR is no longer what its entry says: other bytes, with a digest that fits, or none at all."""
    query = """
        SELECT outbox_id, event_id, topic, payload, retain, content_type FROM message
         WHERE topic GLOB '*/ehr/*' ORDER BY outbox_id"""
    row = OutboxRow(*chance.choice(connection.execute(query).fetchall()))
    of_row = "WHERE outbox_id = ?"
    match chance.randrange(4):
        case 0:
            changed = msgspec.structs.replace(row, payload=row.payload.replace(b'"VISIT-100', b'"VISIT-200'))
            values = (changed.payload, reads.message_digest(changed), row.outbox_id)
            connection.execute(f"UPDATE payload SET payload = ?, digest = ? {of_row}", values)
        case 1:
            changed = msgspec.structs.replace(row, payload=row.payload.replace(b'"time":"2026', b'"time":"2025'))
            values = (changed.payload, reads.message_digest(changed), row.outbox_id)
            connection.execute(f"UPDATE payload SET payload = ?, digest = ? {of_row}", values)
        case 2:
            connection.execute(f"DELETE FROM payload {of_row}", (row.outbox_id,))
        case _:
            connection.execute(f"UPDATE outbox SET event_id = event_id || 'x' {of_row}", (row.outbox_id,))


def cut_off(connection: sqlite3.Connection, after_seq: int) -> None:
    gone = "SELECT outbox_id FROM outbox WHERE seq > ?"
    for table in ("waiting", "payload", "attempt", "delivery", "unsettled"):
        connection.execute(f"DELETE FROM {table} WHERE outbox_id IN ({gone})", (after_seq,))
    for table in ("outbox", "checkpoint", "concern", "receipt", "resend", "entry"):
        connection.execute(f"DELETE FROM {table} WHERE seq > ?", (after_seq,))
    note_observed(connection)
    for what, of in (("waiting", "waiting"), ("unproven", "unsettled"), ("pending", "unsettled")):
        where = "" if of == what else f"WHERE state = '{what}'"
        query = f"UPDATE row_count SET rows = (SELECT count(*) FROM {of} {where}) WHERE what = '{what}'"
        connection.execute(query)
    known = "SELECT name FROM concern WHERE kind = 'patient'"
    connection.execute(f"DELETE FROM identity WHERE subject NOT IN ({known})")
    connection.execute("DELETE FROM session_state WHERE token NOT IN (SELECT session FROM entry)")
    connection.execute("UPDATE session_state SET done = 0")  # as long as the charge is cut off too


def note_observed(connection: sqlite3.Connection) -> None:
    """The newest entries that say how far units are observed, as they are now."""
    connection.execute("DELETE FROM observed")
    connection.execute("""
        INSERT INTO observed SELECT json_extract(unit.value, '$[0]'), max(seq)
          FROM entry, json_each(entry.body, '$.units') AS unit
         WHERE body GLOB '{"fact":"units_observed"*' GROUP BY 1""")


ATTACKS: tuple[Attack, ...] = (
    edit,
    delete,
    insert,
    reorder,
    truncate,
    roll_back,
    rechain,
    hide,
    misplace,
    claim_old,
    change_policy,
    change_message,
)


def test_a_ledger_that_nobody_touched_is_sound(victim: Victim) -> None:
    report = victim.verify()
    assert report.problems == ()
    assert report.attested_seq == victim.last_seq
    assert (report.increments, report.charges) == (8, 1)


@pytest.mark.requirement("REQ-RECORD-4")
@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_attack_is_found_by_who_holds_checkpoints(victim: Victim, attack: Attack) -> None:
    unseen: list[int] = []
    for seed in range(TIMES):
        chance = random.Random(seed)
        report = victim.verify(lambda connection, chance=chance: attack(connection, chance, victim.last_seq))
        if report.sound:
            unseen.append(seed)
    assert unseen == []


@pytest.mark.slow
@pytest.mark.parametrize("attack", [truncate, rechain], ids=lambda attack: attack.__name__)
def test_without_checkpoints_from_outside_the_skilful_attacks_can_go_unseen(victim: Victim, attack: Attack) -> None:
    """Why a receiver must hold them: the control that shows what the others prove nothing about."""
    seen = 0
    for seed in range(TIMES):
        chance = random.Random(seed)
        report = victim.verify(lambda connection, chance=chance: attack(connection, chance, victim.last_seq), held=[])
        seen += not report.sound
        assert any("no checkpoints from outside" in note for note in report.notes)
    assert seen < TIMES


def test_each_problem_names_its_entry(victim: Victim) -> None:
    report = victim.verify(lambda connection: connection.execute("UPDATE entry SET body = '{}' WHERE seq = 7"))
    assert [(problem.area, problem.seq) for problem in report.problems][:1] == [("chain", 7)]


def test_a_kind_that_there_is_not_hides_no_problem(victim: Victim) -> None:
    report = victim.verify(lambda connection: connection.execute("UPDATE entry SET kind = 'x' WHERE seq IN (7, 9)"))
    assert {7, 9} <= {problem.seq for problem in report.problems if problem.area == "chain"}


def test_what_the_index_lacks_has_or_notes_otherwise_is_named(victim: Victim) -> None:
    """No checkpoint is needed for that."""

    def attack(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM concern WHERE seq = 1 AND kind = 'patient'")
        connection.execute("INSERT INTO concern VALUES ('patient', 'another', 1, 2)")
        connection.execute("INSERT INTO session_state VALUES ('ZZZZZZZZ9', 1, 1, 0, 0, '', '', '')")
        connection.execute("UPDATE observed SET seq = 1 WHERE device = 'cap-01'")
        connection.execute("INSERT INTO observed VALUES ('cap-77', 9)")
        connection.execute("UPDATE session_state SET done = 0, wake_us = 1, due_us = 2, watched = 'x', units = 'y'")

    texts = [
        (problem.seq, problem.text) for problem in victim.verify(attack, held=[]).problems if problem.area == "index"
    ]
    assert texts == [
        (0, "unit cap-77 is listed as observed last by entry 9, against the entries"),
        (0, "session ZZZZZZZZ9 is listed, and no entry opens it"),
        (1, "the fact is not found by its patient subject-of-p1"),
        (2, "the entry is found by patient another, which it does not concern"),
        (4, "session AAAAAAAA1 is listed as not done, against its entries"),
        (131, "unit cap-01 is listed as observed last by entry 1, against the entries"),
    ]


def test_a_later_beginning_of_the_present_rules_is_named(victim: Victim) -> None:
    """No checkpoint is needed for that."""
    report = victim.verify(lambda connection: connection.execute("UPDATE rules SET since_seq = 60"), held=[])
    assert [str(problem) for problem in report.problems] == [
        "entry 5: index: this version recorded it, though entries up to 60 are noted as those of an earlier one"
    ]


def test_a_gap_is_reported_whole(victim: Victim) -> None:
    report = victim.verify(lambda connection: connection.execute("DELETE FROM entry WHERE seq BETWEEN 40 AND 42"))
    assert "entry 40: chain: to 42 are missing" in map(str, report.problems)


def test_a_checkpoint_signed_with_another_key_is_found(victim: Victim) -> None:
    forged = [Checkpoint(each.note, each.signature, bytes(32)) for each in victim.held]
    texts = {problem.text for problem in victim.verify(held=forged).problems}
    assert texts == {"a checkpoint from outside was signed with another key"}
