"""R13: the power goes under a real file system. It mounts ext4 images of its own, which needs root; so the scorecard
runs it and the test suite does not.

ext4 is told to shut down without writing its log, as when the power goes: what was not synced is gone after the next
mount. What was acknowledged is read just before that, from a file on another disk.
"""

import asyncio
import fcntl
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.killed_session import Scene, session_with
from tests.crash.ledger_audit import audit
from tests.crash.ledger_writer import GATEWAY
from tests.scorecard.repeats import repeats

WRITER = Path(__file__).parents[1] / "crash" / "ledger_writer.py"
EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG_FLUSH = 2
ENDLESS = "1000000"
CUTS = repeats(5)
CONTROL_CUTS = 20
SESSIONS = CUTS // 30 + 1
CUTS_A_SESSION = 9
LONGEST_LIFE_S = 4.0
READY_S = 5.0


class Disk:
    """An ext4 file system in a file, mounted in a folder, and the plug that can be pulled."""

    def __init__(self, image: Path, folder: Path) -> None:
        self._image = image
        self.folder = folder
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        self.mount()

    def mount(self) -> None:
        """The power is back: the journal is replayed."""
        subprocess.run(["mount", "-o", "loop", self._image, self.folder], check=True)

    def lose_power(self) -> None:
        """From now on nothing reaches the image. Who writes there must be dead before the next mount."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        os.close(descriptor)

    def unmount(self) -> None:
        """Takes it out, as soon as nobody holds it."""
        for _ in range(50):
            if subprocess.run(["umount", self.folder], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.folder} is still in use")


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    if os.geteuid() != 0:
        pytest.fail("mounting a file system needs root: run the scorecard as root")
    disk = Disk(tmp_path / "disk.img", tmp_path / "state")
    yield disk
    disk.unmount()


def cut_a_writer(disk: Disk, number: int, *how: str) -> tuple[Path, list[int]]:
    """The power goes while a process commits; the ledger after the next mount, and what was acknowledged before."""
    path = disk.folder / f"{number}" / "ledger.db"
    path.parent.mkdir()
    told = disk.folder.parent / f"{number}.told"
    with told.open("wb") as out:
        writer = subprocess.Popen([sys.executable, WRITER, path, ENDLESS, *how], stdout=out)
    while told.stat().st_size < 20:
        time.sleep(0.01)
    time.sleep(random.Random(number).random() / 3)
    lines = told.read_text().splitlines(keepends=True)
    disk.lose_power()
    writer.kill()
    writer.wait()
    disk.unmount()
    disk.mount()
    return path, [int(line) for line in lines if line.endswith("\n")]


async def reopened(path: Path) -> float:
    """How long the ledger took to open, none the worse."""
    began_us = SystemClock().now().boot_us
    async with open_ledger(path, GATEWAY, SystemClock().now) as ledger:
        assert ledger.set_aside is None, "taken for damaged"
    return (SystemClock().now().boot_us - began_us) / 1e6


@pytest.mark.timeout(3000)
def test_a_power_cut_loses_nothing_that_the_ledger_acknowledged(disk: Disk) -> None:
    acknowledged = 0
    for number in range(CUTS):
        path, seqs = cut_a_writer(disk, number)
        assert asyncio.run(reopened(path)) <= READY_S
        assert audit(path, seqs) >= seqs[-1]
        acknowledged += len(seqs)
    assert acknowledged > 10 * CUTS


@pytest.mark.timeout(600)
def test_with_less_syncing_the_same_cuts_do_lose_acknowledged_commits(disk: Disk) -> None:
    lost = 0
    for number in range(CONTROL_CUTS):
        path, seqs = cut_a_writer(disk, number, "careless")
        with sqlite3.connect(path) as connection:
            (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()
        connection.close()
        lost += last < seqs[-1]
    assert lost > CONTROL_CUTS // 4, "a disk that loses nothing proves nothing"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SESSIONS))
async def test_a_gateway_whose_power_goes_again_and_again_counts_one_session_rightly(
    disk: Disk, tmp_path: Path, seed: int
) -> None:
    """Every increment once, at its instant, heard as it is in the ledger; the ledger sound after each cut."""

    async def harm(scene: Scene) -> None:
        gateway = scene.gateway
        chance = random.Random(seed)
        for _cut in range(CUTS_A_SESSION):
            await asyncio.sleep(chance.uniform(0, LONGEST_LIFE_S))
            disk.lose_power()
            assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
            disk.unmount()
            disk.mount()
            assert verify(gateway.ledger).problems == ()
            await gateway.start()

    await session_with(tmp_path, 3, harm)
