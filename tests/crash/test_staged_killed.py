"""The installed gateway, killed at its writes while it lets statements of an unseen visit wait: each counts, once."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from tests.broker.harness import Mosquitto
from tests.support import suite

CALLS = ("pwrite64", "fdatasync")  # all by which the ledger reaches the disk
NUMBERS = (1, 2, 3, 5, 8)
IN_THE_MIDDLE = 20  # of the writes of the transaction that takes all of them up
PAUSE_S = 0.2  # between statements: the broker keeps a thousand for a client that is away

pytestmark = pytest.mark.timeout(900)


def started_orders(ledger: Path) -> list[str]:
    """The orders whose start is recorded, in the order of the chain."""
    with closing(sqlite3.connect(ledger)) as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM entry ORDER BY seq")]
    return [body["order"] for body in bodies if body.get("fact") == "infusion_started"]


def waiting(ledger: Path) -> int:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("SELECT count(*) FROM staged").fetchone()[0]


async def test_what_waits_outlives_a_kill_at_any_write(tmp_path: Path) -> None:
    suite.environment_has("strace")
    sent = 0
    with Mosquitto(tmp_path) as broker:
        suite.write_configuration(tmp_path, "socket://127.0.0.1:1", broker, first_s=2, further_s=2)
        gateway = suite.Gateway(tmp_path)
        await gateway.start()
        await gateway.connected()
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        for number in NUMBERS:
            for call in CALLS:
                await gateway.start_to_die(call, number)
                death = asyncio.create_task(gateway.died())
                while not death.done():
                    statement: dict[str, object] = {"visit": "V-1", "order": f"O-{sent}", "agent_class": "chemo"}
                    await suite.send_event(broker, f"s{sent}", "infusion.started", datetime.now(UTC), statement)
                    sent += 1
                    await asyncio.wait([death], timeout=PAUSE_S)
                await death
                assert verify(gateway.ledger).problems == ()
        await gateway.start()
        await suite.until(lambda: waiting(gateway.ledger) == sent, "all of them wait")
        assert started_orders(gateway.ledger) == []
        bound: dict[str, object] = {
            "unit": "cap-01",
            "cap": 1,
            "visit": "V-1",
            "validated": True,
            "asserted_by": "scan",
        }
        assert await gateway.end(signal.SIGTERM) == 0
        await suite.send_event(broker, "b", "association.bound", datetime.now(UTC), bound)
        await gateway.start_to_die("pwrite64", IN_THE_MIDDLE)
        await gateway.died()
        assert (waiting(gateway.ledger), started_orders(gateway.ledger)) == (sent, [])
        await gateway.start()
        await suite.until(lambda: waiting(gateway.ledger) == 0, "they are taken up")
        assert await gateway.end(signal.SIGTERM) == 0
    assert started_orders(gateway.ledger) == [f"O-{number}" for number in range(sent)]
    assert verify(gateway.ledger).sound
