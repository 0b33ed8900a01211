"""The bus recorder: whichever test it is, what our lines write to a unit must be requests that read."""

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from tests.bus import recorder

_recording = ExitStack()


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
