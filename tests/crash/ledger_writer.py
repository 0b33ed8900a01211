"""A process to be killed: commits numbered batches to a ledger and prints the last seq of each commit that returned.

    python ledger_writer.py LEDGER BATCHES [careless]

Every batch is three entries, two outbox rows, an identity, and a message that waits for its visit in place of the one
before it; every fourth is followed by a delivered attempt. The log
is checkpointed often, so that little work passes through every way in which SQLite writes. `careless` syncs less than a
ledger may: a control for tests that cut the power.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.ledger.batch import Attempt, Batch, OutboxMessage
from gateway.ledger.entry import Entry, EntryKind, Head, append
from gateway.ledger.opening import connect_file
from gateway.ledger.staging import Staged
from gateway.ledger.store import open_ledger
from gateway.messages.identity import Identity
from gateway.runtime.clock import SystemClock

GATEWAY = "gw-crash"
ENTRIES = 3
MESSAGES = 2


def numbered_batch(head: Head, recorded_us: int = 1_700_000_000_000_000) -> Batch:
    """The batch that follows `head`: two facts and an increment, published twice."""
    entries: list[Entry] = []
    for kind in (EntryKind.FACT, EntryKind.FACT, EntryKind.INCREMENT):
        number = head.seq + 1
        entry, head = append(head, recorded_us + number, kind, f"S{number // 30:08}", f'{{"n":{number}}}')
        entries.append(entry)
    outbox = tuple(
        OutboxMessage(
            head.seq, f"{head.seq}-{form}", f"capgate/v1/site/ehr/gw/{form}", b"%d" % head.seq * 50, False, ""
        )
        for form in ("json", "hl7")
    )
    identity = Identity(f"{head.seq:016x}", f"visit-{head.seq}", "mrn", "account")
    staged = Staged(identity.subject, recorded_us, f"{head.seq}", b"waits")
    return Batch(tuple(entries), outbox, (identity,), head, staged=(staged,), taken_up=(head.seq // ENTRIES - 1,))


def connect_with_small_log(path: Path) -> sqlite3.Connection:
    """The ledger's own connection, but for a log that is copied back every 20 pages."""
    connection = connect_file(path)
    connection.execute("PRAGMA wal_autocheckpoint = 20")
    return connection


class Careless(sqlite3.Connection):
    """A connection that syncs its log at a checkpoint alone, whatever it was told."""

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> sqlite3.Cursor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Runs a statement."""
        if sql.startswith("BEGIN"):
            super().execute("PRAGMA synchronous = NORMAL")
        return super().execute(sql, parameters)


def connect_carelessly(path: Path) -> sqlite3.Connection:
    """A connection that loses commits with the power."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Careless)


async def write(path: Path, batches: int, connect: Callable[[Path], sqlite3.Connection]) -> None:
    """Commits `batches` batches, telling of each on standard output."""
    clock = SystemClock()
    async with open_ledger(path, GATEWAY, clock.now, connect) as ledger:
        for number in range(batches):
            await ledger.commit(numbered_batch(ledger.head, clock.now().utc_us))
            sys.stdout.write(f"{ledger.head.seq}\n")
            sys.stdout.flush()
            if number % 4 == 3:
                (oldest,) = await ledger.outbox.pending(0, 1)
                await ledger.outbox.mark([Attempt(oldest.outbox_id, clock.now().utc_us, 0, delivered=True)])


if __name__ == "__main__":
    is_careless = sys.argv[3:] == ["careless"]
    connect = connect_carelessly if is_careless else connect_with_small_log
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), connect))
