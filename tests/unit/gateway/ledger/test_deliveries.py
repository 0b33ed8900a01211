"""What the ledger knows of messages on their way to the engine, and which it says are due again."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.ledger import deliveries, reads, schema, writes
from gateway.ledger.batch import Attempt, Batch, OutboxMessage, ReceiptRow, ResendOrder
from gateway.ledger.deliveries import Deliveries, Proof, ResendRules
from gateway.ledger.entry import EntryKind, append
from gateway.ledger.opening import connect_file
from gateway.ledger.reads import LedgerOrigin
from gateway.ledger.schema import migrate
from gateway.ledger.store import Ledger, open_ledger, open_readonly
from gateway.runtime.clock import SystemClock

S = 1_000_000
RULES = ResendRules(first_s=10.0, longest_s=35.0)
KEYS = ("AAAAAAAA100A", "AAAAAAAA100B", "BBBBBBBB200A")


class Book:
    """A ledger of charges, and what a relay and an engine would tell it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def charge(self, *keys: str, awaited: bool = True, at_s: int = 0) -> None:
        entry, head = append(self.ledger.head, at_s * S, EntryKind.CHARGE, "", "{}")
        messages = tuple(
            OutboxMessage(entry.seq, key, "t/charge/json", key.encode(), False, "", key, awaited) for key in keys
        )
        await self.ledger.commit(Batch((entry,), messages, (), head))

    async def sent(self, outbox_id: int, at_s: float, *, delivered: bool = True) -> None:
        await self.ledger.outbox.mark([Attempt(outbox_id, round(at_s * S), 0, delivered)])

    async def add_receipt(
        self, key: str, *, accepted: bool, message: str = "m", text: str = "", code: str = "204", at_s: int = 0
    ) -> None:
        at_us = at_s * S or 1
        entry, head = append(self.ledger.head, at_us, EntryKind.DELIVERY, "", "{}")
        result = "accepted" if accepted else "rejected"
        receipt = ReceiptRow(entry.seq, key, result, "" if accepted else code, text, message, at_us)
        await self.ledger.commit(Batch((entry,), (), (), head, receipts=(receipt,)))

    async def order(self, key: str) -> None:
        body = f'{{"resend":{{"key":"{key}","person":"rn-1","reason":"mended"}}}}'
        entry, head = append(self.ledger.head, 2, EntryKind.DELIVERY, "", body)
        await self.ledger.commit(Batch((entry,), (), (), head, resends=(ResendOrder(entry.seq, key),)))

    async def due(self, now_s: float, forgotten_s: float = 0) -> list[int]:
        rows = await self.ledger.outbox.due_again(round(now_s * S), RULES, round(forgotten_s * S), 100)
        return [row.outbox_id for row in rows]

    async def proof(self, key: str) -> Proof | None:
        message = await self.ledger.outbox.followed(key)
        return message and message.proof


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    async with open_ledger(tmp_path / "ledger.db", "gw-1", SystemClock().now) as ledger:
        yield Book(ledger)


async def test_a_message_is_pending_until_the_engine_accepts_it(book: Book) -> None:
    await book.charge(*KEYS[:2], at_s=5)
    assert await book.ledger.outbox.deliveries() == Deliveries(2, 0, 0, 5 * S)
    await book.sent(1, 6)
    assert await book.proof(KEYS[0]) is Proof.PENDING, "a PUBACK proves nothing"
    await book.add_receipt(KEYS[0], accepted=True)
    assert await book.proof(KEYS[0]) is Proof.ACKNOWLEDGED
    assert await book.ledger.outbox.deliveries() == Deliveries(1, 0, 0, 5 * S)
    assert await book.proof("unknown") is None


