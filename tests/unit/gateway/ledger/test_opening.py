"""Opening: locks, damage, foreign and later files, migrations, and reading without a gateway."""

import asyncio
import random
import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database, Migrations

from drivers.reading import Stamp
from gateway.ledger import file_check, reads, schema
from gateway.ledger.batch import Batch, OutboxMessage, OutboxRow
from gateway.ledger.bodies import set_aside_of
from gateway.ledger.carry_over import LOST
from gateway.ledger.entry import Entry, EntryKind, Head, append
from gateway.ledger.errors import LedgerBroken, LedgerUnavailable, StateLocked
from gateway.ledger.file_check import FileCheck
from gateway.ledger.opening import connect_file
from gateway.ledger.store import open_ledger, open_readonly
from gateway.messages.details import NO_DETAILS, About, Details, Diagnosis, Stated
from gateway.session.fact_types import CapRef
from gateway.session.facts import CoolingStarted, encode_fact

Connect = Callable[[Path], sqlite3.Connection]
GATEWAY = "gw-1"
NEWER = "m9999_of_a_later_version"
FACT = encode_fact(CoolingStarted(at_us=1, known_at_us=1, cap=CapRef("cap-01", 1))).decode()


def noon() -> Stamp:
    return Stamp(utc_us=1_750_000_000_000_000, boot_us=0)  # 2025-06-15T15:06:40Z


class Found(msgspec.Struct, frozen=True):
    """What an opened ledger showed."""

    set_aside: Path | None
    head: Head
    entries: list[Entry]
    rows: list[OutboxRow]


def fill(path: Path, entries: int = 3) -> Found:
    """Commits some entries, each with a message, and opens the ledger again."""

    async def commit() -> None:
        async with open_ledger(path, GATEWAY, noon) as ledger:
            for _ in range(entries):
                entry, head = append(ledger.head, 1, EntryKind.FACT, "S1", FACT)
                message = OutboxMessage(head.seq, f"e{head.seq}", "capgate/v1/t", b"payload" * 30, False, "")
                await ledger.commit(Batch((entry,), (message,), (), head))

    asyncio.run(commit())
    return reopen(path)


def reopen(path: Path, gateway: str = GATEWAY, connect: Connect = connect_file) -> Found:
    """Opens and closes the ledger."""

    async def look() -> Found:
        async with open_ledger(path, gateway, noon, connect) as ledger:
            rows = await ledger.outbox.pending(0, 100)
            return Found(ledger.set_aside, ledger.head, await ledger.entries(), rows)

    return asyncio.run(look())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def tamper(path: Path, *statements: str) -> None:
    connection = connect_file(path)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_two_gateways_never_share_a_state_directory(path: Path) -> None:
    async with open_ledger(path, GATEWAY, noon):
        with pytest.raises(StateLocked, match=str(path.parent)):
            async with open_ledger(path.with_name("other.db"), "gw-2", noon):
                pass
    async with open_ledger(path, GATEWAY, noon):
        pass


def test_the_files_are_their_owners_alone(path: Path) -> None:
    def modes_while_open(path: Path) -> sqlite3.Connection:
        connection = connect_file(path)
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE spare (n)")
        modes.update({file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()})
        return connection

    modes: dict[str, int] = {}
    reopen(path, connect=modes_while_open)
    assert set(modes) == {"ledger.db", "ledger.db-wal", "ledger.db-shm", "gateway.lock"}
    assert set(modes.values()) == {0o600}


@pytest.mark.requirement("REQ-RECORD-6")
@pytest.mark.parametrize(
    ("damage", "carried", "waiting"),
    [
        ("garbage", [], []),
        ("first page", [], []),
        ("entry", [1, 2], ["e1", "e2", "e3"]),  # the first in the file is the last
        ("message", [1, 2, 3], ["e1", "e2"]),  # the first in the file is the last
        ("trigger gone", [1, 2, 3], ["e1", "e2", "e3"]),
        ("origin gone", [], []),
    ],
)
def test_a_damaged_ledger_is_set_aside_whole_and_a_new_epoch_begins_with_what_it_proves(
    path: Path, damage: str, carried: list[int], waiting: list[str]
) -> None:
    before = fill(path)
    match damage:
        case "garbage":
            path.write_bytes(bytes(range(256)) * 32)
        case "first page":
            path.write_bytes(path.read_bytes()[:16] + bytes(200) + path.read_bytes()[216:])
        case "entry":
            path.write_bytes(path.read_bytes().replace(b"cooling_started", b"cooling_stopped", 1))
        case "message":
            path.write_bytes(path.read_bytes().replace(b"payload" * 3, b"payloadPayloadpayload", 1))
        case "trigger gone":
            tamper(path, "DROP TRIGGER entry_no_delete")
        case _:
            tamper(path, "DROP TRIGGER origin_no_delete", "DELETE FROM origin")
    damaged = path.read_bytes()

    found = reopen(path)
    assert found.set_aside == path.with_name("ledger.db.damaged-20250615T150640Z")
    assert found.set_aside is not None
    assert found.set_aside.read_bytes() == damaged
    assert found.head.epoch != before.head.epoch
    *entries, last = found.entries
    bodies = [before.entries[seq - 1].body if seq in carried else LOST for seq in range(1, len(entries) + 1)]
    assert [each.body for each in entries] == bodies
    assert sorted(row.event_id for row in found.rows) == waiting
    noted = set_aside_of(last.body)
    assert noted is not None
    assert (noted.set_aside, noted.carried) == (found.set_aside.name, len(entries))
    assert noted.lost_any == (damage == "entry" or not carried)
    assert reopen(path) == found, "it is said until something else is recorded"


