"""What a ledger has of who looked at whom."""

import json
import sqlite3
from typing import Any

from gateway.ledger.store import LEDGER_FILE
from tests.support.pipeline import Suite


def accesses(suite: Suite) -> list[dict[str, Any]]:
    with sqlite3.connect(suite.config.state_dir / LEDGER_FILE) as connection:
        rows = connection.execute(
            "SELECT body FROM entry WHERE kind = 'status' AND body GLOB '{\"access\"*' ORDER BY seq"
        )
        found = [json.loads(body)["access"] for (body,) in rows]
    connection.close()
    return found


def who_and_what(suite: Suite) -> list[tuple[str, str, list[str]]]:
    return [(each["login"], each["looked"], each["sessions"]) for each in accesses(suite)]
