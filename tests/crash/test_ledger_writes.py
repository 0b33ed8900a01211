"""The ledger's process is killed, at its writes and at any moment; all that it acknowledged must be there, once."""

import asyncio
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.ledger_audit import audit
from tests.crash.ledger_writer import GATEWAY, numbered_batch
from tests.crash.strace import KILLED, strace
from tests.scorecard.repeats import repeats

WRITER = str(Path(__file__).with_name("ledger_writer.py"))
BATCHES = 12
KILLS = 12 * repeats(2)  # of all writes, spread over them
ENDLESS = 1_000_000


def acknowledged(output: str) -> list[int]:
    """The seqs a writer printed; a line that its death cut short was not said."""
    return [int(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


async def reopen_and_write(path: Path, expected_seq: int) -> None:
    """Fails unless the ledger opens as it is, at `expected_seq`, and goes on from there."""
    async with open_ledger(path, GATEWAY, SystemClock().now) as ledger:
        assert ledger.set_aside is None, "a killed writer is no damage"
        assert ledger.head.seq == expected_seq
        await ledger.commit(numbered_batch(ledger.head))
    assert audit(path, [ledger.head.seq]) == expected_seq + 3


def kill_at_write(number: int, directory: Path) -> int:
    """Kills a writer at its `number`-th write and judges what it left; the number of commits that it acknowledged."""
    directory.mkdir()
    path = directory / "ledger.db"
    command = [*strace("-o", "/dev/null", "-e", f"inject=pwrite64:signal=KILL:when={number}"), sys.executable, WRITER]
    run = subprocess.run([*command, path, str(BATCHES)], stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == KILLED, f"write {number} did not happen"
    seqs = acknowledged(run.stdout)
    found = audit(path, seqs)
    assert found - max(seqs, default=0) in (0, 3), "more than the one commit that was under way"
    asyncio.run(reopen_and_write(path, found))
    return len(seqs)


@pytest.mark.requirement("REQ-RECORD-1")
@pytest.mark.timeout(600)
def test_killed_at_its_writes_the_ledger_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    whole = [*strace("-o", str(trace)), sys.executable, WRITER, str(tmp_path / "whole.db"), str(BATCHES)]
    run = subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True)
    assert acknowledged(run.stdout) == list(range(3, 3 * BATCHES + 1, 3))
    writes = sum("pwrite64(" in line for line in trace.read_text().splitlines())
    numbers = [*range(1, writes, max(1, writes // KILLS) | 1), writes]  # a page takes two writes: both are met
    with ThreadPoolExecutor(2) as threads:
        counts = list(threads.map(kill_at_write, numbers, [tmp_path / str(number) for number in numbers]))
    assert min(counts) == 0, "no kill came before the first commit"
    assert max(counts) == BATCHES, "no kill came after the last commit"
    assert len(set(counts)) > BATCHES // 2


@pytest.mark.parametrize("seed", range(repeats(2)))
def test_killed_at_any_moment_and_restarted_the_ledger_goes_on(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "ledger.db"
    seqs: list[int] = []
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, WRITER, path, str(ENDLESS)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            seqs.extend(int(writer.stdout.readline()) for _ in range(chance.randrange(1, 120)))
            writer.kill()
            seqs.extend(acknowledged(writer.stdout.read()))
        assert writer.returncode == KILLED
        found = audit(path, seqs)
        assert len(set(seqs)) == len(seqs), "a seq was given twice"
        assert found - seqs[-1] in (0, 3)
    asyncio.run(reopen_and_write(path, audit(path, seqs)))