async def test_without_receipts_a_message_stays_unproven_and_is_never_due(book: Book) -> None:
    await book.charge(KEYS[0], awaited=False)
    await book.sent(1, 1)
    assert await book.due(1e6) == []
    assert await book.ledger.outbox.deliveries() == Deliveries(0, 1, 0, None)
    await book.add_receipt(KEYS[0], accepted=True)
    assert await book.proof(KEYS[0]) is Proof.ACKNOWLEDGED, "a receipt counts also where none is expected"


async def test_a_rejection_waits_for_an_order_and_keeps_its_reason(book: Book, tmp_path: Path) -> None:
    await book.charge(*KEYS)
    for outbox_id in (1, 2, 3):
        await book.sent(outbox_id, 1)
    await book.add_receipt(KEYS[0], accepted=False, text="visit not open")
    assert await book.due(1e6) == [2], "the rejected one rests, the others are probed"
    with open_readonly(tmp_path / "ledger.db") as connection:
        first, *rest = deliveries.unsettled(connection)
    assert (first.key, first.proof, first.code, first.text) == (KEYS[0], Proof.REJECTED, "204", "visit not open")
    assert [each.proof for each in rest] == [Proof.PENDING, Proof.PENDING]
    await book.order(KEYS[0])
    assert 1 in await book.due(1.0), "an order does not wait"
    await book.sent(1, 100)
    assert 1 not in await book.due(101)
    assert await book.proof(KEYS[0]) is Proof.PENDING
    await book.add_receipt(KEYS[0], accepted=True, message="n")
    with open_readonly(tmp_path / "ledger.db") as connection:
        events = deliveries.events(connection, KEYS[0])
    described = {(event.what, event.detail) for event in events}
    assert described >= {
        ("rejected", "204 visit not open"),
        ("ordered again", "by rn-1: mended"),
        ("acknowledged", ""),
        ("sent", "reason 0"),
    }


async def test_a_passing_error_is_tried_again_by_itself_ever_later_and_not_for_ever(book: Book) -> None:
    await book.charge(*KEYS[:2])
    for outbox_id, code in ((1, "207"), (2, "204")):
        await book.sent(outbox_id, 1)
        await book.add_receipt(KEYS[outbox_id - 1], accepted=False, code=code, at_s=2)
    assert await book.due(10) == [], "the first wait is ten seconds"
    sent_s, waits_s = 1, list[int]()
    while await book.due(1e6):
        due_s = sent_s
        while not await book.due(due_s):
            due_s += 1
        assert await book.due(due_s) == [1], "what is wrong with a message does not pass"
        waits_s.append(due_s - sent_s)
        sent_s = due_s
        await book.sent(1, sent_s)
        assert await book.proof(KEYS[0]) is Proof.PENDING
        await book.add_receipt(KEYS[0], accepted=False, code="207", message=f"m{sent_s}", at_s=sent_s + 1)
        assert await book.proof(KEYS[0]) is Proof.REJECTED
    assert waits_s == [10, 20, 35, 35, 35, 35, 35, 35, 35, 35, 35]
    await book.order(KEYS[0])
    assert await book.due(sent_s) == [1], "from then on it is a person's"
    await book.sent(1, sent_s + 5)
    await book.add_receipt(KEYS[0], accepted=True, message="taken", at_s=sent_s + 6)
    assert await book.due(1e6) == []


async def test_an_order_where_no_receipt_is_expected_is_sent_once(book: Book) -> None:
    await book.charge(KEYS[0], awaited=False)
    await book.sent(1, 1)
    await book.order(KEYS[0])
    assert await book.due(2) == [1]
    await book.sent(1, 3)
    assert await book.due(1e6) == []
    assert await book.proof(KEYS[0]) is Proof.UNPROVEN


async def test_an_accepted_message_is_not_sent_again_unless_the_engine_rejects_it_after_all(book: Book) -> None:
    await book.charge(KEYS[0])
    await book.sent(1, 1)
    await book.add_receipt(KEYS[0], accepted=True)
    await book.order(KEYS[0])
    assert await book.proof(KEYS[0]) is Proof.ACKNOWLEDGED
    assert await book.due(1e6) == []
    await book.add_receipt(KEYS[0], accepted=False, message="late")
    assert await book.proof(KEYS[0]) is Proof.REJECTED
    assert await book.due(1e6) == [], "a rejection waits for an order"
    await book.order(KEYS[0])
    assert await book.due(1) == [1]


