"""A minute of a line's traffic, overheard beside the polling: what the file says, how long, and how much at most."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.diagnose.capture import load_capture
from drivers.direction import Direction
from gateway.config.load import load_config
from gateway.polling.captures import LENGTH_S, MAX_BYTES, CaptureBusy, Captures, capture_file
from tests.support.pipeline import EPOCH_US, HANGS_S, FakeClock, configured

TWO_UNITS = """
[[line.unit]]
id = "cap-02"
profile = "reference-cap-unit"
unit_id = 2
"""


class Site:
    """The captures of one line, whose tap the test speaks into."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        config = load_config(folder / "gateway.toml")
        self.clock = clock
        self.state_dir = config.state_dir
        self.state_dir.mkdir(exist_ok=True)
        self.captures = Captures(config.lines, clock, config.state_dir)
        self.tap = self.captures.taps["net-1"]

    async def kept(self) -> None:
        """Wait until the capture is over."""
        async with asyncio.timeout(HANGS_S):
            while self.captures.running:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def site(folder: Path, speed: float) -> AsyncGenerator[Site]:
    clock = FakeClock()
    clock.speed = speed
    made = Site(configured(folder), clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.captures.run())
        yield made
        running.cancel()


async def test_what_goes_over_the_line_is_in_the_file_with_its_times(tmp_path: Path) -> None:
    async with site(tmp_path / "site", speed=600.0) as made:
        made.tap(Direction.TX, b"before")
        assert made.captures.begin("net-1") == EPOCH_US + 60_000_000
        made.clock.us += 500_000
        made.tap(Direction.TX, b"\x01\x03")
        made.clock.us += 250_000
        made.tap(Direction.RX, b"\x01\x83\x02")
        await made.kept()
        made.tap(Direction.RX, b"after")
        kept = made.captures.kept()
    capture = load_capture(capture_file(made.state_dir, "net-1"))
    assert [(each.t_s, each.direction, each.data) for each in capture.chunks] == [
        (0.5, Direction.TX, b"\x01\x03"),
        (0.75, Direction.RX, b"\x01\x83\x02"),
    ]
    header = capture.header
    assert (header.profile, header.unit_id, header.listened) == ("reference-cap-unit", 1, False)
    assert header.started_at == "2026-09-21T14:13:20.000Z"
    assert kept["net-1"].size_bytes == capture_file(made.state_dir, "net-1").stat().st_size
    assert capture_file(made.state_dir, "net-1").stat().st_mode & 0o777 == 0o600


async def test_one_is_recorded_at_a_time_and_the_last_is_kept(tmp_path: Path) -> None:
    async with site(tmp_path / "site", speed=600.0) as made:
        for word in (b"one", b"two"):
            made.captures.begin("net-1")
            with pytest.raises(CaptureBusy, match="net-1"):
                made.captures.begin("net-1")
            made.tap(Direction.RX, word)
            await made.kept()
    assert [each.data for each in load_capture(capture_file(made.state_dir, "net-1")).chunks] == [b"two"]


async def test_a_line_that_never_falls_silent_ends_its_capture_early(tmp_path: Path) -> None:
    async with site(tmp_path / "site", speed=1.0) as made:
        made.captures.begin("net-1")
        for _ in range(MAX_BYTES // 4000):
            made.tap(Direction.RX, bytes(4000))
        async with asyncio.timeout(LENGTH_S / 2):
            await made.kept()
        assert made.tap.listener is None
    file = capture_file(made.state_dir, "net-1")
    assert MAX_BYTES - 10_000 < file.stat().st_size <= MAX_BYTES
    assert load_capture(file).chunks


async def test_a_folder_that_cannot_be_written_loses_the_capture_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path / "site", speed=600.0) as made:
        (made.state_dir / "captures").write_text("in the way")
        made.captures.begin("net-1")
        await made.kept()
        assert made.captures.kept() == {}
        (made.state_dir / "captures").unlink()
        made.captures.begin("net-1")
        await made.kept()
        assert list(made.captures.kept()) == ["net-1"]
    assert [each.getMessage() for each in caplog.records] == ["a capture is lost"]


async def test_the_header_says_no_address_where_there_are_several(tmp_path: Path) -> None:
    folder = configured(tmp_path / "site")
    file = folder / "gateway.toml"
    file.write_text(file.read_text() + TWO_UNITS)
    made = Site(folder, FakeClock())
    made.captures.begin("net-1")
    made.clock.speed = 6000.0
    running = asyncio.create_task(made.captures.run())
    await made.kept()
    running.cancel()
    header = load_capture(capture_file(made.state_dir, "net-1")).header
    assert (header.profile, header.unit_id) == ("reference-cap-unit", None)
