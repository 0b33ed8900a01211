"""One value of a ledger changes, one row goes or comes: `verify` notices, or it is listed why that cannot matter.

The ledger is a real one, of a day with everything in it. Whoever changes it can run one statement and drop triggers.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.audit.verify import verify_open
from gateway.ledger.batch import Attempt
from gateway.ledger.bodies import Order
from gateway.ledger.codec import LedgerConnection, bind, codec_of
from gateway.ledger.errors import LedgerError
from gateway.ledger.key_ring import KeyRing
from gateway.ledger.locked_rows import SHAPES
from gateway.ledger.rekeying import codec_for
from tests.support.ledger_keys import FIRST, TABLE, write_keys
from tests.support.story import POLICIES, a_day
from tests.unit.gateway.messages.hl7_support import hl7

INSERTED = {"identity": "version"}  # the column by which a further row differs, where that is not the first of the key
SOME = {"identity": ("nonce <> ''", "nonce = ''"), "row_count": ("rows > 0",)}  # of which rows one is taken
WAITING = "identity (nonce = '')"
ALL = (
    "account",
    "account_authority",
    "birth_date",
    "mrn",
    "mrn_authority",
    "name",
    "sex",
    "subject",
    "version",
    "visit",
    "visit_authority",
)
CANNOT_MATTER: dict[str, set[str]] = {
    "what the broker answered and when is shown alone": {
        "INSERT attempt",
        "UPDATE attempt.attempt_id",
        "UPDATE attempt.at_us",
        "UPDATE attempt.reason",
    },
    "the engine's words are shown alone, and may be deleted": {
        "DELETE receipt_text",
        "INSERT receipt_text",
        "UPDATE receipt_text.seq",
        "UPDATE receipt_text.text",
    },
    "at worst a message is sent once more, or later; it stays listed until the engine has it": {
        "UPDATE receipt.at_us",
        "UPDATE receipt.message",
        "UPDATE receipt.sent_us",
        "UPDATE unsettled.last_us",
        "UPDATE unsettled.sends",
    },
    "input that waits for its visit, as it might have come from the engine: sealed once a fact concerns the visit": {
        *(f"UPDATE {WAITING}.{column}" for column in ALL),
        f"DELETE {WAITING}",
        f"INSERT {WAITING}",
        "DELETE staged",
        "UPDATE staged.id",
    },
    "who holds checkpoints elsewhere has more than the ledger's own": {"DELETE checkpoint"},
    "its text stands in the entry that named it first; a gateway that needs it does not start without": {
        "DELETE policy"
    },
    "columns of an earlier version, read only where no destination is named": {
        f"UPDATE outbox.{column}" for column in ("content_type", "digest", "payload", "retain", "topic")
    },
    "read only where a damaged ledger was carried over, whose note is then not found": {"UPDATE origin.created_us"},
    "nothing is counted before the first entry that says how far a unit is observed": {"UPDATE rules.since_seq"},
    "a session that is not assessed in time gives a charge too few, which the next entry shows": {
        f"UPDATE session_state.{column}" for column in ("due_us", "units", "wake_us", "watched")
    },
    "every table, column, index and trigger is compared with those of the version": {
        "DELETE _sqlite_migrations",
        *(f"UPDATE _sqlite_migrations.{column}" for column in ("applied_at", "id", "migration_set", "name")),
    },
}
# Of an encrypted ledger less can be changed unseen: what opens with the key is bound to its row.
CANNOT_MATTER_ENCRYPTED = {
    "UPDATE staged.id",
    "UPDATE encryption.key_file",  # where the key was last: readers without it are told so
}
RING = KeyRing((FIRST,))
ENCRYPTED = ("detail", "encryption", "identity", "payload", "receipt_text", "renumbered", "staged")
DETAILS = '[charges]\ndetails = ["patient_class", "attending", "orderer", "diagnosis"]\n'


async def written(folder: Path, tables: str = "") -> bytes:
    """A ledger with a row in every table."""
    policy = (POLICIES / "story.toml").read_text()
    async with a_day(folder, policy, lambda config: config.replace("[charges]\n", tables + DETAILS)) as day:
        await day.treated()
        await day.pipeline.message("ehr/in/hl7", hl7("ras_o17_complete", MSH_10="M1", ORC_12="55501^FIRST^FRIDA"))
        await day.send_event("M2", "infusion.started", visit="V990099", order="O-9", agent_class="chemo", source="mar")
        await day.pipeline.message("ehr/in/hl7", _merge())
        await day.sign()
        first, *_ = [row.event_id for row in await day.ledger.outbox.pending(0, 999) if "/charge/json" in row.topic]
        await day.pipeline.message("ehr/in/hl7", hl7("ack_ae", MSA_2=f"CG{first}"))
        await day.pipeline.send_again(Order(first, "rn-1", "once more"))
        rows = await day.ledger.outbox.pending(0, 999)
        await day.ledger.outbox.mark([Attempt(each.outbox_id, day.clock.us, 0, delivered=True) for each in rows])
        await day.amend()
    with closing(sqlite3.connect(folder / "state" / "ledger.db")) as ledger:
        image = ledger.serialize()
    return image[:18] + b"\1\1" + image[20:]  # a file without a log, as which it can be opened in memory


def _merge() -> bytes:
    """The record number of the patient was another one before."""
    lines = hl7("adt_a08_update", MSH_9="ADT^A40^ADT_A39", MSH_10="M3", PID_3="90009999^^^DEMO^MR").split(b"\r")
    return b"\r".join([*lines[:3], b"MRG|90001234^^^DEMO^MR", b""])


def opened(image: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=LedgerConnection)
    connection.deserialize(image)
    bind(connection, codec_for(connection, RING))
    return connection


def tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    return [name for (name,) in connection.execute(query)]


class Mutation(NamedTuple):
    name: str
    statement: str
    values: Sequence[object]


def swaps(connection: sqlite3.Connection) -> Iterator[Mutation]:
    """Of two rows of a table each encrypted value in place of the other's."""
    values = [(table, name) for table, shape in SHAPES.items() for name in (*shape.numbers, *shape.bound)]
    for table, name in (*values, ("payload", "payload"), ("staged", "payload")):
        rows = connection.execute(f"SELECT DISTINCT {name} FROM {table} WHERE {name} <> '' LIMIT 2").fetchall()
        if len(rows) == 2:
            (one,), (other_one,) = rows
            case = f"CASE {name} WHEN ? THEN ? ELSE ? END"
            statement = f"UPDATE {table} SET {name} = {case} WHERE {name} IN (?, ?)"
            yield Mutation(f"SWAP {table}.{name}", statement, (one, other_one, one, one, other_one))


