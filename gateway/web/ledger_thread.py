"""Reads the ledger for the page, in a thread beside the polling, so that no poll waits for it.

There is one such thread: answers are made one at a time, and whoever waits too long for one is told so.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from starlette.responses import PlainTextResponse, Response

from gateway.ledger.errors import LedgerError, UnknownSession

_log = logging.getLogger("capgate.web")

T = TypeVar("T")

TIMEOUT_S = 20.0


class LedgerThread:
    """Makes the answers that need the ledger in this file."""

    def __init__(self, ledger: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "ledger-reads")

    async def read(self, make: Callable[[Path], T]) -> T | None:
        """What `make` makes of the ledger; None if that takes too long or fails. `make` may raise LedgerError."""
        try:
            return await self._made(make)
        except (TimeoutError, LedgerError):
            return None

    async def answer(self, make: Callable[[Path], Response]) -> Response:
        """What `make` makes of the ledger, or why there is no answer. `make` may raise LedgerError."""
        try:
            return await self._made(make)
        except TimeoutError:
            return PlainTextResponse("this takes too long; try again later\n", 503)
        except UnknownSession:
            return PlainTextResponse("no such session\n", 404)
        except LedgerError:
            return PlainTextResponse("the ledger cannot be read; the gateway's log says why\n", 500)

    async def _made(self, make: Callable[[Path], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, make, self._ledger)
        except UnknownSession:
            raise
        except LedgerError as error:
            _log.error("the page cannot read the ledger", extra={"reason": str(error)})
            raise

    def close(self) -> None:
        """Begin no further answer."""
        self._thread.shutdown(wait=False, cancel_futures=True)
