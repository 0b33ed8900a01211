"""One short session of real processes whose gateway is killed on the way, and the audit of what it left.

Thresholds pass in seconds, the processes and the wires are real. The unit's own counters prove what it did while the
gateway was dead, so every increment must come at its exact instant: the infusion's end plus its threshold.
"""

import asyncio
import json
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from tests.broker.harness import Mosquitto
from tests.crash import suite
from tests.crash.ledger_audit import audit_chain

SCENARIO = """
schema = 1
name = "killed"
length_min = 2

[[line]]
id = "net-1"
dialect = "modbus-tcp"
tcp = "127.0.0.1:0"

[[unit]]
id = "cap-01"
line = "net-1"
map = "reference"
unit_id = 1
serial_number = "RCU1-000001"
set_point_c = -4.0

[[patient]]
visit = "V-1"
unit = "cap-01"
step = [
  { at_min = 0.01, do = "arrive" },
  { at_min = 0.02, do = "precool" },
  { at_min = 0.03, do = "infusion_start", order = "O-1", agent = "chemo" },
  { at_min = 0.1, do = "infusion_end", order = "O-1" },
  { at_min = 0.65, do = "stop" },
]
"""
FIRST_S = 4
END_S = 6.0  # of the infusion
STOP_S = 39.0


Harm = Callable[[suite.Gateway, datetime], Awaitable[None]]


async def session_with(folder: Path, further_s: int, harm: Harm) -> None:
    """Plays the session while `harm` kills and starts the gateway, then audits its ledger and what was heard of it."""
    with Mosquitto(folder) as broker:
        started_at = suite.in_future(0)
        async with suite.playing(folder, SCENARIO) as urls, suite.listener(broker, folder / "heard.txt"):
            suite.write_configuration(folder, urls["net-1"], broker, FIRST_S, further_s)
            gateway = suite.Gateway(folder)
            await gateway.start()
            await gateway.connected()
            ended_at = started_at + timedelta(seconds=END_S)
            await _tell_the_story(broker, started_at, ended_at)
            await harm(gateway, started_at)
            await sleep_until(started_at + timedelta(seconds=STOP_S + 4))
            assert await gateway.end(signal.SIGTERM) == 0
        messages = suite.heard(folder / "heard.txt")
    log = (folder / "gateway.log").read_text()
    assert "Traceback" not in log, log[-3000:]
    _audit(gateway.ledger, messages, ended_at, range(FIRST_S, int(STOP_S - END_S), further_s))


async def sleep_until(at: datetime) -> None:
    """Sleep until an instant of the wall clock."""
    await asyncio.sleep(max(0.0, (at - suite.in_future(0)).total_seconds()))


def _audit(ledger: Path, messages: list[tuple[str, bytes]], ended_at: datetime, thresholds_s: range) -> None:
    """Every increment once, at its instant, under its key; and heard, every repeat byte-equal."""
    attained = {n: ended_at + timedelta(seconds=threshold_s) for n, threshold_s in enumerate(thresholds_s, start=1)}
    in_ledger = _increments_in(ledger)
    assert {data["index"]: datetime.fromisoformat(str(data["attained_at"])) for data in in_ledger.values()} == attained
    assert {data["op"] for data in in_ledger.values()} == {"emit"}
    assert len({data["session"] for data in in_ledger.values()}) == 1, "increments under more than one session"
    payloads = _payloads_by_id(messages)
    assert payloads.keys() == in_ledger.keys()
    assert all(len(repeats) == 1 for repeats in payloads.values()), "a repeat differs from its first"


async def _tell_the_story(broker: Mosquitto, started_at: datetime, ended_at: datetime) -> None:
    place: dict[str, object] = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
    order: dict[str, object] = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar"}
    await suite.tell(broker, "m1", "association.bound", started_at, {**place, "validated": True, "asserted_by": "scan"})
    await suite.tell(broker, "m2", "infusion.started", started_at + timedelta(seconds=2), order)
    await sleep_until(ended_at + timedelta(seconds=0.5))
    await suite.tell(broker, "m3", "infusion.completed", ended_at, {**order, "final": True})


def _increments_in(ledger: Path) -> dict[str, dict[str, object]]:
    """Event id -> data of every increment in the ledger, each of which may be there once; the chain is audited."""
    connection = sqlite3.connect(ledger)
    try:
        audit_chain(connection)
        bodies = connection.execute("SELECT body FROM entry WHERE kind = 'increment' ORDER BY seq").fetchall()
    finally:
        connection.close()
    events = [json.loads(body)["event"] for (body,) in bodies]
    by_id = {event["id"]: event["data"] for event in events}
    assert len(by_id) == len(events), "an increment is in the ledger twice"
    return by_id


def _payloads_by_id(messages: list[tuple[str, bytes]]) -> dict[str, set[bytes]]:
    payloads: defaultdict[str, set[bytes]] = defaultdict(set)
    for topic, payload in messages:
        if topic.endswith("/increment/json"):
            payloads[json.loads(payload)["id"]].add(payload)
    return dict(payloads)
