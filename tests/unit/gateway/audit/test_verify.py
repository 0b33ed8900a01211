"""Verification: what is re-derived, what messages and queues must say, and what is passed over."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database

from drivers.reading import Stamp
from gateway.audit.backup import backup
from gateway.audit.rederive import Rederiver
from gateway.audit.report import AuditProblem
from gateway.audit.stream import RawEntry, stream, transactions
from gateway.audit.verify import verify
from gateway.ledger import index, policies
from gateway.ledger.batch import OutboxRow
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerUnavailable, TargetExists
from gateway.ledger.reads import message_digest
from gateway.ledger.schema import MIGRATIONS
from gateway.ledger.store import open_ledger
from gateway.replay.casefile import Case, read_cases
from gateway.session.facts import AnyFact, ObservedUntil, encode_fact
from gateway.session.state import Step
from tests.unit.gateway.ledger.ledger_story import GATEWAY, write_story
from tests.unit.gateway.session.live_tracker import Live

CASES = read_cases((Path(__file__).parents[3] / "data" / "sessions.json").read_bytes(), "sessions")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> list[RawEntry]:
    path = tmp_path_factory.mktemp("story") / "ledger.db"
    write_story(path)
    connection = sqlite3.connect(path)
    entries = list(stream(connection))
    connection.close()
    return entries


def problems(entries: list[RawEntry]) -> list[AuditProblem]:
    """What is wrong with entries that lie in a file as they are, chained or not."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    MIGRATIONS.apply(Database(connection, execute_plugins=False))
    connection.execute("DROP TRIGGER entry_follows")
    columns = ", ".join(RawEntry.__struct_fields__)
    row = f"INSERT OR IGNORE INTO entry ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    connection.executemany(row, map(msgspec.structs.astuple, entries))
    index.make(connection)
    policies.make(connection)
    rederiver = Rederiver(connection)
    return [problem for group in transactions(entries) for problem in rederiver.take(group)]


def replaced(entry: RawEntry, old: str, new: str) -> RawEntry:
    assert old in entry.body
    return msgspec.structs.replace(entry, body=entry.body.replace(old, new))


def test_all_that_was_recorded_follows_from_the_facts(story: list[RawEntry]) -> None:
    assert problems(story) == []


@pytest.mark.parametrize("kind", ["increment", "charge"])
def test_an_entry_that_is_missing_is_missed(story: list[RawEntry], kind: str) -> None:
    for entry in [each for each in story if each.kind == kind]:
        found = problems([each for each in story if each is not entry])
        assert found
        assert "not recorded" in found[0].text


def test_an_increment_that_was_moved_is_found_with_what_it_should_be(story: list[RawEntry]) -> None:
    entry = next(each for each in story if each.kind == "increment")
    moved = replaced(entry, '"attained_at_us":1773146760000000', '"attained_at_us":1773146700000000')
    (found,) = problems([moved if each is entry else each for each in story])
    assert (found.area, found.seq) == ("increment", entry.seq)
    assert "1773146700000000" in found.text
    assert "1773146760000000" in found.text


def test_an_increment_recorded_twice_does_not_follow(story: list[RawEntry]) -> None:
    at = next(index for index, each in enumerate(story) if each.kind == "increment")
    (found,) = problems([*story[: at + 1], story[at], *story[at + 1 :]])
    assert found.text.endswith("does not follow from the facts")


def test_a_fact_that_is_taken_out_shows_in_what_followed_from_it(story: list[RawEntry]) -> None:
    ended = next(each for each in story if '"infusion_ended"' in each.body)
    assert any(problem.area == "increment" for problem in problems([each for each in story if each is not ended]))


def test_an_opening_that_was_not_recorded_is_found(story: list[RawEntry]) -> None:
    opened = next(each for each in story if '"session_opened"' in each.body)
    found = problems([each for each in story if each is not opened])
    assert "open a session on cap-01 cap 1, not recorded so" in found[0].text


def test_bodies_that_cannot_be_read_and_facts_that_cannot_be_followed_are_reported(story: list[RawEntry]) -> None:
    entry = next(each for each in story if each.kind == "increment")
    assert "cannot be read" in problems([replaced(entry, "{", "[")])[0].text
    opened = next(each for each in story if '"session_opened"' in each.body)
    broken = replaced(opened, "first_threshold_s = 960", "first_threshold_s = x")
    found = problems([broken if each is opened else each for each in story])
    assert any("cannot be followed" in each.text for each in found)


def test_entries_of_unknown_kinds_are_passed_over(story: list[RawEntry]) -> None:
    odd = RawEntry(0, story[-1].recorded_us + 1, "alarm", "", "not even JSON", "", "")
    assert problems([*story, odd]) == []