def test_a_diagnosis_that_damage_changed_is_not_carried_over(path: Path) -> None:
    async def state(*codes: str) -> None:
        async with open_ledger(path, GATEWAY, noon) as ledger:
            stated = [Stated(code, About.VISIT, "", Details(diagnoses=(Diagnosis(code),))) for code in codes]
            await ledger.commit(Batch((), (), (), ledger.head, details=tuple(stated)))

    async def known(*codes: str) -> list[Details]:
        async with open_ledger(path, GATEWAY, noon) as ledger:
            return [await ledger.details(code, About.VISIT, "") for code in codes]

    before = fill(path)
    asyncio.run(state("C50.1", "C50.2"))
    path.write_bytes(path.read_bytes().replace(b'"code":"C50.1"', b'"code":"C50.7"', 1))
    tamper(path, "DROP TRIGGER entry_no_delete")
    assert reopen(path).head.epoch != before.head.epoch
    assert asyncio.run(known("C50.1", "C50.2")) == [NO_DETAILS, Details(diagnoses=(Diagnosis("C50.2"),))]


def test_companions_go_with_a_damaged_ledger_and_a_second_one_overwrites_nothing(path: Path) -> None:
    for content in (b"damaged" * 100, b"damaged again within the same second" * 100):
        path.write_bytes(content)
        path.with_name("ledger.db-wal").write_bytes(content)
        aside = reopen(path).set_aside
        assert aside is not None
        assert aside.read_bytes() == aside.with_name(f"{aside.name}-wal").read_bytes() == content
    assert len(list(path.parent.glob("*.damaged-*-wal"))) == 2


def test_a_log_that_lost_its_ledger_is_kept(path: Path) -> None:
    log = path.with_name("ledger.db-wal")
    log.write_bytes(b"committed entries")
    aside = reopen(path).set_aside
    assert aside is not None
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"committed entries"


@pytest.mark.slow
def test_no_flipped_bit_passes_for_the_truth(path: Path) -> None:
    before = fill(path, entries=24)
    good = path.read_bytes()
    chance = random.Random(97009)
    caught = 0
    for number in range(150):
        flipped = bytearray(good)
        bit = chance.randrange(len(good) * 8)
        flipped[bit // 8] ^= 1 << bit % 8
        copy = path.parent / str(number) / "ledger.db"
        copy.parent.mkdir()
        copy.write_bytes(flipped)
        try:
            found = reopen(copy)
        except LedgerUnavailable:
            caught += 1
            continue
        caught += found.set_aside is not None
        assert found.set_aside is not None or found == before, f"bit {bit} went unseen"
    assert caught > 10, "hardly a flip hit anything"


def test_a_ledger_of_another_gateway_is_left_alone(path: Path) -> None:
    before = fill(path)
    with pytest.raises(LedgerUnavailable, match="gateway gw-1, not of gw-2"):
        reopen(path, "gw-2")
    assert reopen(path) == before


def test_a_file_that_cannot_be_opened_is_not_taken_for_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(LedgerUnavailable, match="unable to open"):
        reopen(path)
    assert path.is_dir()


def test_a_setting_that_does_not_hold_is_refused(path: Path) -> None:
    def in_memory(_: Path) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None)

    with pytest.raises(LedgerUnavailable, match="journal_mode = wal"):
        reopen(path, connect=in_memory)


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    fill(path)
    tamper(
        path,
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        f" VALUES ('{schema.MIGRATIONS.name}', '{NEWER}', '')",
    )
    before = path.read_bytes()
    with pytest.raises(LedgerUnavailable, match=NEWER):
        reopen(path)
    with pytest.raises(LedgerUnavailable, match=NEWER), open_readonly(path):
        pass
    assert path.read_bytes() == before


def later_migrations(*, failing: bool) -> Migrations:
    """The migrations of a version that has one step more."""
    later = Migrations(schema.MIGRATIONS.name)
    for migration in schema.MIGRATIONS.pending(Database(memory=True)):
        later(name=migration.name)(migration.fn)

    @later(name="m9999_note")
    def note(db: Database) -> None:  # pyright: ignore[reportUnusedFunction] (registered by its decorator)
        db.table("note").create({"text": str})
        if failing:
            db.conn.execute("INSERT INTO nowhere VALUES (1)")

    return later


