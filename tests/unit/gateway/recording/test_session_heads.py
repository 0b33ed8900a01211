"""The retained head of a session: cleared as often as the session leaves memory."""

from pathlib import Path

from gateway.ledger.entry import EntryKind
from gateway.ledger.receipt_plan import ReceiptPlan
from gateway.ledger.store import open_ledger
from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Mode
from gateway.mqtt.topics import Topics
from gateway.recording.session_heads import SessionHeads
from gateway.recording.transaction import Transaction
from tests.support.pipeline import FakeClock


async def test_a_head_is_cleared_again_though_no_entry_has_come_since(tmp_path: Path) -> None:
    clock = FakeClock()
    origin, topics = Origin("ward", "gw-01"), Topics("ward", "gw-01", Mode.TEST)
    async with open_ledger(tmp_path / "ledger.db", "gw-01", clock.now) as ledger:
        heads = SessionHeads(origin, topics, ledger, ReceiptPlan())
        first = Transaction(ledger.head, clock.us, ledger.policies)
        first.record(EntryKind.STATUS, "", b"{}")
        await ledger.commit(first.batch())
        for _ in range(2):
            clock.us += 60_000_000
            transaction = Transaction(ledger.head, clock.us, ledger.policies)
            await heads.clear_final(transaction, ["9RX2M7KQ4"])
            await ledger.commit(transaction.batch())
        rows = await ledger.outbox.pending(0, 10)
        assert [(row.topic, row.payload) for row in rows] == [(topics.session("9RX2M7KQ4").topic, b"")] * 2
