"""How far units are observed: an entry a minute for all of them, of which the newest of each unit is found at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers.reading import Stamp
from gateway.ledger import reads, writes
from gateway.ledger.batch import Batch
from gateway.ledger.entry import EntryKind
from gateway.ledger.opening import connect_file, open_or_replace
from gateway.recording.transaction import Transaction
from gateway.session.facts import AnyFact, ObservedUntil, encode_fact
from gateway.session.marks import combined

NOW_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
UNITS = [f"cap-{number:02d}" for number in range(1, 21)]


class Minutes:
    """A ledger to which facts are added, a minute after the other."""

    def __init__(self, path: Path) -> None:
        opened = open_or_replace(path, "gw-01", lambda: Stamp(NOW_US, 0), connect_file)
        self.connection, self._origin, self._head = opened.connection, opened.origin, opened.head
        self.now_us = NOW_US

    def add(self, facts: Sequence[AnyFact]) -> None:
        """One transaction."""
        transaction = Transaction(self._head, self.now_us, ())
        for fact in facts:
            transaction.record(EntryKind.FACT, "", encode_fact(fact))
        batch: Batch = transaction.batch()
        self._head = writes.append_batch(self.connection, self._origin, batch)
        self.now_us += MINUTE_US

    def seen(self, units: Sequence[str] = UNITS, behind_us: int = 0) -> list[ObservedUntil]:
        """That units are observed up to now."""
        at_us = self.now_us - behind_us
        return [ObservedUntil(at_us=at_us, known_at_us=self.now_us, device=unit) for unit in units]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.fixture
def ledger(tmp_path: Path) -> Minutes:
    return Minutes(tmp_path / "ledger.db")


def test_a_minute_of_twenty_units_is_one_entry_and_no_row_of_the_index(ledger: Minutes) -> None:
    ledger.add(combined(ledger.seen()))
    sizes = {table: ledger.count(table) for table in ("entry", "concern", "observed")}
    for _ in range(10):
        ledger.add(combined(ledger.seen()))
    assert sizes == {"entry": 1, "concern": 0, "observed": 20}
    assert [ledger.count(table) for table in sizes] == [11, 0, 20]


def test_the_newest_of_each_unit_is_found_and_what_held_before_any_entry(ledger: Minutes) -> None:
    """Newest is what was recorded last: a clock that was set back moves units back with it."""
    morning = ledger.seen()
    ledger.add(morning)  # as an earlier version has it, each by itself
    afternoon = ledger.seen(UNITS[:2])
    ledger.add(combined(afternoon))
    back = ledger.seen(UNITS[:1], behind_us=60 * MINUTE_US)
    ledger.add(combined(back))
    assert reads.last_observed(ledger.connection) == [*back, afternoon[1], *morning[2:]]
    assert reads.observed_before(ledger.connection, 20) == morning
    assert reads.observed_before(ledger.connection, 21) == [*afternoon, *morning[2:]]
    assert reads.observed_before(ledger.connection, 0) == []
