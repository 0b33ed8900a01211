"""The journal gives back what it was given, in order; a torn line is left out, and a full one takes no message."""

from base64 import b64encode
from pathlib import Path

import pytest

from drivers.reading import CapReading, FaultKind, Measurement, ReadFault, Reading, RunState, Stamp
from gateway.ledger.errors import LedgerLocked
from gateway.recording import journal as journal_module
from gateway.recording.journal import Journal, JournalFull
from tests.support.ledger_keys import FIRST, SECOND, write_keys

READING = Reading(
    "cap-01",
    Stamp(1, 2, "boot"),
    (CapReading(1, RunState.RUNNING, True, True, {"coolant": Measurement(-4.0, "Cel")}, treatment=3, elapsed_s=60),),
    {},
    ("coolant-low",),
    "SN-1",
)
FAULT = ReadFault("cap-02", Stamp(3, 4, "boot"), FaultKind.TIMEOUT, "no answer")


NOW = Stamp(1_000_000, 500, "another boot")


def test_what_was_kept_is_given_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add_answers([READING])
    journal.add_answers([FAULT, READING])
    journal.add_message("in/json", b'{"a": 1}')
    journal.add_message("in/hl7", b"\xff\x00MSH")
    again = Journal(tmp_path)
    assert list(again.answers(NOW)) == [READING, FAULT, READING]
    assert list(again.messages()) == [("in/json", b'{"a": 1}'), ("in/hl7", b"\xff\x00MSH")]
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
    again.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add_message("in/json", b"one")
    journal.add_message("in/json", b"two")
    file = tmp_path / "kept-messages.jsonl"
    file.write_bytes(file.read_bytes()[:-5])
    assert list(journal.messages()) == [("in/json", b"one")]


def test_of_answers_the_oldest_go_and_of_messages_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MOST_BYTES", 4000)
    journal = Journal(tmp_path)
    for at in range(100):
        journal.add_answers([ReadFault("cap-02", Stamp(at, at), FaultKind.TIMEOUT, "")])
    kept = [each.at.utc_us for each in journal.answers(NOW) if isinstance(each, ReadFault)]
    assert kept == list(range(kept[0], 100))
    assert 0 < kept[0] < 90
    messages = tmp_path / "kept-messages.jsonl"
    while not messages.exists() or messages.stat().st_size <= 4000:
        journal.add_message("in/json", b"x" * 100)
    with pytest.raises(JournalFull):
        journal.add_message("in/json", b"x" * 100)
    assert len(list(journal.messages())) == len(messages.read_bytes().splitlines())


def test_with_a_key_messages_are_encrypted_and_without_it_they_wait(tmp_path: Path) -> None:
    keys = write_keys(tmp_path, FIRST)
    Journal(tmp_path).add_message("in/json", b"V-1 before there was a key")
    Journal(tmp_path, keys).add_message("in/hl7", b"V-2")
    kept = (tmp_path / "kept-messages.jsonl").read_bytes()
    assert b64encode(b"V-1") in kept
    assert b64encode(b"V-2") not in kept
    write_keys(tmp_path, SECOND, FIRST)
    assert list(Journal(tmp_path, keys).messages()) == [("in/json", b"V-1 before there was a key"), ("in/hl7", b"V-2")]
    write_keys(tmp_path, SECOND)
    with pytest.raises(LedgerLocked, match=FIRST.id):
        list(Journal(tmp_path, keys).messages())
    keys.unlink()
    with pytest.raises(LedgerLocked, match="cannot be read"):
        Journal(tmp_path, keys).add_message("in/hl7", b"V-3")


def test_a_message_that_was_moved_to_another_topic_is_left_out(tmp_path: Path) -> None:
    journal, file = Journal(tmp_path, write_keys(tmp_path, FIRST)), tmp_path / "kept-messages.jsonl"
    for topic in ("in/hl7", "in/json"):
        journal.add_message(topic, topic.encode())
    file.write_bytes(file.read_bytes().replace(b"in/hl7", b"in/any"))
    assert list(journal.messages()) == [("in/json", b"in/json")]
