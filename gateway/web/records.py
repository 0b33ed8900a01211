"""Serves the record of a session to print: the page that `capgate record` makes of the ledger.

The ledger is read in a thread, through a connection of its own that can only read, so that no poll waits for it. There
is one such thread: records are made one at a time, and whoever waits too long for one is told so.
"""

import asyncio
import hashlib
import logging
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.audit.activity import ActivityAnswer, activity
from gateway.audit.record_of import record_of
from gateway.audit.record_page import html_page
from gateway.audit.record_words import document
from gateway.audit.stream import open_snapshot
from gateway.ledger.errors import LedgerError, UnknownSession
from gateway.web.guard import POLICY_HEADER, policy

_log = logging.getLogger("capgate.web")

TIMEOUT_S = 20.0
MOST_ROWS = 500
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class Records:
    """Makes records of the ledger in this file."""

    def __init__(self, ledger: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "record")

    async def page(self, token: str) -> Response:
        """The session's record with the patient's identifiers, as a page, or why there is none."""
        try:
            async with asyncio.timeout(self._timeout_s):
                html = await asyncio.get_running_loop().run_in_executor(self._thread, self._html, token)
        except TimeoutError:
            return PlainTextResponse("the record takes too long; try again later\n", 503)
        except UnknownSession:
            return PlainTextResponse("no such session\n", 404)
        except LedgerError as error:
            _log.error("no record can be made", extra={"session": token, "reason": str(error)})
            return PlainTextResponse("no record can be made of this session; the gateway's log says why\n", 500)
        return HTMLResponse(html, headers={POLICY_HEADER: policy(style=_hash_of_style(html))})

    async def activity(self, first: date | None, last: date | None, person: str) -> ActivityAnswer | None:
        """Who did what and who looked at whom, MOST_ROWS at most; None if it takes too long or cannot be read."""
        try:
            async with asyncio.timeout(self._timeout_s):
                job = partial(self._activity, first, last, person)
                return await asyncio.get_running_loop().run_in_executor(self._thread, job)
        except TimeoutError:
            return None
        except LedgerError as error:
            _log.error("no activity can be read", extra={"reason": str(error)})
            return None

    def close(self) -> None:
        """Begin no further record."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _activity(self, first: date | None, last: date | None, person: str) -> ActivityAnswer:
        with open_snapshot(self._ledger) as connection:
            return activity(connection, first, last, person, MOST_ROWS)

    def _html(self, token: str) -> str:
        with open_snapshot(self._ledger) as connection:
            return html_page(document(record_of(connection, token, identify=True)))


def _hash_of_style(html: str) -> str:
    """What lets a browser use the page's one style sheet, which stands in it, and no other style."""
    sheets: list[str] = _STYLE.findall(html)
    return f"'sha256-{b64encode(hashlib.sha256(sheets[0].encode()).digest()).decode()}'"
