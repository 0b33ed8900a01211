"""One short session of real processes to which something happens on the way, and the audit of what it left.

Thresholds pass in seconds, the processes and the wires are real. The unit's own counters prove what it did while the
gateway was dead or saw nothing, so every increment must come at its exact instant: the infusion's end plus its
threshold; and in the end all of them are charged, once. The session lasts as long as the harm takes: each step waits
for what it needs, and none for a time.
"""

import asyncio
import json
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.audit.verify import verify
from tests.broker.harness import Mosquitto
from tests.broker.proxy import Proxy, proxy
from tests.crash.ledger_audit import audit_chain
from tests.support import suite

FIRST_S = 4
LAST_READING = timedelta(seconds=1)  # two polls: cooling is seen at least until then before it stops
PLACE: dict[str, object] = {"unit": "cap-01", "cap": 1, "visit": "V-1", "validated": True, "asserted_by": "scan"}


class Scene(NamedTuple):
    """What may be harmed. `remind` sends a message that the gateway has had already, so that it writes."""

    folder: Path
    gateway: suite.Gateway
    units: suite.Units
    line: Proxy  # to the units
    broker: Mosquitto
    link: Proxy  # to the broker
    remind: Callable[[], Awaitable[None]]


Harm = Callable[[Scene], Awaitable[None]]


async def session_with(folder: Path, further_s: int, harm: Harm) -> None:
    """Plays a session in which `harm` happens, then audits the ledger and what was heard of it.

    `harm` begins in post-infusion cooling and leaves all in order and the gateway running. A session has 99 increments
    at the most.
    """
    received = folder / "heard.txt"
    with Mosquitto(folder) as broker:
        async with (
            suite.serving(folder, suite.one_line("cap-01")) as units,
            suite.listener(broker, received),
            proxy(broker.port) as link,
            proxy(urlsplit(units.url).port or 0) as line,
        ):
            suite.write_configuration(folder, f"socket://127.0.0.1:{line.port}", link, FIRST_S, further_s)
            gateway = suite.Gateway(folder)
            await gateway.start()
            await gateway.connected()
            began_at = suite.in_future(0)

            async def remind() -> None:
                await suite.send_event(broker, "m1", "association.bound", began_at, PLACE)

            await remind()
            ended_at = await _infused(broker, received, units, began_at)
            await _counts(received)
            await harm(Scene(folder, gateway, units, line, broker, link, remind))
            await _counts(received)
            stopping_at = suite.in_future(0)
            units.stop("cap-01")
            await suite.until(lambda: _received_state(received, "stopped"), "the gateway sees the unit stop")
            stopped_at = suite.in_future(0)
            await _signed(folder, received)
            assert await gateway.end(signal.SIGTERM) == 0
        messages = suite.received(received)
    log = (folder / "gateway.log").read_text()
    assert "Traceback" not in log, log[-3000:]
    assert verify(gateway.ledger).problems == (), "the increments are those of the facts"
    _audit(gateway.ledger, messages, ended_at, further_s, (stopping_at, stopped_at))


async def _infused(broker: Mosquitto, received: Path, units: suite.Units, began_at: datetime) -> datetime:
    """The bound patient is cooled and infused; the instant at which the infusion ends."""
    order: dict[str, object] = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar"}
    units.cool("cap-01")
    await suite.until(lambda: _received_state(received, "running"), "the gateway sees the unit run")
    await suite.send_event(broker, "m2", "infusion.started", began_at, order)
    ended_at = suite.in_future(0)
    await suite.send_event(broker, "m3", "infusion.completed", ended_at, {**order, "final": True})
    await suite.send_event(broker, "m4", "preparation.charted", began_at, {"visit": "V-1", "person": "rn-1"})
    return ended_at


async def _signed(folder: Path, received: Path) -> None:
    """A person signs the session, and it is charged."""
    (session,) = {str(data["session"]) for data in _received(received, "/increment/json")}
    signing = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "session", "finalise", session, "--person", "cm-1", "--reason", "it is over",
        "--config", folder / "gateway.toml", stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await signing.wait() == 0
    await suite.until(lambda: bool(_received(received, "/charge/json")), "the session is charged")


async def _counts(received: Path) -> None:
    """Wait for an increment that is attained from now on: the gateway is there and counts."""
    now = suite.in_future(0)
    await suite.until(
        lambda: any(_attained_at(data) > now for data in _increments_received(received)),
        "another increment is attained",
    )


def _audit(
    ledger: Path,
    messages: list[tuple[str, bytes]],
    ended_at: datetime,
    further_s: int,
    stopped_at: tuple[datetime, datetime],
) -> None:
    """Every increment once, at its instant, under its key; and heard, every repeat byte-equal; and charged.

    Somebody stopped the unit at the first of `stopped_at`, and the gateway had seen it by the second.
    """
    in_ledger = _increments_in(ledger)
    attained = {data["index"]: _attained_at(data) for data in in_ledger.values()}
    instants = (ended_at + timedelta(seconds=threshold_s) for threshold_s in count(FIRST_S, further_s))
    due = dict(enumerate(takewhile(lambda at: at <= stopped_at[1], instants), start=1))
    assert attained == {n: due.get(n) for n in range(1, len(attained) + 1)}
    assert len(attained) >= sum(at <= stopped_at[0] - LAST_READING for at in due.values()), "increments are missing"
    assert {data["op"] for data in in_ledger.values()} == {"emit"}
    assert len({data["session"] for data in in_ledger.values()}) == 1, "increments under more than one session"
    payloads = _payloads_by_id(messages)
    assert payloads.keys() == in_ledger.keys()
    assert all(len(repeats) == 1 for repeats in payloads.values()), "a repeat differs from its first"
    charges = {payload for topic, payload in messages if topic.endswith("/charge/json")}
    assert [json.loads(charge)["data"]["quantity"] for charge in charges] == [len(attained)]


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


def _increments_received(received: Path) -> list[dict[str, object]]:
    return _received(received, "/increment/json")


def _received(received: Path, topic: str) -> list[dict[str, object]]:
    """The data of the messages on a topic that ends so."""
    return [json.loads(payload)["data"] for heard, payload in suite.received(received) if heard.endswith(topic)]


def _attained_at(data: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(data["attained_at"]))


def _received_state(received: Path, state: str) -> bool:
    """Whether the cap was said to have come into that run state."""
    events = _received(received, "/cap/1/event")
    return any(event["aspect"] == "run-state" and event["to"] == state for event in events)
