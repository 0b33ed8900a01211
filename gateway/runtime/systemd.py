"""Notifications to systemd: ready, watchdog, stopping (sd_notify(3)).

Outside systemd every call here does nothing. The watchdog is fed only while polling progresses: a gateway whose event
loop runs but whose polling has stopped is restarted like one that hangs.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)


def ready(status: str) -> None:
    """The gateway has started; `status` is what `systemctl status` shows."""
    _notify("READY=1", f"STATUS={' '.join(status.split())}")


def stopping() -> None:
    """The gateway is shutting down."""
    _notify("STOPPING=1")


def watchdog_period_s() -> float | None:
    """How often to feed the watchdog: a third of its timeout. None if there is no watchdog."""
    wait_us = os.environ.get("WATCHDOG_USEC", "")
    watched_pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not wait_us.isdecimal() or int(wait_us) == 0 or watched_pid != str(os.getpid()):
        return None
    return int(wait_us) / 1_000_000 / 3


async def feed_watchdog(progress: Callable[[], bool]) -> None:
    """Feed the watchdog while `progress()` is true; returns at once if there is no watchdog."""
    period_s = watchdog_period_s()
    if period_s is None:
        return
    was_fed = True
    while True:  # ends with the task
        is_fed = progress()
        if is_fed:
            _notify("WATCHDOG=1")
        elif was_fed:
            _log.error("polling stands still: the watchdog is no longer fed")
        was_fed = is_fed
        await asyncio.sleep(period_s)


def _notify(*assignments: str) -> None:
    """Send the assignments as one datagram. Failures are only logged."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract name space
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
            notifier.setblocking(False)
            notifier.connect(address)
            notifier.send("\n".join(assignments).encode())
    except OSError as error:
        _log.debug("systemd cannot be told", extra={"reason": str(error)})
