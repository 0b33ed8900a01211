"""Every sequence of answers to a message, up to six long, against an oracle: the application's last answer decides."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Literal

import pytest

from gateway.ledger import deliveries
from gateway.ledger.batch import Attempt, Batch, OutboxMessage, ReceiptRow
from gateway.ledger.deliveries import ResendRules
from gateway.ledger.entry import Entry, EntryKind, append
from gateway.ledger.store import Ledger, open_ledger, open_readonly
from gateway.messages.inbound.answers import Receipt, ReceiptResult
from gateway.recording.receipts import judge
from gateway.runtime.clock import SystemClock

LONGEST = 6
S = 1_000_000
YEAR_US = 366 * 86_400 * S
Word = ReceiptResult | Literal["repeat"]
WORDS: tuple[Word, ...] = ("stored", "accepted", "rejected", "repeat")
SEQUENCES = tuple(product(WORDS, repeat=LONGEST))  # all shorter ones begin one


class Oracle:
    """What an engine's answers amount to, said again in the simplest way."""

    def __init__(self) -> None:
        self.stands = "pending"
        self.disputes = 0
        self._received: set[tuple[str, str]] = set()

    def receive(self, identity: str, verdict: str) -> None:
        if (identity, verdict) in self._received:
            return
        if verdict == "stored":
            self.stands = "stored" if self.stands == "pending" else self.stands
        elif verdict == "accepted":
            self.disputes += self.stands == "rejected"
            if self.stands == "acknowledged":
                return  # it says nothing, so the like of it is no repeat later
            self.stands = "acknowledged"
        else:
            self.disputes += self.stands == "acknowledged"
            self.stands = "rejected"
        self._received.add((identity, verdict))


class Conversation:
    """One message, and what an engine says of it in turn."""

    def __init__(self, key: str, words: Sequence[Word]) -> None:
        self.key = key
        self.oracle = Oracle()
        self.disputes = 0
        self._words = words
        self._last: tuple[str, ReceiptResult] | None = None

    def answer(self, turn: int, *, own_ids: bool) -> Receipt | None:
        """The receipt of that turn, which the oracle hears; None if there is nothing to repeat."""
        word = self._words[turn]
        if word != "repeat":
            self._last = (f"E{turn}" if own_ids else self.key, word)
        if self._last is None:
            return None
        identity, verdict = self._last
        self.oracle.receive(identity, verdict)
        return Receipt(identity, self.key, verdict, "204" if verdict == "rejected" else "")


@pytest.mark.parametrize("own_ids", [True, False], ids=["ids-of-their-own", "our-id-each-time"])
async def test_the_last_answer_of_the_application_decides(tmp_path: Path, own_ids: bool) -> None:
    path = tmp_path / "ledger.db"
    conversations = [Conversation(f"T{number:08d}00A", words) for number, words in enumerate(SEQUENCES)]
    async with open_ledger(path, "gw-1", SystemClock().now) as ledger:
        await send(ledger, [each.key for each in conversations])
        for turn in range(LONGEST):
            head, entries, rows = ledger.head, list[Entry](), list[ReceiptRow]()
            for each in conversations:
                receipt = each.answer(turn, own_ids=own_ids)
                if receipt is None:
                    continue
                judged = await judge(ledger.outbox, receipt)
                each.disputes += bool(judged.disputed)
                for settled in judged.settled:
                    entry, head = append(head, (turn + 2) * S, EntryKind.DELIVERY, "", "{}")
                    entries.append(entry)
                    columns = (settled.key, settled.receipt.result, settled.code, "", receipt.message_id)
                    rows.append(ReceiptRow(entry.seq, *columns, (turn + 2) * S))
            if entries:
                await ledger.commit(Batch(tuple(entries), (), (), head, receipts=tuple(rows)))
            require_as_the_oracle_says(path, conversations)
            stored = sum(each.oracle.stands == "stored" for each in conversations)
            assert (await ledger.outbox.deliveries()).stored == stored


async def send(ledger: Ledger, keys: Sequence[str]) -> None:
    entry, head = append(ledger.head, 1, EntryKind.CHARGE, "", "{}")
    messages = tuple(OutboxMessage(entry.seq, key, "t", b"", False, "", key, awaited=True) for key in keys)
    await ledger.commit(Batch((entry,), messages, (), head))
    await ledger.outbox.mark([Attempt(number + 1, S, 0, delivered=True) for number in range(len(keys))])


def require_as_the_oracle_says(path: Path, conversations: Sequence[Conversation]) -> None:
    with open_readonly(path) as connection:
        found = deliveries.proofs_of(connection, "T")
        due = deliveries.due_again(connection, YEAR_US, ResendRules(), YEAR_US, len(conversations))
    assert [found[each.key].value for each in conversations] == [each.oracle.stands for each in conversations]
    assert [each.disputes for each in conversations] == [each.oracle.disputes for each in conversations]
    pending = {each.key for each in conversations if each.oracle.stands == "pending"}
    assert {row.event_id for row in due} == pending, "nothing else is sent again by itself"
