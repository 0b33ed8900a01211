"""What an auditor's commands cost on a ledger of many entries: `python -m tests.bench.audit [ENTRIES]`.

The installed command shows and exports a session of the ledger's middle, reconciles its day and its month, then
verifies the whole. For each: how long it took, the processor time and the greatest memory. Prints what was measured and
asserts nothing.
"""

import os
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from tests.bench.long_ledger import ENTRIES, Size, write_ledger
from tests.bench.start import say


class Cost(msgspec.Struct, frozen=True):
    """One run of a command."""

    took_s: float
    cpu_s: float
    peak_mib: float


def run(*arguments: str) -> Cost:
    """Run `capgate` to its end. Raises RuntimeError if it does not succeed."""
    command = str(Path(sys.executable).with_name("capgate"))
    began_s = time.perf_counter()
    pid = os.posix_spawn(
        command, [command, *arguments], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, used = os.wait4(pid, 0)
    took_s = time.perf_counter() - began_s
    if status != 0:
        raise RuntimeError(f"{arguments}: ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(took_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def middle(ledger: Path) -> tuple[str, datetime]:
    """A session of the ledger's middle, and when it was first recorded."""
    connection = sqlite3.connect(ledger)
    try:
        query = (
            "SELECT session, recorded_us FROM entry WHERE session <> '' AND seq >= (SELECT max(seq) / 2 FROM entry) "
            "ORDER BY seq LIMIT 1"
        )
        token, at_us = connection.execute(query).fetchone()
    finally:
        connection.close()
    return token, datetime.fromtimestamp(at_us / 1e6, UTC)


def main(folder: Path, entries: int) -> None:
    """Print a row for each command."""
    ledger = folder / "ledger.db"
    write_ledger(ledger, Size(entries))
    token, day = middle(ledger)
    path, month = str(ledger), day - timedelta(days=30)
    commands = {
        "ledger show, a session": ("ledger", "show", path, token),
        "ledger export, a session": ("ledger", "export", path, token, "--out", str(folder)),
        "ledger reconcile, a day": ("ledger", "reconcile", path, "--day", f"{day:%Y-%m-%d}"),
        "ledger reconcile, a month": (
            "ledger",
            "reconcile",
            path,
            "--from",
            f"{month:%Y-%m-%d}",
            "--to",
            f"{day:%Y-%m-%d}",
        ),
        "ledger verify": ("ledger", "verify", path),
    }
    say(f"{entries:,} entries, {ledger.stat().st_size / 2**20:,.0f} MiB")
    say(f"{'command':28} {'s':>7} {'CPU s':>7} {'peak MiB':>9}")
    for name, arguments in commands.items():
        cost = run(*arguments)
        say(f"{name:28} {cost.took_s:7.2f} {cost.cpu_s:7.2f} {cost.peak_mib:9.1f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        main(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
