"""The gateway's MQTT service on a ledger on disk, and what tests observe of it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from gateway.ledger.batch import Batch, OutboxMessage, ReceiptRow, ResendOrder
from gateway.ledger.deliveries import DEFAULT_RULES, Proof, ResendRules
from gateway.ledger.entry import Entry, EntryKind, append
from gateway.ledger.store import Ledger, open_ledger
from gateway.messages.destination import Destination
from gateway.mqtt.consumer import Overheard
from gateway.mqtt.service import Announcements, ConnectionInfo, MqttService
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.types import MqttCounters, MqttSettings, OutgoingMessage
from gateway.runtime.clock import SystemClock
from tests.broker.harness import HANGS_S, eventually

STATUS = "dev/gw/status"
INBOUND = "ehr/in/json"
MUST_ARRIVE = "ehr/gw/increment/json"


def settings(port: int, **changes: object) -> MqttSettings:
    """Settings with short time-outs."""
    fields: dict[str, object] = {"will_delay_s": 0, "connect_timeout_s": 5.0, "ack_timeout_s": 5.0} | changes
    return MqttSettings("127.0.0.1", "gateway", port, **fields)  # type: ignore[arg-type]


class Gateway:
    """A ledger and the MQTT service on it. Inbound messages are appended to `handled`, after `before_commit` is called.

    "ack e5" is a receipt for the message e5.
    """

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        settings: MqttSettings,
        chance: float,
        resends: ResendRules,
        inbound: Sequence[str],
        left_over: Sequence[str],
        overheard: Sequence[Overheard],
    ) -> None:
        self.counters = MqttCounters()
        self.telemetry = Telemetry(self.counters)
        self.handled: list[bytes] = []
        self.before_commit: Callable[[], object] = lambda: None
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.births: list[ConnectionInfo] = []
        self.ledger = ledger
        self._path = path
        self._committed = 0
        self._writing = asyncio.Lock()  # one batch at a time, as in the pipeline
        announcements = Announcements(
            STATUS,
            self._birth,
            lambda epoch: OutgoingMessage(STATUS, f"lost {epoch}".encode(), retain=True),
            lambda epoch: OutgoingMessage(STATUS, f"stopped {epoch}".encode(), retain=True),
        )
        self.service = MqttService(
            settings,
            inbound,
            ledger.outbox,
            self.telemetry,
            self._handle,
            announcements,
            {MUST_ARRIVE},
            SystemClock(),
            self.counters,
            lambda: chance,
            resends,
            overheard,
            left_over,
        )

    async def commit_messages(self, topic: str, payloads: Iterable[bytes], *, awaited: bool = False) -> None:
        """Commit one entry with an outbox message for each payload; their ids are e1, e2 ...

        `awaited`: a receipt is awaited for each, by its id.
        """
        async with self._writing:
            await self._commit(topic, payloads, awaited=awaited)

    async def all_acknowledged(self, timeout_s: float = HANGS_S) -> None:
        """Wait until every awaited receipt has come."""
        async with asyncio.timeout(timeout_s):
            while (await self.ledger.outbox.deliveries()).pending:
                await asyncio.sleep(0.02)

    async def _commit(self, topic: str, payloads: Iterable[bytes], *, awaited: bool) -> None:
        entry, head = append(self.ledger.head, 1, EntryKind.FACT, "", "{}")
        messages: list[OutboxMessage] = []
        for payload in payloads:
            self._committed += 1
            event_id = f"e{self._committed}"
            key = event_id if awaited else ""
            messages.append(OutboxMessage(entry.seq, event_id, topic, payload, False, "application/json", key, awaited))
        await self.ledger.commit(Batch((entry,), tuple(messages), (), head))

    async def acknowledge(self, keys: Iterable[str], *, accepted: bool = True) -> None:
        """Commit the engine's receipts for the messages."""
        result = "accepted" if accepted else "rejected"
        head, entries, receipts = self.ledger.head, list[Entry](), list[ReceiptRow]()
        for key in keys:
            entry, head = append(head, 1, EntryKind.DELIVERY, "", "{}")
            entries.append(entry)
            receipts.append(ReceiptRow(entry.seq, key, result, "", "", f"r{entry.seq}", 1))
        await self.ledger.commit(Batch(tuple(entries), (), (), head, receipts=tuple(receipts)))

    async def commit_resend(self, key: str) -> None:
        """Commit a person's order to send a message again."""
        entry, head = append(self.ledger.head, 1, EntryKind.DELIVERY, "", "{}")
        await self.ledger.commit(Batch((entry,), (), (), head, resends=(ResendOrder(entry.seq, key),)))

    async def connected(self) -> None:
        """Wait until the service is connected."""
        await eventually(lambda: self.service.connected, "the gateway connects")

    async def outbox_empty(self) -> None:
        """Wait until no message of the outbox is left to publish."""
        async with asyncio.timeout(HANGS_S):
            while (await self.ledger.outbox.backlog()).depth:
                await asyncio.sleep(0.02)

    def attempts(self) -> list[tuple[str, int, bool]]:
        """Event id, reason and whether it counts as delivered, of every attempt in the file."""
        with closing(sqlite3.connect(self._path)) as connection:
            query = "SELECT event_id, reason, delivered FROM attempt JOIN outbox USING (outbox_id) ORDER BY attempt_id"
            return [(event_id, reason, bool(delivered)) for event_id, reason, delivered in connection.execute(query)]

    def _birth(self, info: ConnectionInfo) -> OutgoingMessage:
        self.births.append(info)
        return OutgoingMessage(STATUS, f"online {info.epoch}".encode(), retain=True)

    async def _handle(self, _: str, payload: bytes) -> None:
        self.before_commit()
        await asyncio.sleep(0)
        await self.may_commit.wait()
        self.handled.append(payload)
        if payload.startswith(b"ack "):
            key = payload.removeprefix(b"ack ").decode()
            message = await self.ledger.outbox.followed(key)
            if message is not None and message.proof is not Proof.ACKNOWLEDGED:
                async with self._writing:
                    await self.acknowledge([key])


@asynccontextmanager
async def gateway(
    directory: Path,
    settings: MqttSettings,
    chance: float = 0.1,
    resends: ResendRules = DEFAULT_RULES,
    inbound: Sequence[str] = (INBOUND,),
    left_over: Sequence[str] = (),
    overheard: Sequence[Overheard] = (),
) -> AsyncGenerator[Gateway]:
    """A gateway that serves until the context ends, with a clean stop. `chance` scales every back-off.

    Raises what ended the service before that.
    """
    path = directory / "state" / "ledger.db"
    async with open_ledger(path, "gw", SystemClock().now) as ledger:
        made = Gateway(ledger, path, settings, chance, resends, inbound, left_over, overheard)
        task = asyncio.create_task(made.service.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()


def reading(topic: str = "dev/reading", expiry_s: int = 120) -> Destination:
    """A destination of readings (QoS 0)."""
    return Destination(topic, 0, retain=False, expiry_s=expiry_s, content_type="application/json")


def status(topic: str) -> Destination:
    """A destination of statuses (retained)."""
    return Destination(topic, 1, retain=True, expiry_s=None, content_type="application/json")
