"""The record of a session to print: the page that `capgate record` makes of the ledger."""

import hashlib
import re
from base64 import b64encode
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from gateway.audit.record_of import record_of
from gateway.audit.record_page import html_page
from gateway.audit.record_words import document
from gateway.audit.stream import open_snapshot
from gateway.audit.wordings import wording_of
from gateway.session.wording import Language
from gateway.web.guard import POLICY_HEADER, policy

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def record_page(token: str, ledger: Path, language: Language) -> Response:
    """The session's record with the patient's identifiers, as a page in that language. Raises LedgerError."""
    with open_snapshot(ledger) as connection:
        html = html_page(document(record_of(connection, token, identify=True), wording_of(language)))
    return HTMLResponse(html, headers={POLICY_HEADER: policy(style=_hash_of_style(html))})


def _hash_of_style(html: str) -> str:
    """What lets a browser use the page's one style sheet, which stands in it, and no other style."""
    sheets: list[str] = _STYLE.findall(html)
    return f"'sha256-{b64encode(hashlib.sha256(sheets[0].encode()).digest()).decode()}'"
