"""Every test runs under the bus recorder: what our lines write to a unit must be reads. No example has a deadline."""

import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.bus import recorder

settings.register_profile("no-deadline", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("no-deadline")

_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 8 << 30
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))  # no test waits for a disk

_recording = ExitStack()
_SHORT = [Path(__file__).parent / name for name in ("properties", "unit")]  # their tests take moments each


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The short tests come last, so that no worker waits long for another one's last test."""
    items.sort(key=lambda item: any(map(item.path.is_relative_to, _SHORT)))


def pytest_sessionstart() -> None:
    """Records from the first test on."""
    _recording.enter_context(recorder.installed(recorder.WRITTEN.append))
    _recording.callback(recorder.forget_children)


def pytest_sessionfinish() -> None:
    """Takes the recorder out, and its folder away."""
    _recording.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """After each test with its fixtures: what was written meanwhile, here and in the processes that it started."""
    result = yield
    sent = [*recorder.WRITTEN, *recorder.children_sent()]
    recorder.WRITTEN.clear()
    writes = [str(each) for each in sent if not each.is_allowed]
    assert not writes, f"written to a unit, and not known to read: {writes[:5]}"
    return result
