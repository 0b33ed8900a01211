"""Room on the disk: the ballast is made while there is enough, given up once, and low room is told."""

import os
from pathlib import Path

import pytest

from gateway.runtime.disk import BALLAST_BYTES, BALLAST_FILE, LOW_BYTES, Disk

BIG = 1 << 40
BLOCK = 4096


def room(monkeypatch: pytest.MonkeyPatch, free: int, size: int = BIG, files: int = 1000) -> None:
    """The disk says that it has so much room."""
    fields = (BLOCK, BLOCK, size // BLOCK, free // BLOCK, free // BLOCK, 2000, files, files, 0, 255)

    def statvfs(_: Path) -> os.statvfs_result:
        return os.statvfs_result(fields)

    monkeypatch.setattr("gateway.runtime.disk.os.statvfs", statvfs)


def test_the_ballast_is_made_with_room_and_given_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, ballast = Disk(tmp_path), tmp_path / BALLAST_FILE
    room(monkeypatch, LOW_BYTES)
    disk.measure()
    assert (disk.is_low, ballast.exists()) == (True, False), "made, it would leave too little"
    room(monkeypatch, LOW_BYTES + BALLAST_BYTES)
    disk.measure()
    assert (disk.is_low, ballast.stat().st_blocks * 512) == (False, BALLAST_BYTES), "it takes its room for good"
    assert disk.give_up_ballast()
    assert not disk.give_up_ballast()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "files", "low"), [(LOW_BYTES, 16, False), (LOW_BYTES - BLOCK, 16, True), (LOW_BYTES, 15, True)]
)
def test_low_is_little_room_or_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, files: int, low: bool
) -> None:
    (tmp_path / BALLAST_FILE).touch()
    room(monkeypatch, free, files=files)
    disk = Disk(tmp_path)
    disk.measure()
    assert disk.is_low is low


def test_on_a_small_disk_both_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 24 << 20
    room(monkeypatch, size // 10 + size // 20 + BLOCK, size)
    disk = Disk(tmp_path)
    disk.measure()
    assert (disk.is_low, (tmp_path / BALLAST_FILE).stat().st_size) == (False, size // 20)


def test_a_directory_that_is_gone_refuses_and_harms_nothing(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "gone")
    disk.measure()
    assert disk.free_bytes is None
    assert disk.refusal() == "No such file or directory"
    assert Disk(tmp_path).refusal() == ""
    assert list(tmp_path.iterdir()) == []
