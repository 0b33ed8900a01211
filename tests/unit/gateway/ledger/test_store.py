"""Committing and reading: what one commit promises, and what the file itself refuses."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.ledger import reads
from gateway.ledger.batch import Batch, OutboxMessage
from gateway.ledger.entry import Entry, EntryKind, Head, append, follow, subject_of
from gateway.ledger.errors import ChainBroken, ConflictingEvent, DuplicateEvent, LedgerBroken
from gateway.ledger.opening import SETTINGS, connect_file
from gateway.ledger.store import Ledger, open_ledger, open_readonly
from gateway.messages.details import NO_DETAILS, About, Details, Diagnosis, Person, Stated
from gateway.messages.identity import Identity, Merge, Number, NumberKind, differ
from gateway.runtime.clock import SystemClock

DAY_US = 86_400_000_000
GATEWAY = "gw-1"
ORDERED = Stated("s", About.ORDER, "RX1", Details(orderers=(Person("1", "ORDERER"),)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path, GATEWAY, SystemClock().now) as opened:
        yield opened


def batch(head: Head, *told: tuple[int, EntryKind, str], messages: tuple[OutboxMessage, ...] = ()) -> Batch:
    entries: list[Entry] = []
    for recorded_us, kind, session in told:
        entry, head = append(head, recorded_us, kind, session, f'{{"n":{head.seq + 1}}}')
        entries.append(entry)
    return Batch(tuple(entries), messages, (), head)


def one_fact(head: Head, *messages: OutboxMessage) -> Batch:
    return batch(head, (1, EntryKind.FACT, ""), messages=messages)


def message(event_id: str, payload: bytes = b"{}", seq: int = 1) -> OutboxMessage:
    return OutboxMessage(seq, event_id, "capgate/v1/site/ehr/gw-1/increment/json", payload, False, "application/json")


async def test_a_batch_is_read_back_as_committed_and_after_reopening(path: Path) -> None:
    async with open_ledger(path, GATEWAY, SystemClock().now) as ledger:
        assert (ledger.head.seq, ledger.set_aside) == (0, None)
        salt, start = ledger.salt, ledger.head
        first = batch(start, (5, EntryKind.FACT, "S1"), (6, EntryKind.INCREMENT, "S1"), messages=(message("e1"),))
        await ledger.commit(first)
        assert ledger.head == first.head
        assert await ledger.entries() == list(first.entries)
    async with open_ledger(path, GATEWAY, SystemClock().now) as ledger:
        assert (ledger.head, ledger.salt) == (first.head, salt)
        assert follow(start, await ledger.entries()) == ledger.head
        (row,) = await ledger.outbox.pending(0, 10)
        assert (row.event_id, row.payload, row.retain, row.content_type) == ("e1", b"{}", False, "application/json")


async def test_every_new_ledger_has_its_own_epoch_and_salt(tmp_path: Path) -> None:
    seen: set[tuple[str, bytes]] = set()
    for name in ("a", "b"):
        async with open_ledger(tmp_path / name / "ledger.db", GATEWAY, SystemClock().now) as ledger:
            seen.add((ledger.head.epoch, ledger.salt))
    assert len({epoch for epoch, _ in seen}) == len({salt for _, salt in seen}) == 2


async def test_a_batch_that_does_not_follow_the_head_writes_nothing(ledger: Ledger) -> None:
    start = ledger.head
    stale = one_fact(start)
    await ledger.commit(one_fact(start))
    wrong_head = msgspec.structs.replace(one_fact(ledger.head), head=ledger.head)
    for refused in (stale, wrong_head):
        with pytest.raises(ChainBroken):
            await ledger.commit(refused)
    assert len(await ledger.entries()) == ledger.head.seq == 1
    await ledger.commit(one_fact(ledger.head))


async def test_an_event_id_is_taken_once_and_the_refused_batch_leaves_nothing(ledger: Ledger) -> None:
    await ledger.commit(one_fact(ledger.head, message("e1")))
    with pytest.raises(DuplicateEvent, match="e1"):
        await ledger.commit(one_fact(ledger.head, message("e2"), message("e1")))
    with pytest.raises(ConflictingEvent, match="e1"):
        await ledger.commit(one_fact(ledger.head, message("e2"), message("e1", b"other")))
    assert [row.event_id for row in await ledger.outbox.pending(0, 10)] == ["e1"]
    assert ledger.head.seq == 1
    await ledger.commit(one_fact(ledger.head, message("e2")))


async def test_a_cancelled_caller_gets_a_completed_commit(path: Path) -> None:
    may_commit = threading.Event()

    class Slow(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                may_commit.wait(10)
            return super().execute(sql, *args)  # type: ignore[arg-type]

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Slow)

    may_commit.set()
    async with open_ledger(path, GATEWAY, SystemClock().now, connect) as ledger:
        may_commit.clear()
        first = one_fact(ledger.head, message("e1"))
        async with asyncio.TaskGroup() as tasks:
            caller = tasks.create_task(ledger.commit(first))
            await asyncio.sleep(0)
            caller.cancel()
            await asyncio.sleep(0)
            assert not caller.done(), "the caller left a commit that was under way"
            may_commit.set()
        assert caller.cancelled()
        assert ledger.head == first.head
        assert await ledger.entries() == list(first.entries)
        async with asyncio.timeout(5):
            await ledger.outbox.wait_for_rows()
        await ledger.commit(one_fact(ledger.head))


async def test_a_cancelled_caller_still_hears_that_its_commit_failed(path: Path) -> None:
    may_fail = threading.Event()

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if sql.startswith("INSERT INTO entry"):
                may_fail.wait(10)
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *args)  # type: ignore[arg-type]

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Failing)

    async with open_ledger(path, GATEWAY, SystemClock().now, connect) as ledger:
        caller = asyncio.ensure_future(ledger.commit(one_fact(ledger.head)))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.sleep(0)
        may_fail.set()
        with pytest.raises(LedgerBroken, match="disk I/O error"):
            await caller


@pytest.mark.parametrize("committed", [True, False], ids=["though-on-disk", "and-not-on-disk"])
async def test_after_a_failed_commit_the_ledger_refuses_all_and_the_file_tells_the_truth(
    path: Path, committed: bool
) -> None:
    failing = threading.Event()

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if sql == "COMMIT" and failing.is_set():
                if committed:
                    super().execute(sql)
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *args)  # type: ignore[arg-type]

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=Failing)

    async with open_ledger(path, GATEWAY, SystemClock().now, connect) as ledger:
        await ledger.commit(one_fact(ledger.head))
        failing.set()
        with pytest.raises(LedgerBroken, match="disk I/O error"):
            await ledger.commit(one_fact(ledger.head))
        failing.clear()
        with pytest.raises(LedgerBroken, match="disk I/O error"):
            await ledger.commit(one_fact(ledger.head))
        with pytest.raises(LedgerBroken):
            await ledger.outbox.pending(0, 1)
    async with open_ledger(path, GATEWAY, SystemClock().now) as ledger:
        assert ledger.head.seq == (2 if committed else 1)


async def test_entries_are_chosen_by_kind_session_and_place(ledger: Ledger) -> None:
    told = [
        (1, EntryKind.FACT, "S1"),
        (2, EntryKind.INCREMENT, "S1"),
        (3, EntryKind.FACT, ""),
        (4, EntryKind.FACT, "S2"),
    ]
    await ledger.commit(batch(ledger.head, *told))

    async def seqs(**choice: object) -> list[int]:
        return [entry.seq for entry in await ledger.entries(**choice)]  # type: ignore[arg-type]

    assert await seqs(after_seq=2) == [3, 4]
    assert await seqs(kinds=[EntryKind.INCREMENT]) == [2]
    assert await seqs(kinds=[EntryKind.FACT]) == [1, 3, 4]
    assert await seqs(kinds=[]) == []
    assert await seqs(session="S1") == [1, 2]
    assert await seqs(session="") == [3]
    assert await seqs(session="S2", after_seq=4) == []


async def test_identities_are_kept_apart_completed_and_can_be_purged(path: Path, ledger: Ledger) -> None:
    subject = subject_of(ledger.salt, "V-1")
    for told in (Identity(subject, "V-1", None, "A-1"), Identity(subject, "V-1", "M-1")):
        await ledger.commit(Batch((), (), (told,), ledger.head))
    assert await ledger.identity(subject) == Identity(subject, "V-1", "M-1", "A-1")
    assert await ledger.identity("unknown") is None
    with connect_file(path) as connection:
        assert connection.execute("SELECT mrn, name FROM identity").fetchall() == [("", ""), ("M-1", "")]
        connection.execute("DELETE FROM identity")
    connection.close()
    assert await ledger.identity(subject) is None


async def test_what_is_told_anew_of_a_patient_is_a_further_version(path: Path, ledger: Ledger) -> None:
    first = Identity("s", "V-1", "M-1", "A-1", "DOE^JANE", "1970-01-01", "F")
    renamed = msgspec.structs.replace(first, name="ROE^JANE")
    for told in (first, first, Identity("s", "V-1", name="ROE^JANE"), Identity("s", "V-1")):
        await ledger.commit(Batch((), (), (told,), ledger.head))
    assert await ledger.identity("s") == renamed
    with connect_file(path) as connection:
        assert connection.execute("SELECT version, name FROM identity").fetchall() == [(1, "DOE^JANE"), (2, "ROE^JANE")]
    connection.close()


async def test_what_is_stated_is_kept_apart_completed_and_can_be_purged(path: Path, ledger: Ledger) -> None:
    coded = msgspec.structs.replace(ORDERED, details=Details(diagnoses=(Diagnosis("C50.912"),)))
    later = msgspec.structs.replace(ORDERED, details=Details(orderers=(Person("2"),)))
    visit = Stated("s", About.VISIT, "", Details(patient_class="R"))
    for each in (ORDERED, ORDERED, coded, visit, later):
        alone = Batch((), (), (), ledger.head, details=(each,))
        assert not alone.empty
        await ledger.commit(alone)
    assert await ledger.details("s", About.ORDER, "RX1") == Details(
        orderers=(Person("2"),), diagnoses=(Diagnosis("C50.912"),)
    )
    assert await ledger.details("s", About.VISIT, "") == Details(patient_class="R")
    for other in (("s", About.ORDER, "RX2"), ("s", About.CHARGE, "RX1"), ("t", About.ORDER, "RX1")):
        assert await ledger.details(*other) == NO_DETAILS
    with connect_file(path) as connection:
        assert connection.execute("SELECT count(*) FROM detail").fetchone() == (4,), "a version for each change"
        connection.execute("DELETE FROM detail WHERE subject = 's'")
    connection.close()
    assert await ledger.details("s", About.ORDER, "RX1") == NO_DETAILS


async def test_numbers_that_become_one_are_changed_for_all_who_had_the_old_one(ledger: Ledger) -> None:
    who = (Identity("a", "V-1", "M-1", "A-1"), Identity("b", "V-2", "M-1", "A-2"), Identity("c", "V-3", "M-2", "A-1"))
    await ledger.commit(Batch((), (), who, ledger.head))
    merges = (changed("mrn", "M-1", "M-9"), changed("account", "A-1", "A-9"), changed("mrn", "M-0", "M-9"))
    await ledger.commit(Batch((), (), (), ledger.head, merges=merges))
    assert await ledger.identity("a") == Identity("a", "V-1", "M-9", "A-9")
    assert await ledger.identity("b") == Identity("b", "V-2", "M-9", "A-2")
    assert await ledger.identity("c") == Identity("c", "V-3", "M-2", "A-9")


def changed(kind: NumberKind, old: str, new: str, by: NumberKind | None = None) -> Merge:
    return Merge(kind, Number(old), Number(new), by or kind)


async def told(ledger: Ledger, *who: Identity, merges: tuple[Merge, ...] = ()) -> None:
    await ledger.commit(Batch((), (), who, ledger.head, merges=merges))


async def test_late_papers_bring_no_number_back_that_the_ehr_has_changed(ledger: Ledger) -> None:
    subject = subject_of(ledger.salt, "V-1")
    await told(ledger, Identity(subject, "V-1", "M-1", "A-1"))
    changes = (changed("visit", "V-1", "V-2"), changed("mrn", "M-1", "M-2"), changed("mrn", "M-2", "M-3"))
    await told(ledger, merges=changes)
    await told(ledger, Identity(subject, "V-1", "M-1", "A-1"), Identity(subject, "V-1", "M-2"))
    assert await ledger.identity(subject) == Identity(subject, "V-2", "M-3", "A-1")
    assert await ledger.subjects(["V-1", "V-2", "V-3"]) == {"V-2": subject}
    await told(ledger, merges=(changed("visit", "V-2", "V-3"), changed("mrn", "M-3", "M-1")))
    await told(ledger, Identity(subject, "V-1", "M-1"))
    assert await ledger.identity(subject) == Identity(subject, "V-3", "M-1", "A-1"), "the first number, given back"
    assert await ledger.subjects(["V-1", "V-2", "V-3"]) == {"V-3": subject}


async def test_a_visit_that_moves_to_another_patient_takes_no_other_visit_along(ledger: Ledger) -> None:
    await told(ledger, Identity("a", "V-1", "M-1"), Identity("b", "V-2", "M-1"))
    await told(ledger, merges=(changed("mrn", "V-1", "M-2", by="visit"),))
    assert await ledger.identity("a") == Identity("a", "V-1", "M-2")
    assert await ledger.identity("b") == Identity("b", "V-2", "M-1")


async def test_a_number_is_one_persons_only_together_with_who_assigned_it(ledger: Ledger) -> None:
    here = Identity("a", "V-1", "M-1", mrn_authority="NORTH&1.2.3")
    there = Identity("b", "V-2", "M-1", mrn_authority="SOUTH")
    await told(ledger, here, there, Identity("c", "V-3", "M-1"))
    await told(ledger, Identity("a", "V-1", "M-7", mrn_authority="PUMPS"))
    assert await ledger.identity("a") == here, "of another authority"
    await told(ledger, merges=(Merge("mrn", Number("M-1", "north"), Number("M-9", "NORTH"), "mrn"),))
    assert [(await ledger.identity(name)).mrn for name in "abc"] == ["M-9", "M-1", "M-9"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("one", "other", "are_other"),
    [
        ("NORTH", "SOUTH", True),
        ("NORTH", "north&1.2.3", False),
        ("NORTH", "", False),
        ("NORTH&1.2.3", "&urn:oid:1.2.4", True),
        ("NORTH&1.2.3", "&urn:oid:1.2.3", False),
        ("NORTH", "&https://hospital.example/mrn", False),
        ("&https://hospital.example/mrn", "&1.2.3", False),
        ("&https://hospital.example/mrn", "&https://clinic.example/mrn", True),
    ],
)
def test_two_authorities_are_others_where_both_say_the_same_kind_of_name(one: str, other: str, are_other: bool) -> None:
    assert differ(one, other) is differ(other, one) is are_other


@pytest.mark.requirement("REQ-RECORD-3")
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entry SET body = '{}'",
        "DELETE FROM entry",
        "INSERT INTO entry SELECT 9, recorded_us, kind, session, body, hash, hash FROM entry",
        "INSERT INTO entry SELECT 2, recorded_us, kind, session, body, prev_hash, hash FROM entry",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry",
        "UPDATE outbox SET payload = x''",
        "DELETE FROM outbox",
        "INSERT OR REPLACE INTO outbox SELECT * FROM outbox",
        "UPDATE payload SET payload = x''",
        "DELETE FROM payload",
        "INSERT OR REPLACE INTO payload SELECT * FROM payload",
        "UPDATE destination SET topic = 'other'",
        "DELETE FROM destination",
        "INSERT OR REPLACE INTO destination SELECT * FROM destination",
        "UPDATE attempt SET delivered = 1",
        "DELETE FROM attempt",
        "INSERT OR REPLACE INTO attempt SELECT * FROM attempt",
        "UPDATE origin SET salt = x''",
        "DELETE FROM origin",
        "UPDATE identity SET mrn = 'other'",
        "UPDATE detail SET body = '{}'",
        "INSERT INTO attempt (outbox_id, at_us, reason, delivered) VALUES (99, 0, 0, 1)",
    ],
)
async def test_the_file_itself_refuses_to_be_rewritten(path: Path, ledger: Ledger, sql: str) -> None:
    first = one_fact(ledger.head, message("e1"))
    await ledger.commit(msgspec.structs.replace(first, identities=(Identity("s", "v", "m", "a"),), details=(ORDERED,)))
    connection = connect_file(path)
    try:
        connection.execute("PRAGMA foreign_keys = 1")
        connection.execute("PRAGMA recursive_triggers = 1")
        connection.execute("INSERT INTO attempt (outbox_id, at_us, reason, delivered) VALUES (1, 0, 0, 0)")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(sql)
    finally:
        connection.close()


async def test_reading_beside_a_running_gateway_changes_nothing(path: Path, ledger: Ledger) -> None:
    await ledger.commit(one_fact(ledger.head, message("e1")))
    with open_readonly(path) as connection:
        assert [entry.seq for entry in reads.entries(connection)] == [1]
        await ledger.commit(one_fact(ledger.head))
        assert len(reads.entries(connection)) == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM identity")


def test_the_settings_ask_for_full_durability() -> None:
    assert {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}.items() <= dict(
        SETTINGS
    ).items()
