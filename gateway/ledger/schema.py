"""The tables of the ledger and the numbered migrations that lead to them.

`entry` is the hash chain. `outbox` lists the messages to publish, `destination` has their topics and `attempt` the
broker's answer to each publish. `payload` has the bytes of messages that wait for the broker or are followed to the
engine; those of others are deleted once the broker has taken them. The view `message` joins these tables.
`waiting` names the outbox rows without a delivered attempt and is maintained by triggers, so that finding work costs
the same with ten rows or a million. `identity` has the patients' identifiers and `renumbered` the numbers that the EHR
changed, `detail` what is stated of a visit, an order or a charge beside that; `staged` has messages about visits that
were never seen here, until they are taken up or dropped. They and `receipt_text` are the only tables whose rows may be
purged; those that charges are built from are sealed in the chain. `origin` has one row.
`checkpoint` holds signed heads of the chain, `policy` the text of each policy by the name that entries give it.

`delivery` names the messages that are followed to the engine, by the key that receipts name; `receipt` has the engine's
receipts, `receipt_text` their free text (which may name a patient, so it may be deleted), `resend` people's orders to
send a message again. `unsettled` has the messages that the engine's application has not accepted; it is maintained by
triggers.

`concern` indexes facts by the cap, unit, patient or session that they concern, and processed messages by seal;
`observed` has the newest entry with how far each unit is observed; `session_state` has the sessions that are not done.
They are derived from the entries, written with them, and can be rebuilt.
`row_count` has the number of rows waiting, unsettled in each state, and staged.
`encryption` has one row in a ledger that is encrypted, and none in one that is in clear.

Triggers keep the ledger append-only, so that the rule binds every program that opens the file.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlite_utils import Database, Migrations

from gateway.ledger import index, policies, reads, sealing, writes
from gateway.ledger.copying import copy_ledger
from gateway.ledger.errors import LedgerDamaged, LedgerUnavailable

MIGRATIONS = Migrations("ledger")
PASSING = "207"  # HL7 table 0357, application internal error: a transient error, the message is not at fault
SWEPT = 1  # in user_version: no deleted content is left in the file
FIXED_TABLES = ("origin", "entry", "outbox", "attempt")


@MIGRATIONS()
def m0001_ledger(db: Database) -> None:
    """The first form: all tables, their indexes and the triggers that guard them."""
    _create_tables(db)
    # Nearly all entries are facts, so only the others are indexed by kind.
    db.conn.execute("CREATE INDEX entry_by_kind ON entry (kind, seq) WHERE kind <> 'fact'")
    db.conn.execute("CREATE INDEX entry_by_session ON entry (session, seq) WHERE session <> ''")
    db.conn.execute("CREATE INDEX entry_by_time ON entry (recorded_us)")
    db.conn.execute("CREATE UNIQUE INDEX outbox_by_event ON outbox (event_id)")
    for table in FIXED_TABLES:
        _refuse(db, table, "UPDATE")
        _refuse(db, table, "DELETE")
    _refuse(db, "identity", "UPDATE")
    db.conn.execute("""
        CREATE TRIGGER entry_follows BEFORE INSERT ON entry
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
          OR NEW.prev_hash <> coalesce((SELECT hash FROM entry ORDER BY seq DESC LIMIT 1), NEW.prev_hash)
        BEGIN SELECT RAISE(ABORT, 'the entry does not follow the last one'); END""")
    db.conn.execute("""
        CREATE TRIGGER outbox_waits AFTER INSERT ON outbox
        BEGIN INSERT INTO waiting VALUES (NEW.outbox_id); END""")
    db.conn.execute("""
        CREATE TRIGGER attempt_delivers AFTER INSERT ON attempt WHEN NEW.delivered
        BEGIN DELETE FROM waiting WHERE outbox_id = NEW.outbox_id; END""")


@MIGRATIONS()
def m0002_checkpoint(db: Database) -> None:
    """Signed heads of the chain."""
    columns = {"seq": int, "note": str, "signature": bytes, "public_key": bytes}
    keys = [("seq", "entry", "seq")]
    db.table("checkpoint").create(columns, pk="seq", not_null=columns, foreign_keys=keys, strict=True)
    _refuse(db, "checkpoint", "UPDATE")
    _refuse(db, "checkpoint", "DELETE")


@MIGRATIONS()
def m0003_identity(db: Database) -> None:
    """Name, birth date and sex, where a site asks for them, and further versions of what was recorded before."""
    db.conn.execute("ALTER TABLE identity RENAME TO identity_before")
    names = ("subject", "version", "visit", "mrn", "account", "name", "birth_date", "sex")
    columns = {name: int if name == "version" else str for name in names}
    db.table("identity").create(columns, pk=("subject", "version"), not_null=columns, strict=True)
    db.conn.execute("INSERT INTO identity SELECT subject, 1, visit, mrn, account, '', '', '' FROM identity_before")
    db.conn.execute("DROP TABLE identity_before")
    _refuse(db, "identity", "UPDATE")


@MIGRATIONS()
def m0004_delivery(db: Database) -> None:
    """Receipts of the engine, and orders to send a message again."""
    columns = {"outbox_id": int, "key": str, "awaited": int}
    outbox = [("outbox_id", "outbox", "outbox_id")]
    db.table("delivery").create(columns, pk="outbox_id", not_null=columns, foreign_keys=outbox, strict=True)
    columns = {
        "seq": int,
        "key": str,
        "accepted": int,
        "code": str,
        "message": str,
        "at_us": int,
        "sent_us": int,  # when the message had last been sent; 0: unknown
    }
    entry = [("seq", "entry", "seq")]
    db.table("receipt").create(columns, pk="seq", not_null=columns, foreign_keys=entry, strict=True)
    columns = {"seq": int, "key": str}
    db.table("resend").create(columns, pk="seq", not_null=columns, foreign_keys=entry, strict=True)
    columns = {"seq": int, "text": str}
    db.table("receipt_text").create(columns, pk="seq", not_null=columns, foreign_keys=entry, strict=True)
    columns = {"outbox_id": int, "key": str, "awaited": int, "state": str, "sends": int, "last_us": int}
    db.table("unsettled").create(columns, pk="outbox_id", not_null=columns, strict=True)
    for table, by in (("delivery", "key"), ("receipt", "key"), ("receipt", "sent_us"), ("unsettled", "key")):
        db.conn.execute(f"CREATE INDEX {table}_by_{by} ON {table} ({by})")
    for table in ("delivery", "receipt", "resend"):
        _refuse(db, table, "UPDATE")
        _refuse(db, table, "DELETE")
    _refuse(db, "receipt_text", "UPDATE")
    _follow_deliveries(db)
    # Charges of a ledger without receipts: whether they were delivered is unknown.
    db.conn.execute("INSERT INTO delivery SELECT outbox_id, event_id, 0 FROM outbox WHERE topic GLOB '*/charge/json'")


@MIGRATIONS()
def m0005_index(db: Database) -> None:
    """Facts by what they concern, and when sessions are due."""
    db.conn.execute("""
        CREATE TABLE concern (kind TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL, seq INTEGER NOT NULL,
            PRIMARY KEY (kind, name, at_us, seq)) STRICT, WITHOUT ROWID""")
    db.conn.execute("""
        CREATE TABLE observed (device TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID""")
    columns = {
        "token": str,
        "opened_us": int,
        "done": int,
        "wake_us": int,
        "due_us": int,
        "watched": str,  # units, separated by blanks
        "units": str,
    }
    db.table("session_state").create(columns, pk="token", not_null=columns, strict=True)
    db.conn.execute("CREATE INDEX session_state_undone ON session_state (token) WHERE NOT done")
    db.conn.execute("CREATE INDEX session_state_by_opened_us ON session_state (opened_us)")
    db.conn.execute("CREATE TABLE rules (since_seq INTEGER NOT NULL) STRICT")
    db.conn.execute("INSERT INTO rules SELECT coalesce(max(seq), 0) FROM entry")
    for deed in ("INSERT", "UPDATE", "DELETE"):
        _refuse(db, "rules", deed)
    index.make(db.conn)
    index.make_sessions(db.conn)
    _number(db)
    db.conn.execute("CREATE INDEX unsettled_by_state ON unsettled (state, outbox_id)")
    _count(db)
    _follow_answers(db)


@MIGRATIONS()
def m0006_detail(db: Database) -> None:
    """What the EHR states of visits and orders for charges, and what charges said of it."""
    columns = {"id": int, "subject": str, "about": str, "name": str, "body": str, "digest": str}  # of the other texts
    db.table("detail").create(columns, pk="id", not_null=columns, strict=True)
    db.conn.execute("CREATE INDEX detail_by_name ON detail (subject, about, name, id)")
    _refuse(db, "detail", "UPDATE")


@MIGRATIONS()
def m0007_policy(db: Database) -> None:
    """The texts of pinned policies by name, so that entries need not repeat them."""
    db.table("policy").create({"name": str, "text": str}, pk="name", not_null=("name", "text"), strict=True)
    _refuse(db, "policy", "UPDATE")
    _refuse(db, "policy", "DELETE")
    policies.make(db.conn)


@MIGRATIONS()
def m0008_payload(db: Database) -> None:
    """The bytes of messages for as long as they may have to be sent, and where these go by number.

    The rows of before stay as they are: what they say stands in themselves, and they have no destination.
    """
    columns = {"destination": int, "topic": str, "retain": int, "content_type": str}
    db.table("destination").create(columns, pk="destination", not_null=columns, strict=True)
    db.conn.execute("CREATE UNIQUE INDEX destination_by_topic ON destination (topic, retain, content_type)")
    db.conn.execute("ALTER TABLE outbox ADD COLUMN destination INTEGER REFERENCES destination (destination)")
    columns = {"outbox_id": int, "payload": bytes, "digest": str}  # the digest is of all that is sent
    outbox = [("outbox_id", "outbox", "outbox_id")]
    db.table("payload").create(columns, pk="outbox_id", not_null=columns, foreign_keys=outbox, strict=True)
    for deed in ("UPDATE", "DELETE"):
        _refuse(db, "destination", deed)
    _refuse(db, "payload", "UPDATE")
    db.conn.execute("""
        CREATE TRIGGER payload_no_delete BEFORE DELETE ON payload
        WHEN EXISTS (SELECT 1 FROM waiting WHERE outbox_id = OLD.outbox_id)
          OR EXISTS (SELECT 1 FROM delivery WHERE outbox_id = OLD.outbox_id)
        BEGIN SELECT RAISE(ABORT, 'DELETE of payload is refused: the message may have to be sent'); END""")
    db.conn.execute("DROP TRIGGER attempt_delivers")
    db.conn.execute("""
        CREATE TRIGGER attempt_delivers AFTER INSERT ON attempt WHEN NEW.delivered
        BEGIN
            DELETE FROM waiting WHERE outbox_id = NEW.outbox_id;
            DELETE FROM payload WHERE outbox_id = NEW.outbox_id
               AND NOT EXISTS (SELECT 1 FROM delivery WHERE outbox_id = NEW.outbox_id);
        END""")
    of_either = ", ".join(
        f"iif(outbox.destination IS NULL, outbox.{name}, {table}.{name}) AS {name}"
        for table, name in (
            ("destination", "topic"),
            ("payload", "payload"),
            ("destination", "retain"),
            ("destination", "content_type"),
            ("payload", "digest"),
        )
    )
    db.conn.execute(f"""
        CREATE VIEW message AS SELECT outbox.outbox_id, seq, event_id, {of_either}
          FROM outbox LEFT JOIN destination ON destination.destination = outbox.destination
                      LEFT JOIN payload ON payload.outbox_id = outbox.outbox_id""")


@MIGRATIONS()
def m0009_staged(db: Database) -> None:
    """Messages about visits that were never seen here, in the order of arrival."""
    columns = {"id": int, "subject": str, "known_at_us": int, "seal": str, "payload": bytes, "digest": str}
    db.table("staged").create(columns, pk="id", not_null=columns, strict=True)
    db.conn.execute("CREATE INDEX staged_by_subject ON staged (subject)")
    db.conn.execute("CREATE UNIQUE INDEX staged_by_seal ON staged (seal)")
    _refuse(db, "staged", "UPDATE")
    db.conn.execute("INSERT INTO row_count VALUES ('staged', 0)")
    _count_table(db, "staged", "'staged'")


@MIGRATIONS()
def m0010_purge(db: Database) -> None:
    """What is settled may be purged; of a message in the form of an earlier version, what it has beside its id."""
    db.conn.execute("CREATE INDEX outbox_unplaced ON outbox (outbox_id) WHERE destination IS NULL")
    db.conn.execute("DROP TRIGGER outbox_no_update")
    db.conn.execute("""
        CREATE TRIGGER outbox_no_update BEFORE UPDATE ON outbox
        WHEN OLD.destination NOT NULL OR NEW.destination IS NULL OR length(NEW.payload) > 0
          OR (NEW.outbox_id, NEW.seq, NEW.event_id) <> (OLD.outbox_id, OLD.seq, OLD.event_id)
          OR EXISTS (SELECT 1 FROM waiting WHERE outbox_id = OLD.outbox_id)
          OR EXISTS (SELECT 1 FROM unsettled WHERE outbox_id = OLD.outbox_id AND state <> 'unproven')
        BEGIN SELECT RAISE(ABORT, 'UPDATE of outbox is refused'); END""")
    db.conn.execute("DROP TRIGGER payload_no_delete")
    db.conn.execute("""
        CREATE TRIGGER payload_no_delete BEFORE DELETE ON payload
        WHEN EXISTS (SELECT 1 FROM waiting WHERE outbox_id = OLD.outbox_id)
          OR EXISTS (SELECT 1 FROM unsettled WHERE outbox_id = OLD.outbox_id AND state <> 'unproven')
        BEGIN SELECT RAISE(ABORT, 'DELETE of payload is refused: the message may have to be sent'); END""")
    db.conn.execute("ALTER TABLE session_state ADD COLUMN patient TEXT NOT NULL DEFAULT ''")
    index.make_patients(db.conn)
    db.conn.execute("CREATE INDEX session_state_by_patient ON session_state (patient) WHERE patient <> ''")
    if db.conn.execute("SELECT 1 FROM entry LIMIT 1").fetchone() is None:
        db.conn.execute(f"PRAGMA user_version = {SWEPT}")  # nothing was ever deleted from it


@MIGRATIONS()
def m0011_nonce(db: Database) -> None:
    """What charges are built from beside the chain is sealed in the chain, that of before by one entry."""
    known = "WHERE EXISTS (SELECT 1 FROM concern WHERE kind = 'patient' AND name = subject)"
    for table, which in (("identity", known), ("renumbered", ""), ("detail", "")):
        db.conn.execute(f"ALTER TABLE {table} ADD COLUMN nonce TEXT NOT NULL DEFAULT ''")
        db.conn.execute(f"DROP TRIGGER {table}_no_update")
        db.conn.execute(f"UPDATE {table} SET nonce = lower(hex(randomblob(16))) {which}")
        _refuse(db, table, "UPDATE")
    origin = reads.origin(db.conn)
    if origin is not None and (made := sealing.sealed(db.conn, origin.salt)):
        head, recorded_us = reads.head(db.conn, origin), reads.last_recorded_us(db.conn)
        writes.insert_entry(db.conn, sealing.sealing(head, recorded_us, made)[0])


@MIGRATIONS()
def m0012_encryption(db: Database) -> None:
    """With which of the site's keys the ledger is encrypted, if it is; earlier versions must not take it for clear."""
    columns = {"key_id": str, "root": str, "key_file": str}
    db.table("encryption").create(columns, pk="key_id", not_null=columns, strict=True)


def _number(db: Database) -> None:
    """The assigning authorities of patients' numbers, an index of the numbers, and those that the EHR has changed."""
    for kind in ("visit", "mrn", "account"):
        db.conn.execute(f"ALTER TABLE identity ADD COLUMN {kind}_authority TEXT NOT NULL DEFAULT ''")
        db.conn.execute(f"CREATE INDEX identity_by_{kind} ON identity ({kind}) WHERE {kind} <> ''")
    db.conn.execute("""
        CREATE TABLE renumbered (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, old TEXT NOT NULL,
            old_authority TEXT NOT NULL, new TEXT NOT NULL, authority TEXT NOT NULL) STRICT""")
    db.conn.execute("CREATE INDEX renumbered_by_old ON renumbered (kind, old, id)")
    _refuse(db, "renumbered", "UPDATE")


def _count(db: Database) -> None:
    """The triggers that keep `row_count`: how many rows are waiting, and unsettled in each state."""
    db.conn.execute("""
        CREATE TABLE row_count (what TEXT PRIMARY KEY NOT NULL, rows INTEGER NOT NULL) STRICT, WITHOUT ROWID""")
    db.conn.execute("INSERT INTO row_count SELECT 'waiting', count(*) FROM waiting")
    db.conn.execute("INSERT INTO row_count SELECT state, count(*) FROM unsettled GROUP BY state")
    for table, what in (("waiting", "'waiting'"), ("unsettled", "state")):
        _count_table(db, table, what)


def _count_table(db: Database, table: str, what: str) -> None:
    more = f"INSERT INTO row_count SELECT {what.replace('state', 'NEW.state')}, 1 WHERE true"
    more += " ON CONFLICT (what) DO UPDATE SET rows = rows + 1"
    less = f"UPDATE row_count SET rows = rows - 1 WHERE what = {what.replace('state', 'OLD.state')}"
    db.conn.execute(f"CREATE TRIGGER {table}_more AFTER INSERT ON {table} BEGIN {more}; END")
    db.conn.execute(f"CREATE TRIGGER {table}_less AFTER DELETE ON {table} BEGIN {less}; END")
    if what == "state":
        db.conn.execute(f"CREATE TRIGGER state_changes AFTER UPDATE OF state ON {table} BEGIN {less}; {more}; END")


def _follow_deliveries(db: Database) -> None:
    """The triggers that keep `unsettled`. A rejection waits for an order to send again."""
    db.conn.execute("""
        CREATE TRIGGER delivery_begins AFTER INSERT ON delivery
        BEGIN INSERT INTO unsettled VALUES
            (NEW.outbox_id, NEW.key, NEW.awaited, iif(NEW.awaited, 'pending', 'unproven'), 0, 0); END""")
    db.conn.execute("""
        CREATE TRIGGER attempt_counts AFTER INSERT ON attempt WHEN NEW.delivered
        BEGIN UPDATE unsettled SET sends = sends + 1, last_us = NEW.at_us,
            state = iif(state = 'ordered', 'unproven', state) WHERE outbox_id = NEW.outbox_id; END""")
    db.conn.execute("""
        CREATE TRIGGER receipt_accepts AFTER INSERT ON receipt WHEN NEW.accepted
        BEGIN DELETE FROM unsettled WHERE key = NEW.key; END""")
    db.conn.execute("""
        CREATE TRIGGER receipt_rejects AFTER INSERT ON receipt WHEN NOT NEW.accepted
        BEGIN UPDATE unsettled SET state = 'rejected' WHERE key = NEW.key; END""")
    db.conn.execute("""
        CREATE TRIGGER resend_orders AFTER INSERT ON resend
        BEGIN UPDATE unsettled SET state = iif(awaited, 'pending', 'ordered'), sends = 0, last_us = 0
            WHERE key = NEW.key; END""")


def _follow_answers(db: Database) -> None:
    """A stored message waits for the application; its last answer decides, whatever the earlier ones were."""
    db.conn.execute("ALTER TABLE receipt ADD COLUMN stored INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("DROP TRIGGER receipt_rejects")
    # A message that was accepted before was sent at least once. One that was ordered again is still to be sent.
    db.conn.execute("""
        CREATE TRIGGER receipt_rejects AFTER INSERT ON receipt WHEN NOT (NEW.accepted OR NEW.stored)
        BEGIN
            INSERT INTO unsettled
                SELECT outbox_id, key, awaited, 'rejected', 1, (SELECT max(sent_us) FROM receipt WHERE key = NEW.key)
                  FROM delivery
                 WHERE key = NEW.key AND outbox_id NOT IN (SELECT outbox_id FROM unsettled WHERE key = NEW.key);
            UPDATE unsettled SET state = 'rejected' WHERE key = NEW.key;
        END""")
    # An attempt may be recorded after its answer; only one that was made later is another try.
    db.conn.execute("DROP TRIGGER attempt_counts")
    db.conn.execute(f"""
        CREATE TRIGGER attempt_counts AFTER INSERT ON attempt WHEN NEW.delivered
        BEGIN UPDATE unsettled SET sends = sends + 1, last_us = NEW.at_us,
            state = CASE WHEN state = 'ordered' THEN 'unproven'
                         WHEN state = 'rejected' AND awaited AND EXISTS (
                             SELECT 1 FROM receipt WHERE seq = (SELECT max(seq) FROM receipt WHERE key = unsettled.key)
                                AND code = '{PASSING}' AND at_us < NEW.at_us) THEN 'pending'
                         ELSE state END
            WHERE outbox_id = NEW.outbox_id; END""")
    db.conn.execute("""
        CREATE TRIGGER receipt_stores AFTER INSERT ON receipt WHEN NEW.stored
        BEGIN UPDATE unsettled SET state = 'stored' WHERE key = NEW.key AND state IN ('pending', 'unproven')
            AND (sends > 0 OR NOT EXISTS (SELECT 1 FROM resend WHERE key = NEW.key)); END""")


def migrate(connection: sqlite3.Connection, path: Path, migrations: Migrations = MIGRATIONS) -> None:
    """Migrates the ledger to the current schema; an existing one is copied beside `path` first.

    Raises LedgerUnavailable if it was written by a later version, sqlite3.Error if a step fails (it is undone).
    """
    db = Database(connection, execute_plugins=False)
    applied = [migration.name for migration in migrations.applied(db)]
    pending = [migration.name for migration in migrations.pending(db)]
    if _is_later(applied, migrations):
        raise LedgerUnavailable(
            f"{path} was written by a later version: this one knows nothing of {applied[-1]}; "
            f"install that version again, or see capgate ledger roll-back --help"
        )
    if applied and pending:
        copy_ledger(connection, path.with_name(f"{path.name}.before-{pending[0]}"))
    migrations.apply(db)


def sweep(connection: sqlite3.Connection) -> None:
    """Rewrite, once in its life, a file from which earlier versions deleted without overwriting."""
    if not is_swept(connection):
        connection.execute("VACUUM")
        connection.execute(f"PRAGMA user_version = {SWEPT}")


def is_swept(connection: sqlite3.Connection) -> bool:
    """Whether nothing that was deleted is left in the file."""
    (swept,) = connection.execute("PRAGMA user_version").fetchone()
    return swept >= SWEPT


def is_later(connection: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> bool:
    """Whether a later version has migrated the ledger."""
    applied = [migration.name for migration in migrations.applied(Database(connection, execute_plugins=False))]
    return _is_later(applied, migrations)


def _is_later(applied: list[str], migrations: Migrations) -> bool:
    return applied != _names(migrations)[: len(applied)]


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Raises LedgerUnavailable unless the ledger has exactly this version's schema."""
    applied = [migration.name for migration in MIGRATIONS.applied(Database(connection, execute_plugins=False))]
    if applied != _names(MIGRATIONS):
        raise LedgerUnavailable(f"{path} has schema {applied}, this version reads {_names(MIGRATIONS)}")


def require_guards(connection: sqlite3.Connection) -> None:
    """Raises LedgerDamaged if a table, column, index or trigger of the current schema is missing."""
    missing = current_objects() - _objects(connection)
    if missing:
        raise LedgerDamaged(f"missing from the file: {', '.join(sorted(missing))}")


@cache
def current_objects() -> frozenset[str]:
    """The tables, indexes and triggers of the current schema by name, its columns as table.column."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as pristine:
        MIGRATIONS.apply(Database(pristine, execute_plugins=False))
        return _objects(pristine)


def _create_tables(db: Database) -> None:
    columns = {"gateway": str, "epoch": str, "salt": bytes, "created_us": int}
    db.table("origin").create(columns, pk="gateway", not_null=columns, strict=True)
    columns = {
        "seq": int,
        "recorded_us": int,
        "kind": str,
        "session": str,
        "body": str,
        "prev_hash": str,
        "hash": str,
    }
    db.table("entry").create(columns, pk="seq", not_null=columns, strict=True)
    columns = {
        "outbox_id": int,
        "seq": int,
        "event_id": str,
        "topic": str,
        "payload": bytes,
        "retain": int,
        "content_type": str,
        "digest": str,  # of the fields above from event_id on
    }
    keys = [("seq", "entry", "seq")]
    db.table("outbox").create(columns, pk="outbox_id", not_null=columns, foreign_keys=keys, strict=True)
    columns = {"attempt_id": int, "outbox_id": int, "at_us": int, "reason": int, "delivered": int}
    keys = [("outbox_id", "outbox", "outbox_id")]
    db.table("attempt").create(columns, pk="attempt_id", not_null=columns, foreign_keys=keys, strict=True)
    db.table("waiting").create({"outbox_id": int}, pk="outbox_id", strict=True)
    columns = {"subject": str, "visit": str, "mrn": str, "account": str}
    db.table("identity").create(columns, pk="subject", not_null=columns, strict=True)


def _refuse(db: Database, table: str, deed: str) -> None:
    db.conn.execute(f"""
        CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table}
        BEGIN SELECT RAISE(ABORT, '{deed} of {table} is refused'); END""")


def _names(migrations: Migrations) -> list[str]:
    empty = sqlite3.connect(":memory:", isolation_level=None)
    try:
        return [migration.name for migration in migrations.pending(Database(empty, execute_plugins=False))]
    finally:
        empty.close()


def _objects(connection: sqlite3.Connection) -> frozenset[str]:
    query = """
        SELECT name FROM sqlite_schema WHERE tbl_name <> :ours
        UNION
        SELECT tables.name || '.' || columns.name
          FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name <> :ours"""
    return frozenset(name for (name,) in connection.execute(query, {"ours": MIGRATIONS.migrations_table}))
