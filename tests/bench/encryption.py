"""What a key costs with ten thousand identities: a commit and a start in clear and encrypted, and the first encryption.

`python -m tests.bench.encryption`.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from gateway.ledger.batch import Batch, OutboxMessage
from gateway.ledger.entry import EntryKind, append, subject_of
from gateway.ledger.key_ring import NO_KEYS, KeyRing
from gateway.ledger.store import open_ledger
from gateway.messages.identity import Identity
from gateway.runtime.clock import SystemClock
from tests.support.ledger_keys import FIRST

IDENTITIES = 10_000
PAYLOAD = b"x" * 900
NOW_US = 1_790_000_000_000_000
RING = KeyRing((FIRST,), Path("ledger.key"))


async def main() -> None:
    """Prints the figures, in processor time."""
    for name, ring in (("in clear", NO_KEYS), ("encrypted", RING)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            commit_us = await filled(path, ring) / IDENTITIES * 1e6
            start_ms = await started(path, ring) * 1e3
            say(f"{name}: a commit {commit_us:.0f} us, a start {start_ms:.0f} ms, {path.stat().st_size} bytes")
            if ring is NO_KEYS:
                say(f"the start that encrypts it: {await started(path, RING) * 1e3:.0f} ms")


async def filled(path: Path, ring: KeyRing) -> float:
    """Commits the identities, each with a message that waits; the seconds of processor time."""
    async with open_ledger(path, "gw-01", SystemClock().now, ring=ring) as ledger:
        began_s = time.process_time()
        for number in range(IDENTITIES):
            subject = subject_of(ledger.salt, f"V{number}")
            body = f'{{"event":{{"id":"e{number}"}}}}'
            entry, head = append(ledger.head, NOW_US + number, EntryKind.STATUS, "", body)
            message = OutboxMessage(entry.seq, f"e{number}", "topic", PAYLOAD, retain=False, content_type="")
            identity = Identity(subject, f"V{number}", f"M{number}", f"A{number}", "FAMILY^GIVEN", "1970-01-01", "F")
            await ledger.commit(Batch((entry,), (message,), (identity,), head))
        return time.process_time() - began_s


async def started(path: Path, ring: KeyRing) -> float:
    """Opens the ledger; the seconds of processor time."""
    began_s = time.process_time()
    async with open_ledger(path, "gw-01", SystemClock().now, ring=ring):
        return time.process_time() - began_s


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    asyncio.run(main())