class Chained(Live):
    """A state driven by a case, and the entries that a gateway would have written."""

    def __init__(self, case: Case, threshold: str, changed: dict[str, object] | None) -> None:
        super().__init__(CASES.policy(threshold, case, changed))
        self.entries: list[RawEntry] = []

    def learn(self, facts: Sequence[AnyFact], now_us: int) -> Step:
        step = super().learn(facts, now_us)
        watched = {unit for outcome in step.outcomes for unit in outcome.record.watched}
        observed = [ObservedUntil(at_us=now_us, known_at_us=now_us, device=unit) for unit in sorted(watched)]
        for fact in (*step.facts, *observed):
            self._append(now_us, EntryKind.FACT, "", encode_fact(fact).decode())
        for outcome in step.outcomes:
            for change in outcome.changes:
                self._append(now_us, EntryKind.INCREMENT, outcome.record.token, _body("change", change))
            for charge in outcome.release.charges:
                self._append(now_us, EntryKind.CHARGE, outcome.record.token, _body("charge", charge))
        return step

    def _append(self, now_us: int, kind: EntryKind, token: str, body: str) -> None:
        self.entries.append(RawEntry(len(self.entries) + 1, now_us, kind, token, body, "", ""))


def _body(name: str, what: object) -> str:
    return msgspec.json.encode({name: what}).decode()


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.id)
def test_every_case_lived_through_can_be_derived_again(case: Case) -> None:
    for threshold in CASES.thresholds:
        for changed in (None, *(variant.policy for variant in case.variants)):
            live = Chained(case, threshold, changed)
            live.play(case.facts)
            assert problems(live.entries) == [], (threshold, changed)


def test_the_cases_have_something_to_derive() -> None:
    derived = 0
    for case in CASES.cases:
        live = Chained(case, "midpoint", None)
        live.play(case.facts)
        derived += len(live.changes)
    assert derived > 100


# --- files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "ledger.db"
    write_story(path)
    return path


def forge(path: Path, *statements: str) -> None:
    """Runs SQL past the triggers, which are put back."""
    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


INCREMENT = "(SELECT seq FROM entry WHERE kind = 'increment' ORDER BY seq LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (f"DELETE FROM outbox WHERE seq = {INCREMENT} AND event_id LIKE 'AAAAAAAA1%'", "is missing"),
        (f"DELETE FROM outbox WHERE seq = {INCREMENT}", "rows"),
        ("UPDATE payload SET payload = CAST(payload || ' ' AS BLOB) WHERE outbox_id = 9", "is not what was committed"),
        ("DELETE FROM payload WHERE outbox_id = 9", "may have to be sent, and its bytes are missing"),
        ("UPDATE destination SET topic = topic || 'x'", "is not what was committed"),
        ("UPDATE outbox SET destination = destination % 2 + 1 WHERE outbox_id = 9", "is not what was committed"),
        ("UPDATE outbox SET destination = 77 WHERE outbox_id = 9", "goes nowhere"),
        ("UPDATE outbox SET destination = NULL WHERE outbox_id = 9", "is not what was committed"),
        ("UPDATE outbox SET seq = 5000 WHERE outbox_id = 9", "belongs to no entry"),
        ("DELETE FROM waiting WHERE outbox_id = 9", "was never delivered and does not wait"),
        ("UPDATE checkpoint SET signature = zeroblob(64) WHERE seq = 68", "has no valid signature"),
        ("UPDATE checkpoint SET note = 'x' WHERE seq = 68", "cannot be read"),
        ("UPDATE origin SET epoch = 'other'", "is one of another ledger"),
    ],
)
def test_what_was_done_to_messages_and_checkpoints_is_found(path: Path, statement: str, text: str) -> None:
    forge(path, statement)
    assert text in "; ".join(problem.text for problem in verify(path).problems)


def test_a_message_that_was_altered_with_its_digest_contradicts_its_entry(path: Path) -> None:
    connection = sqlite3.connect(path)
    row = connection.execute(
        f"SELECT outbox_id, event_id, topic, payload, retain, content_type FROM message WHERE seq = {INCREMENT}"
    ).fetchone()
    connection.close()
    changed = OutboxRow(row[0], row[1], row[2], row[3].replace(b"midpoint", b"complete"), bool(row[4]), row[5])
    text = changed.payload.decode().replace("'", "''")
    forge(
        path,
        f"UPDATE payload SET payload = CAST('{text}' AS BLOB), digest = '{message_digest(changed)}' "
        f"WHERE outbox_id = {row[0]}",
    )
    assert [problem.text for problem in verify(path).problems] == [
        f"message {row[1]} says something else than its entry",
        f"message {row[1]} is not what its entry sealed",
    ]


def test_guards_that_were_taken_off_are_missed(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER entry_no_update")
    connection.close()
    assert any("entry_no_update" in problem.text for problem in verify(path).problems)


def assert_private_and_alone(copy: Path) -> None:
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in copy.parent.iterdir()) == ["copy.db", "state"]


async def test_a_ledger_is_verified_and_copied_beside_a_gateway_that_has_it_open(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with open_ledger(path, GATEWAY, lambda: Stamp(0, 0)) as ledger:
        assert verify(path).problems == ()
        report = backup(path, copy)
        assert (report.problems, report.head_hash) == ((), ledger.head.hash)
        with pytest.raises(TargetExists):
            backup(path, copy)
    assert_private_and_alone(copy)


def test_what_is_no_ledger_is_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database, and longer than a header of one would be" * 9)
    with pytest.raises(LedgerUnavailable):
        verify(other)
    with pytest.raises(LedgerUnavailable):
        backup(other, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    forge(path, "DELETE FROM origin")
    with pytest.raises(LedgerUnavailable, match="no gateway has begun"):
        verify(path)
