"""A gateway is killed at the writes by which it encrypts a ledger, and by which it gives it another key."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.stream import open_snapshot
from gateway.audit.verify import verify
from gateway.ledger import reads
from gateway.ledger.key_ring import LedgerKey, read_ring
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.strace import KILLED, strace
from tests.support import suite
from tests.support.ledger_keys import FIRST, KEY_FILE, SECOND, write_keys
from tests.support.old_ledgers import restored

WRITER = str(Path(__file__).with_name("rekey_writer.py"))
KILLS = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def seen(path: Path, keys: Path) -> list[object]:
    """The chain's head and everybody's identifiers; the ledger is sound."""
    assert verify(path, key_file=keys).problems == ()
    with open_snapshot(path, keys) as connection:
        subjects = [subject for (subject,) in connection.execute("SELECT DISTINCT subject FROM identity ORDER BY 1")]
        head = connection.execute("SELECT hash FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        return [head, *(reads.identity(connection, subject) for subject in subjects)]


def opened(path: Path, keys: Path | None) -> None:
    async def open_and_close() -> None:
        async with open_ledger(path, "gw-01", SystemClock().now, ring=read_ring(keys)) as ledger:
            assert ledger.set_aside is None, "a killed rekeying is no damage"

    asyncio.run(open_and_close())


@pytest.mark.parametrize("first", [(), (FIRST,)], ids=["in clear", "another key"])
@pytest.mark.requirement("REQ-PRIVACY-6")
def test_killed_at_its_writes_a_rekeying_loses_nothing(tmp_path: Path, first: tuple[LedgerKey, ...]) -> None:
    suite.environment_has("strace")

    source = restored("open", tmp_path / "before" / "ledger.db")
    opened(source, write_keys(source.parent, *first) if first else None)
    for copy in source.parent.glob("*.before-*"):
        copy.unlink()
    before = seen(source, write_keys(source.parent, SECOND, *first))

    def made(name: str) -> tuple[Path, Path]:
        """The ledger as it is before, and the keys that it is to have."""
        folder = shutil.copytree(source.parent, tmp_path / name)
        return folder / source.name, folder / KEY_FILE

    path, keys = made("whole")
    trace = tmp_path / "trace"
    run(["-o", str(trace)], path, keys, lambda code: code == 0)
    assert seen(path, keys) == before
    assert b"V770012" not in path.read_bytes()
    writes = sum("pwrite64(" in line for line in trace.read_text().splitlines())
    for number in range(1, writes + 1, max(writes // KILLS, 1)):
        path, keys = made(str(number))
        kill = ["-o", "/dev/null", "-e", f"inject=pwrite64:signal=KILL:when={number}"]
        run(kill, path, keys, lambda code: code == KILLED)
        assert seen(path, keys) == before
        opened(path, keys)
        assert seen(path, keys) == before


def run(options: list[str], path: Path, keys: Path, ended: Callable[[int], bool]) -> None:
    done = subprocess.run([*strace(*options), sys.executable, WRITER, path, keys], check=False)
    assert ended(done.returncode), done
