"""The words to systemd, heard by a socket that stands for it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.runtime import systemd


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A notification socket, by file name and in the abstract name space."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        if request.param == "file":
            receiver.bind(str(tmp_path / "notify"))
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        else:
            name = f"capgate-test-{os.getpid()}-{id(receiver)}"
            receiver.bind(f"\0{name}")
            monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        receiver.setblocking(False)
        yield receiver


def everything(receiver: socket.socket) -> list[str]:
    notifications: list[str] = []
    try:
        while True:
            notifications.append(receiver.recv(4096).decode())
    except BlockingIOError:
        return notifications


def test_start_work_and_stop_are_told(listener: socket.socket) -> None:
    systemd.ready("3 units\non 2 lines")
    systemd.stopping()
    assert everything(listener) == ["READY=1\nSTATUS=3 units on 2 lines", "STOPPING=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.ready("alone")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    systemd.ready("nobody listens")


@pytest.mark.parametrize(
    ("wait_us", "pid", "expected_s"),
    [
        ("30000000", None, 10.0),
        ("30000000", "self", 10.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_three_times_as_often_as_it_waits(
    monkeypatch: pytest.MonkeyPatch, wait_us: str | None, pid: str | None, expected_s: float | None
) -> None:
    for name, value in {"WATCHDOG_USEC": wait_us, "WATCHDOG_PID": str(os.getpid()) if pid == "self" else pid}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_period_s() == expected_s


async def test_the_watchdog_is_fed_only_while_polling_progresses(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    answers = iter([True, True, False, False, False, True])
    finished = asyncio.Event()

    def progress() -> bool:
        answer = next(answers, None)
        if answer is None:
            finished.set()
        return bool(answer)

    feeding = asyncio.create_task(systemd.feed_watchdog(progress))
    await finished.wait()
    feeding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await feeding
    assert everything(listener) == ["WATCHDOG=1"] * 3
    assert caplog.text.count("polling stands still") == 2


async def test_nobody_is_fed_when_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await systemd.feed_watchdog(lambda: True)