def mutations(connection: sqlite3.Connection, of: Collection[str] = ()) -> Iterator[Mutation]:
    """Of one row of each table, or of those `of`, every value changed, and the row gone; and a row more."""
    for table in of or tables(connection):
        info = connection.execute(f"PRAGMA table_info({table})").fetchall()
        names = [name for _, name, *_ in info]
        this = " AND ".join(f"{name} IS ?" for name in names)
        for which in SOME.get(table, ("true",)):
            label = table if which == SOME.get(table, ("true",))[0] else f"{table} ({which})"
            query = f"SELECT * FROM {table} WHERE {which} ORDER BY {len(names)} DESC LIMIT 1"
            row = connection.execute(query).fetchone()
            if row is None and table == "encryption":
                continue  # in clear
            assert row is not None, f"{label} has a row"
            for name, value in zip(names, row, strict=True):
                values = (other(value), *row)
                yield Mutation(f"UPDATE {label}.{name}", f"UPDATE {table} SET {name} = ? WHERE {this}", values)
            yield Mutation(f"DELETE {label}", f"DELETE FROM {table} WHERE {this}", row)
            key = INSERTED.get(table) or next((name for _, name, *_, is_key in info if is_key), names[0])
            (greatest,) = connection.execute(f"SELECT max({key}) FROM {table}").fetchone()
            more = [other(greatest) if name == key else value for name, value in zip(names, row, strict=True)]
            yield Mutation(f"INSERT {label}", f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", more)


def other(value: object) -> object:
    match value:
        case 0 | 1:
            return int(not value)
        case int():
            return value + 1000
        case bytes():
            return value + b"X"
        case str():
            return value + "X"
        case _:
            return 1


def _is_sound(connection: sqlite3.Connection) -> bool:
    try:
        return verify_open(connection).sound
    except LedgerError:
        return False


def _unnoticed(image: bytes, mutation: Mutation, triggers: Sequence[str]) -> bool:
    """Whether the mutation can be made, and the audit finds the ledger sound."""
    with closing(opened(image)) as connection:
        try:
            assert connection.execute(mutation.statement, mutation.values).rowcount >= 1, mutation
        except sqlite3.IntegrityError:
            return False
        for sql in triggers:
            connection.execute(sql)
        bind(connection, codec_for(connection, RING))
        return codec_of(connection).reads and _is_sound(connection)


async def test_what_no_audit_notices_cannot_matter(tmp_path: Path) -> None:
    image = await written(tmp_path)
    with closing(opened(image)) as connection:
        assert verify_open(connection).problems == ()
        every = list(mutations(connection))
        bare, made_again = without_triggers(connection)
    found = {each.name for each in every if _unnoticed(image, each, ()) or _unnoticed(bare, each, made_again)}
    assert found == set().union(*CANNOT_MATTER.values())


def without_triggers(connection: sqlite3.Connection) -> tuple[bytes, list[str]]:
    """The ledger without its triggers, and how they are made again."""
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    return connection.serialize(), [sql for _, sql in triggers]


async def test_what_is_encrypted_cannot_be_altered_or_moved_unseen(tmp_path: Path) -> None:
    write_keys(tmp_path, FIRST)
    image = await written(tmp_path, TABLE)
    with closing(opened(image)) as connection:
        assert verify_open(connection).problems == ()
        one = mutations(connection, ENCRYPTED)
        altered = [each for each in one if each.name.startswith("UPDATE") and "identity." not in each.name]
        more = [each for each in mutations(connection, ("encryption",)) if not each.name.startswith("UPDATE")]
        every = [*altered, *more, *swaps(connection)]
        bare, made_again = without_triggers(connection)
    assert {"SWAP identity.mrn", "SWAP identity.name", "SWAP payload.payload"} <= {each.name for each in every}
    assert {each.name for each in every if _unnoticed(bare, each, made_again)} == CANNOT_MATTER_ENCRYPTED
