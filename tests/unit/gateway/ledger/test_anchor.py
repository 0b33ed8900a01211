"""The anchor: a ledger that lost its end, or an older image of it, begins a new epoch and uses no number again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.reading import Stamp
from gateway.audit.verify import verify
from gateway.ledger.anchor import SLOT_BYTES, LedgerAnchor, anchored
from gateway.ledger.entry import Head
from gateway.ledger.store import open_ledger
from tests.support.pipeline import configured, cool, running


def lose_the_log(state: Path, _: Path) -> None:
    for companion in ("-wal", "-shm"):
        (state / f"ledger.db{companion}").unlink()


def cut_the_log(state: Path, _: Path) -> None:
    log = state / "ledger.db-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    (state / "ledger.db-shm").unlink()


def restore_the_file(state: Path, older: Path) -> None:
    lose_the_log(state, older)
    for file in older.iterdir():
        shutil.copy(file, state)


@pytest.mark.parametrize("harm", [lose_the_log, cut_the_log, restore_the_file])
async def test_a_ledger_that_lost_its_end_uses_no_number_again(
    tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    folder, crashed, older = configured(tmp_path / "site"), tmp_path / "crashed", tmp_path / "older"
    state = folder / "state"
    older.mkdir()
    async with running(folder) as suite:
        await cool(suite)  # its end puts the log into the file
    async with running(folder, suite.clock) as suite:
        await suite.poll(2)
        for file in state.glob("ledger.db*"):
            if "anchor" not in file.name:
                shutil.copy(file, older)
        await cool(suite)
        await suite.infusion_over()
        await suite.poll(20)
        had, clock = suite.ledger.head, suite.clock
        shutil.copytree(state, crashed)  # as a power failure leaves it: the log is not taken up into the file
    assert verify(crashed / "ledger.db").problems == ()
    shutil.rmtree(state)
    crashed.rename(state)
    harm(state, older)
    assert [each.seq for each in verify(state / "ledger.db").problems] == [had.seq]
    async with running(folder, clock) as suite:
        assert suite.ledger.head.epoch != had.epoch
        entries = [entry.seq for entry in await suite.ledger.entries()]
        assert entries == list(range(1, len(entries) + 1))
        assert len(entries) > had.seq
        assert suite.ledger.set_aside is not None
        assert suite.ledger.set_aside.name.endswith("-behind")
        assert suite.ledger.lost_since_us is not None
    assert verify(state / "ledger.db").problems == ()


async def test_a_ledger_that_is_gone_is_missed(tmp_path: Path) -> None:
    folder = configured(tmp_path / "site")
    async with running(folder) as suite:
        await suite.poll(2)
        epoch, clock = suite.ledger.head.epoch, suite.clock
    (folder / "state" / "ledger.db").unlink()
    for is_first in (True, False):
        async with running(folder, clock) as suite:
            assert suite.ledger.head.epoch != epoch
            assert (suite.ledger.set_aside is not None) is is_first
            assert suite.ledger.lost_since_us == (0 if is_first else None)


async def test_a_ledger_without_an_entry_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for _ in range(2):
        async with open_ledger(path, "gw-01", lambda: Stamp(1_790_000_000_000_000, 0)) as ledger:
            assert ledger.set_aside is None
            assert verify(path).problems == ()
    assert verify(path).problems == ()


def test_a_torn_slot_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    anchor = LedgerAnchor(path)
    heads = [Head("e", seq, "0" * 64, "gw") for seq in (1, 2, 3)]
    for head in heads:
        anchor.set(head)
    anchor.close()
    assert anchored(path, "e") == heads[2]
    assert anchored(path, "another") is None
    file = tmp_path / "ledger.db.anchor"
    content = bytearray(file.read_bytes())
    content[40:SLOT_BYTES] = b"\0" * (SLOT_BYTES - 40)
    file.write_bytes(content)
    assert anchored(path, "e") == heads[1]
