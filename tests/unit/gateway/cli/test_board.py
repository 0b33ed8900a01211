"""The board of `watch` and `demo`: the state collected from a gateway's messages."""

import json
from pathlib import Path
from typing import Any, cast

from gateway.cli.board import Board

MESSAGES = Path(__file__).parents[3] / "data" / "messages"


def sample(name: str) -> bytes:
    return (MESSAGES / f"out_{name}.json").read_bytes()


def changed(name: str, **fields: object) -> bytes:
    event = cast(dict[str, Any], json.loads(sample(name)))
    event["data"] |= fields
    return json.dumps(event).encode()


def test_an_increment_is_shown_as_it_stands_and_vanishes_when_retracted() -> None:
    board = Board()
    board.take("t/session", sample("session_opened"))
    board.take("t/increment", sample("increment_emit"))
    (session,) = board.sessions.values()
    assert len(session.valid_increments()) == 1
    key = session.valid_increments()[0].increment
    board.take("t/increment", changed("increment_emit", op="retract", attained_at=None))
    assert key not in {row.increment for row in session.valid_increments()}


def test_what_is_no_message_of_a_gateway_is_counted_and_changes_nothing() -> None:
    board = Board()
    for payload in (b"", b"\xff", b"[]", b'{"type": 7}', b'{"type":"other.v1","time":"","data":{}}'):
        board.take("t/other", payload)
    assert board.topics == {"t/other": 5}
    assert board.as_json() == {"units": [], "sessions": [], "topics": {"t/other": 5}}


def test_the_json_has_every_field_of_a_unit_and_a_session() -> None:
    board = Board()
    for name in ("unit_status_up", "temperature", "temperature", "session_opened", "increment_emit"):
        board.take("t", sample(name))
    shown = cast(dict[str, list[dict[str, Any]]], board.as_json())
    (unit,), (session,) = shown["units"], shown["sessions"]
    assert unit["readings"] == 2
    assert list(unit) == [
        "unit", "profile", "link", "fault", "serial_number", "alarms", "readings", "caps", "temperatures",
    ]  # fmt: skip
    assert list(session) == [
        "session", "unit", "cap", "phase", "started_at", "cooling_stopped_at", "flags", "attained", "next_at",
        "increments",
    ]  # fmt: skip
