"""The bytes of messages: kept byte for byte while they may have to be sent, and no longer."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from drivers.reading import Stamp
from gateway.audit.verify import verify
from gateway.ledger import deliveries
from gateway.ledger.batch import Attempt, Batch, OutboxMessage, OutboxRow, ResendOrder
from gateway.ledger.deliveries import ResendRules
from gateway.ledger.entry import EntryKind, append
from gateway.ledger.errors import DuplicateEvent
from gateway.ledger.opening import connect_file
from gateway.ledger.store import Ledger, open_ledger
from tests.support.old_ledgers import restored
from tests.unit.gateway.ledger.ledger_story import GATEWAY, at, write_story

YEAR_US = 365 * 86_400_000_000
BYTES = b'{"name": "\xc3\x84", "n": 1.0}'


def now() -> Stamp:
    return Stamp(at(200), 0)


async def publish(ledger: Ledger, *messages: OutboxMessage, orders: Sequence[str] = ()) -> None:
    """One entry, with these messages or orders to send one again."""
    entry, head = append(ledger.head, at(200), EntryKind.STATUS, "", "{}")
    outbox = tuple(msgspec.structs.replace(each, seq=head.seq) for each in messages)
    resends = tuple(ResendOrder(head.seq, key) for key in orders)
    await ledger.commit(Batch((entry,), outbox, (), head, resends=resends))


def message(event_id: str, payload: bytes = BYTES, key: str = "") -> OutboxMessage:
    return OutboxMessage(0, event_id, f"t/{event_id}", payload, True, "application/json", key)


def kept(path: Path) -> list[str]:
    """The messages whose bytes the ledger has."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT event_id FROM message WHERE payload NOT NULL ORDER BY outbox_id"
        return [event_id for (event_id,) in connection.execute(query)]


def taken(*outbox_ids: int) -> list[Attempt]:
    return [Attempt(each, at(201), 0, delivered=True) for each in outbox_ids]


async def test_bytes_go_when_the_broker_has_taken_what_nobody_follows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_ledger(path, "gw-1", now) as ledger:
        await publish(ledger, message("e1"), message("e2"), message("e3", b""), message("e4", key="k4"))
        await ledger.outbox.mark([Attempt(1, at(201), 0x97, delivered=False)])
        assert kept(path) == ["e1", "e2", "e3", "e4"], "a refusal changes nothing"
        await ledger.outbox.mark(taken(1, 3, 4))
        assert kept(path) == ["e2", "e4"]
    async with open_ledger(path, "gw-1", now) as ledger:
        (row,) = await ledger.outbox.pending(0, 9)
        assert row == OutboxRow(2, "e2", "t/e2", BYTES, True, "application/json")
        with pytest.raises(DuplicateEvent, match="e1"):
            await publish(ledger, message("e1", b"other"))
    assert verify(path).problems == ()


async def test_what_is_followed_is_sent_again_byte_for_byte_after_two_years(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_ledger(path, "gw-1", now) as ledger:
        await publish(ledger, message("e1"), message("e2", key="k2"))
        await ledger.outbox.mark(taken(1, 2))
    async with open_ledger(path, "gw-1", now) as ledger:
        await publish(ledger, orders=["k2"])
        rows = await ledger.outbox.due_again(at(200) + 2 * YEAR_US, ResendRules(), 0, 9)
        assert rows == [OutboxRow(2, "e2", "t/e2", BYTES, True, "application/json")]
        assert await ledger.outbox.still_to_send(2) == rows[0]
        await ledger.outbox.mark(taken(2))
        assert await ledger.outbox.still_to_send(2) is None
    with closing(connect_file(path)) as connection:
        assert deliveries.payload(connection, "k2") == BYTES


async def test_topics_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_ledger(path, "gw-1", now) as ledger:
        same = OutboxMessage(0, "e1", "t", BYTES, False, "")
        await publish(ledger, same, msgspec.structs.replace(same, event_id="e2"))
        await publish(ledger, msgspec.structs.replace(same, event_id="e3"))
        await publish(ledger, msgspec.structs.replace(same, event_id="e4", retain=True))
        assert [(row.topic, row.retain) for row in await ledger.outbox.pending(0, 9)] == [("t", False)] * 3 + [
            ("t", True)
        ]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM destination").fetchone() == (2,)


def test_nobody_takes_the_bytes_of_what_may_have_to_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_story(path)
    with closing(connect_file(path)) as connection:
        for deed in ("DELETE FROM payload", "UPDATE payload SET payload = x''", "UPDATE destination SET topic = 't'"):
            with pytest.raises(sqlite3.IntegrityError, match="is refused"):
                connection.execute(deed)


def columns(path: Path, which: str) -> list[OutboxRow]:
    """The rows of the outbox in an earlier version's own columns: those that are `waiting`, or have an `attempt`."""
    query = f"""
        SELECT outbox_id, event_id, topic, payload, retain, content_type
          FROM outbox JOIN {which} USING (outbox_id) ORDER BY outbox_id"""
    with closing(sqlite3.connect(path)) as connection:
        return [
            OutboxRow(outbox_id, event_id, topic, payload, bool(retain), content_type)
            for outbox_id, event_id, topic, payload, retain, content_type in connection.execute(query)
        ]


@pytest.mark.parametrize("name", ["story", "open", "damaged"])
async def test_what_an_earlier_version_left_waiting_is_sent_as_it_was(tmp_path: Path, name: str) -> None:
    path = restored(name, tmp_path / "ledger.db")
    left = columns(path, "waiting")
    assert left
    async with open_ledger(path, GATEWAY, now) as ledger:
        assert await ledger.outbox.pending(0, 10_000) == left
        await ledger.outbox.mark(taken(*(row.outbox_id for row in left)))
        assert await ledger.outbox.pending(0, 10_000) == []
    assert columns(path, "attempt") == left, "the rows themselves are never rewritten"