def test_a_migration_keeps_the_content_and_a_copy_of_what_was_there(path: Path) -> None:
    fill(path)
    connection = connect_file(path)
    entries = reads.entries(connection)
    schema.migrate(connection, path, later_migrations(failing=False))
    assert reads.entries(connection) == entries
    assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,)
    schema.migrate(connection, path, later_migrations(failing=False))
    connection.close()
    copy = path.with_name("ledger.db.before-m9999_note")
    assert copy.stat().st_mode & 0o777 == 0o600
    with open_readonly(copy) as old:
        assert reads.entries(old) == entries


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(path: Path) -> None:
    before = fill(path)
    connection = connect_file(path)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        schema.migrate(connection, path, later_migrations(failing=True))
    connection.close()
    assert reopen(path) == before


def test_reading_needs_no_gateway_and_makes_no_ledger(path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="cannot be opened"), open_readonly(path):
        pass
    assert not path.exists()
    path.touch()
    with pytest.raises(LedgerUnavailable, match="has schema"), open_readonly(path):
        pass
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerUnavailable, match="not a database"), open_readonly(path):
        pass
    path.unlink()
    fill(path)
    with open_readonly(path) as connection:
        origin = reads.origin(connection)
        assert origin is not None
        assert (origin.gateway, reads.head(connection, origin).seq) == (GATEWAY, 3)


async def test_cancelled_while_it_opens_a_ledger_is_closed_and_unlocked(path: Path) -> None:
    async def hold() -> None:
        async with open_ledger(path, GATEWAY, noon):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hold())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    async with open_ledger(path, GATEWAY, noon):
        pass


async def test_messages_that_wait_are_verified_a_few_at_a_time(path: Path) -> None:
    async with open_ledger(path, GATEWAY, noon) as ledger:
        entry, head = append(ledger.head, 1, EntryKind.STATUS, "", "{}")
        rows = tuple(OutboxMessage(1, f"e{n}", "t", bytes(1000), False, "") for n in range(20_000))
        await ledger.commit(Batch((entry,), rows, (), head))
    del rows
    tracemalloc.start()
    async with open_ledger(path, GATEWAY, noon):
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000  # of 20 million bytes that wait


def treat_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be checked while the gateway runs, from the start on."""
    monkeypatch.setattr(file_check, "SMALL_BYTES", 0)
    monkeypatch.setattr(file_check, "BEGINS_AFTER_S", 0.0)


def alter_message(path: Path, outbox_id: int) -> None:
    """Change what a waiting message says."""
    (guard,) = connect_file(path).execute("SELECT sql FROM sqlite_schema WHERE name = 'payload_no_update'").fetchone()
    change = f"UPDATE payload SET payload = x'00' WHERE outbox_id = {outbox_id}"
    tamper(path, "DROP TRIGGER payload_no_update", change, guard)


def test_a_message_that_was_altered_is_found_however_many_wait_before_it(path: Path) -> None:
    fill(path, entries=1100)
    alter_message(path, 1099)
    assert reopen(path).set_aside is not None


def test_a_start_on_a_large_file_waits_for_no_check_of_the_messages(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, entries=1100)
    treat_as_large(monkeypatch)
    alter_message(path, 1099)
    assert asyncio.run(checked(path)) is FileCheck.DAMAGED, "found while it runs"
    assert reopen(path).set_aside is not None


def test_a_message_that_was_altered_is_not_read_for_the_broker(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    treat_as_large(monkeypatch)
    alter_message(path, 1)

    async def read_for_the_broker() -> None:
        async with open_ledger(path, GATEWAY, noon) as ledger:
            with pytest.raises(LedgerBroken, match="is not what was committed"):
                await ledger.outbox.pending(0, 10)

    asyncio.run(read_for_the_broker())
    assert reopen(path).set_aside is not None


async def checked(path: Path) -> FileCheck:
    """Opens the ledger and waits for the check of its whole file."""
    async with open_ledger(path, GATEWAY, noon) as ledger, asyncio.timeout(20):
        assert ledger.set_aside is None
        while ledger.file_check is FileCheck.RUNNING:
            await asyncio.sleep(0.01)
        return ledger.file_check


def test_a_large_file_is_checked_after_the_start_and_set_aside_at_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, entries=300)
    treat_as_large(monkeypatch)
    assert asyncio.run(checked(path)) is FileCheck.SOUND
    connection = connect_file(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'outbox_by_event'").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    with path.open("r+b") as file:  # an index that no start reads
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    assert asyncio.run(checked(path)) is FileCheck.DAMAGED
    aside = reopen(path).set_aside
    assert aside is not None
    assert reopen(path).set_aside == aside, "said until something else is recorded, and not set aside again"
    assert [each for each in path.parent.glob("*.damaged-*") if not each.name.endswith(("-wal", "-shm"))] == [aside]
