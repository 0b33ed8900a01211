"""A process to be killed: commits numbered batches to a ledger and prints the last seq of each commit that returned.

    python ledger_writer.py LEDGER BATCHES

Every batch is three entries, two outbox rows and an identity; every fourth is followed by a delivered attempt. The log
is checkpointed often, so that little work passes through every way in which SQLite writes.
"""

import asyncio
import sqlite3
import sys
from pathlib import Path

from gateway.clock import SystemClock
from gateway.ledger.batch import Batch, Identity, OutboxMessage
from gateway.ledger.entry import Entry, EntryKind, Head, append
from gateway.ledger.opening import connect_file
from gateway.ledger.rows import Attempt
from gateway.ledger.store import open_ledger

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
    return Batch(tuple(entries), outbox, (identity,), head)


def connect_with_small_log(path: Path) -> sqlite3.Connection:
    """The ledger's own connection, but for a log that is copied back every 20 pages."""
    connection = connect_file(path)
    connection.execute("PRAGMA wal_autocheckpoint = 20")
    return connection


async def write(path: Path, batches: int) -> None:
    """Commits `batches` batches, telling of each on standard output."""
    clock = SystemClock()
    async with open_ledger(path, GATEWAY, clock.now, connect_with_small_log) as ledger:
        for number in range(batches):
            await ledger.commit(numbered_batch(ledger.head, clock.now().utc_us))
            sys.stdout.write(f"{ledger.head.seq}\n")
            sys.stdout.flush()
            if number % 4 == 3:
                (oldest,) = await ledger.outbox.pending(0, 1)
                await ledger.outbox.mark([Attempt(oldest.outbox_id, clock.now().utc_us, 0, delivered=True)])


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