async def test_what_was_overtaken_comes_again_after_a_back_off_that_doubles_up_to_its_limit(book: Book) -> None:
    await book.charge(*KEYS)
    assert await book.due(1e6) == [], "what waits for the broker is the relay's own affair"
    for outbox_id in (1, 2, 3):
        await book.sent(outbox_id, outbox_id)
    await book.add_receipt(KEYS[2], accepted=True)
    assert await book.due(10.9) == []
    assert await book.due(11) == [1]
    assert await book.due(12) == [1, 2]
    sends_s = [12.0, 32.0]
    for at_s in sends_s:
        await book.sent(1, at_s)
    assert await book.due(32 + 34) == [2], "the third wait is the longest allowed"
    assert await book.due(32 + 35) == [2, 1]


async def test_while_the_engine_is_silent_one_message_alone_is_tried_again(book: Book) -> None:
    await book.charge(*(f"AAAAAAAA1{n:02d}A" for n in range(50)))
    await book.ledger.outbox.mark([Attempt(n, n, 0, True) for n in range(1, 51)])
    assert await book.due(1e6) == [1]
    await book.sent(1, 1000)
    assert await book.due(1019) == []
    assert await book.due(1020) == [1], "the same again, after its own back-off"
    await book.add_receipt("AAAAAAAA100A", accepted=True)
    assert await book.due(2000) == list(range(2, 51)), "the engine is back, and they were sent before what it answered"


async def test_a_broker_that_forgot_is_told_again_at_once(book: Book) -> None:
    await book.charge(*KEYS)
    await book.sent(1, 1)
    await book.sent(2, 2)
    assert await book.due(3, forgotten_s=2.5) == [1, 2]
    await book.sent(1, 3)
    assert await book.due(3.1, forgotten_s=2.5) == [2]


async def test_a_cumulative_receipt_reaches_what_was_sent_before_on_the_same_topic(book: Book) -> None:
    for key in KEYS:
        await book.charge(key)
    await book.sent(1, 1)
    await book.sent(3, 1)
    last = await book.ledger.outbox.followed(KEYS[2])
    assert last is not None
    assert await book.ledger.outbox.followed_up_to(last) == [KEYS[0]], "the second was never sent"


