"""What `watch` and `demo` draw: every state by colour, word and shape, local times, words of others as words."""

import io
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from drivers.reading import RunState
from gateway.cli.board import Board
from gateway.cli.board_view import ASCII, MOST_SESSIONS, UNICODE, Signs, drawn
from gateway.runtime.logs import escaped
from gateway.session.assessment import Phase
from tests.support.hostile_texts import TEXTS

MESSAGES = Path(__file__).parents[3] / "data" / "messages"
NEW_YORK = ZoneInfo("America/New_York")
HOSTILE = "[bold red]x[/][/nonsense]\x1b[2J\u202e:smile:"


def message(name: str, **fields: object) -> bytes:
    event = cast(dict[str, Any], json.loads((MESSAGES / f"out_{name}.json").read_bytes()))
    event["data"] |= fields
    return json.dumps(event).encode()


def board(*messages: bytes) -> Board:
    made = Board()
    for each in messages:
        made.take("t", each)
    return made


def shown(board: Board, now: str = "2026-03-10T16:40:00Z", signs: Signs = UNICODE, *, colours: bool = False) -> str:
    system = "standard" if colours else None
    console = Console(width=240, file=io.StringIO(), force_terminal=colours, color_system=system)
    now_us = round(datetime.fromisoformat(now).timestamp() * 1_000_000)
    with console.capture() as captured:
        console.print(drawn(board, now_us, NEW_YORK, signs))
    return captured.get()


def line_with(text: str, words: str) -> str:
    (line,) = [line for line in text.splitlines() if words in line]
    return line


def test_units_show_link_run_state_temperatures_and_the_age_of_the_reading() -> None:
    text = shown(board(message("unit_status_up"), message("temperature")), now="2026-03-10T15:05:07Z")
    line = line_with(text, "c12")
    assert "● up" in line
    assert "-3.8" in line
    assert "6 s ago" in line
    assert "coolant-low" in text


@pytest.mark.parametrize(
    ("now", "age"),
    [("15:06:05", "64 s ago"), ("15:09:00", "3 min ago"), ("18:05:01", "3 h ago"), ("15:05:00", "0 s ago")],
)
def test_an_old_reading_says_how_old_it_is(now: str, age: str) -> None:
    assert age in shown(board(message("unit_status_up"), message("temperature")), now=f"2026-03-10T{now}Z")


def test_a_link_that_is_down_looks_down_and_shows_no_temperature_as_if_it_were_read() -> None:
    lost = board(message("unit_status_up"), message("temperature"), message("unit_status_down"))
    line = line_with(shown(lost), "c12")
    assert "✖ DOWN: timeout" in line
    assert "-3.8" not in line
    assert "79 min ago" in line
    assert "\x1b[1;31m✖ DOWN: timeout" in shown(lost, colours=True)


@pytest.mark.parametrize("signs", [UNICODE, ASCII])
def test_every_state_has_its_own_look(signs: Signs) -> None:
    def look(text: str, word: str) -> str:
        start = text.index(f" {word}")
        return text[text.rindex("\x1b[", 0, start) : start]

    def cap(state: RunState) -> bytes:
        return message("unit_status_up", caps=[{"cap": 1, "run_state": state, "connected": True, "chair": "c1"}])

    looks = [look(shown(board(cap(state)), signs=signs, colours=True), state) for state in RunState]
    assert len(set(looks)) == len(RunState)
    phases = [shown(board(message("session_head", phase=phase)), signs=signs) for phase in Phase]
    for phase, text in zip(Phase, phases, strict=True):
        assert any(f"{sign} {phase}" in text for sign in signs.shapes.values())


def test_what_began_before_is_shown_by_its_head_with_the_time_to_the_next_unit() -> None:
    text = shown(board(message("session_head", attained=2)))
    line = line_with(text, "9RX2M7KQ4")
    assert "cap-07/1" in line
    assert "03-10 09:00" in line, "local time"
    assert "● post-infusion" in line
    assert "in 6:00" in line
    assert " 2 " in line


@pytest.mark.parametrize(("now", "left"), [("16:45:59", "in 0:01"), ("16:46:00", "due"), ("16:50:00", "due")])
def test_the_countdown_ends_with_due(now: str, left: str) -> None:
    assert left in line_with(shown(board(message("session_head")), now=f"2026-03-10T{now}Z"), "9RX2M7KQ4")


def test_without_time_that_counts_nothing_is_counted_down() -> None:
    paused = message("session_head", phase="paused", next_at=None)
    assert re.search(r"in \d|due", line_with(shown(board(message("session_head"), paused)), "9RX2M7KQ4")) is None


def test_times_are_local_and_the_zone_is_named() -> None:
    text = shown(board(message("session_opened"), message("increment_emit")))
    assert text.startswith("2026-03-10 12:40:00 EDT (UTC-04:00)")
    emitted = json.loads(message("increment_emit"))["data"]
    local = datetime.fromisoformat(emitted["attained_at"]).astimezone(NEW_YORK)
    assert f"{emitted['index']} {local:%H:%M}" in text


def test_a_gateway_that_is_offline_looks_offline() -> None:
    assert "✖ not heard of yet" in shown(board())
    assert "● online" in shown(board(message("gateway_birth")))


def test_words_of_others_are_shown_as_words() -> None:
    hostile = board(
        message("unit_status_up", unit=HOSTILE, fault=HOSTILE, alarms=[HOSTILE], profile=HOSTILE),
        message("session_head", unit=HOSTILE),
        message("session_opened", flags=[HOSTILE]),
        message("gateway_birth", reason=HOSTILE),
    )
    text = shown(hostile)
    assert text.count("[bold red]x[/][/nonsense]\\x1b[2J\\u202e:smile:") >= 4
    assert [character for character in text if not character.isprintable() and character != "\n"] == []


def test_whatever_others_write_is_letters_on_the_terminal() -> None:
    text = shown(board(*(message("unit_status_up", unit=each, fault=each, alarms=[each]) for each in TEXTS)))
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    for each in TEXTS:
        if len(each) < 20 and each.strip() == each:  # longer ones are wrapped
            assert escaped(each) in text


@pytest.mark.parametrize("instant", ["soon", "", "0001-01-01T00:00:00Z", "2026-03-10T12:00:00"])
def test_what_is_no_instant_is_left_out(instant: str) -> None:
    hostile = board(
        message("unit_status_up", observed_at=instant),
        message("session_head", started_at=instant, next_at=instant),
        message("increment_emit", attained_at=instant),
    )
    text = shown(hostile)
    assert "never" in line_with(text, "c12")
    assert "9RX2M7KQ4" in text


def test_a_terminal_without_letters_gets_what_it_can_show() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(width=240, file=file)
    assert console.options.ascii_only
    console.print(drawn(board(message("unit_status_up"), message("session_head")), 0, NEW_YORK, ASCII))
    file.flush()


def test_of_many_sessions_the_latest_are_drawn() -> None:
    names = [f"AAAAAAA{number:02d}" for number in range(MOST_SESSIONS + 5)]
    heads = [
        message("session_head", session=name, started_at=f"2026-03-10T13:{number:02d}:00.000Z")
        for number, name in enumerate(names)
    ]
    text = shown(board(*heads))
    assert [name for name in names if name in text] == names[5:]