async def test_receipts_and_orders_cannot_be_rewritten_and_words_can_be_forgotten(book: Book, tmp_path: Path) -> None:
    await book.charge(KEYS[0])
    await book.add_receipt(KEYS[0], accepted=False, text="Mrs. Doe is not here")
    await book.order(KEYS[0])
    connection = sqlite3.connect(tmp_path / "ledger.db")
    for table in ("delivery", "receipt", "resend"):
        for deed in (f"DELETE FROM {table}", f"UPDATE {table} SET key = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="refused"):
                connection.execute(deed)
    with pytest.raises(sqlite3.IntegrityError, match="refused"):
        connection.execute("UPDATE receipt_text SET text = 'x'")
    connection.execute("DELETE FROM receipt_text")
    connection.close()


def _oracle(history: list[tuple[str, int]], count: int) -> dict[int, str]:
    """What becomes of each message: the last word holds, but what is accepted is not ordered again."""
    state = dict.fromkeys(range(1, count + 1), "pending")
    for what, number in history:
        if what != "order" or state[number] != "acknowledged":
            state[number] = {"accept": "acknowledged", "reject": "rejected", "order": "pending"}.get(
                what, state[number]
            )
    return state


@pytest.mark.slow
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    history=st.lists(st.tuples(st.sampled_from(["accept", "reject", "order", "send"]), st.integers(1, 4)), max_size=25)
)
def test_whatever_comes_in_whatever_order_the_state_follows_from_the_words_alone(
    history: list[tuple[str, int]],
) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("none"))
    origin = LedgerOrigin("gw", "e", b"salt")
    writes.insert_origin(connection, origin, 0)
    keys = {number: f"AAAAAAAA{number}00A" for number in range(1, 5)}
    entry, head = append(origin.genesis, 0, EntryKind.CHARGE, "", "{}")
    messages = tuple(OutboxMessage(1, key, "t", b"x", False, "", key, True) for key in keys.values())
    writes.append_batch(connection, origin, Batch((entry,), messages, (), head))
    for turn, (what, number) in enumerate(history):
        if what == "send":
            writes.append_attempts(connection, [Attempt(number, turn, 0, True)])
            continue
        entry, head = append(head, turn, EntryKind.DELIVERY, "", "{}")
        batch = Batch((entry,), (), (), head)
        result = "accepted" if what == "accept" else "rejected"
        receipt = ReceiptRow(entry.seq, keys[number], result, "", "", f"m{turn}", turn)
        if what == "order":
            batch = Batch((entry,), (), (), head, resends=(ResendOrder(entry.seq, keys[number]),))
        else:
            batch = Batch((entry,), (), (), head, receipts=(receipt,))
        writes.append_batch(connection, origin, batch)
    found = deliveries.proofs_of(connection, "")
    assert {number: found[key] for number, key in keys.items()} == _oracle(history, 4)
    connection.close()


def test_an_older_ledger_has_its_charges_unproven(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = connect_file(path)
    old = schema.Migrations("ledger")
    old(name="m0001_ledger")(schema.m0001_ledger)
    old(name="m0002_checkpoint")(schema.m0002_checkpoint)
    schema.migrate(connection, path, old)
    connection.execute("INSERT INTO entry VALUES (1, 0, 'charge', '', '{}', '', 'h')")
    connection.execute("INSERT INTO outbox VALUES (1, 1, 'AAAAAAAA100A', 'a/ehr/g/charge/json', x'7b7d', 0, '', 'd')")
    schema.migrate(connection, path)
    assert deliveries.proofs_of(connection, "") == {"AAAAAAAA100A": Proof.UNPROVEN}
    connection.close()


async def test_what_is_asked_every_few_seconds_costs_the_same_after_years_without_receipts(tmp_path: Path) -> None:
    steps: list[int] = []
    async with open_ledger(tmp_path / "ledger.db", "gw-1", SystemClock().now) as ledger:
        book = Book(ledger)
        for first in (0, 100):
            keys = [f"K{number:07d}100A" for number in range(first, 10 * first + 100)]
            await book.charge(*keys, awaited=False)
            await ledger.outbox.mark([Attempt(first + n + 1, 1, 0, delivered=True) for n in range(len(keys))])
            with open_readonly(tmp_path / "ledger.db") as reader:
                taken: list[None] = []
                reader.set_progress_handler(lambda taken=taken: taken.append(None), 1)
                assert deliveries.deliveries(reader).unproven == first + len(keys)
                assert reads.backlog(reader).depth == 0
                assert deliveries.due_again(reader, 10 * S, RULES, 0, 100) == []
                steps.append(len(taken))
    assert steps[1] <= steps[0] + 20


async def test_the_counts_follow_every_state(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger.db", "gw-1", SystemClock().now) as ledger:
        book = Book(ledger)
        await book.charge(*KEYS)
        await book.charge("CCCCCCCC100A", awaited=False)
        await book.add_receipt(KEYS[0], accepted=False)
        await book.add_receipt(KEYS[1], accepted=True)
        await book.order("CCCCCCCC100A")
        assert await ledger.outbox.deliveries() == Deliveries(pending=1, unproven=1, rejected=1, oldest_us=0)
        assert (await ledger.outbox.backlog()).depth == 4
