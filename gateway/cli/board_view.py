"""Draws a board for people: every state by colour, word and shape, times local, what others wrote as plain text."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import tzinfo
from enum import Enum, auto

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from drivers.reading import RunState
from gateway.cli.board import Board, CapRow, SessionRow, UnitRow
from gateway.messages.instants import InstantError, read_instant
from gateway.runtime.logs import escaped
from gateway.session.assessment import Phase
from gateway.session.local_time import local
from gateway.session.spans import US_PER_S

MOST_SESSIONS = 30
_OLD_S, _GONE_S = 30, 120  # ages at which a reading is doubtful, and worthless


class Shape(Enum):
    """What a state's shape says before its word is read."""

    ON = auto()
    HELD = auto()
    OFF = auto()
    WRONG = auto()
    UNKNOWN = auto()


class Signs(msgspec.Struct, frozen=True):
    """The shapes of states, as far as the terminal has letters for them."""

    shapes: Mapping[Shape, str]
    degree: str


UNICODE = Signs({Shape.ON: "●", Shape.HELD: "‖", Shape.OFF: "○", Shape.WRONG: "✖", Shape.UNKNOWN: "?"}, "°")
ASCII = Signs({Shape.ON: "*", Shape.HELD: "=", Shape.OFF: "o", Shape.WRONG: "x", Shape.UNKNOWN: "?"}, "")

Look = tuple[Shape, str]  # a shape and rich's style
_UNKNOWN: Look = (Shape.UNKNOWN, "magenta")
_RUN_STATES: dict[str, Look] = {
    RunState.RUNNING: (Shape.ON, "green"),
    RunState.READY: (Shape.ON, "bold green"),
    RunState.PAUSED: (Shape.HELD, "yellow"),
    RunState.STOPPED: (Shape.OFF, "dim"),
    RunState.FAULT: (Shape.WRONG, "bold red"),
    RunState.UNKNOWN: _UNKNOWN,
}
_PHASES: dict[str, Look] = {
    Phase.WAITING: (Shape.OFF, "dim"),
    Phase.PRE_COOLING: (Shape.ON, "cyan"),
    Phase.INFUSION: (Shape.ON, "blue"),
    Phase.POST_INFUSION: (Shape.ON, "bold green"),
    Phase.PAUSED: (Shape.HELD, "bold yellow"),
    Phase.OFFLINE: (Shape.WRONG, "bold red"),
    Phase.ENDED: (Shape.OFF, "dim"),
    Phase.FINALIZED: (Shape.OFF, "dim"),
}
_LINKS: dict[str, Look] = {"up": (Shape.ON, "green"), "down": (Shape.WRONG, "bold red")}


def drawn(board: Board, now_us: int, zone: tzinfo, signs: Signs) -> Group:
    """The tables of units and sessions, for rich."""
    moment = local(now_us, zone)
    heading = Text(f"{moment:%Y-%m-%d %H:%M:%S %Z} (UTC{moment.isoformat()[-6:]})  gateway ")
    online = board.gateway.startswith("online")
    heading.append(_state(signs, _LINKS["up" if online else "down"], board.gateway))
    return Group(heading, _units(board, now_us, signs), _sessions(board, now_us, zone, signs))


def _units(board: Board, now_us: int, signs: Signs) -> Table:
    degrees = f"{signs.degree}C"
    table = Table(title="units", title_justify="left", expand=True)
    for heading in (
        "unit",
        "cap",
        "chair",
        "link",
        "run state",
        f"cap {degrees}",
        f"coolant {degrees}",
        "read",
        "alarms",
    ):
        table.add_column(heading, no_wrap=heading != "alarms")
    for unit in sorted(board.units.values(), key=lambda each: each.unit):
        for cap in sorted(unit.caps.values(), key=lambda each: each.cap):
            table.add_row(*_unit(unit, cap, board.observed.get(unit.unit), now_us, signs))
    return table


def _unit(unit: UnitRow, cap: CapRow, observed: str | None, now_us: int, signs: Signs) -> Iterator[Text]:
    up = unit.link == "up"
    yield _plain(unit.unit)
    yield _plain(f"{cap.cap}")
    yield _plain(cap.chair or "")
    fault = f": {unit.fault}" if unit.fault else ""
    yield _state(signs, _LINKS.get(unit.link, _UNKNOWN), (unit.link if up else unit.link.upper()) + fault)
    off = ", cap off" if cap.connected is False else ""
    yield _state(signs, _RUN_STATES.get(cap.run_state, _UNKNOWN), cap.run_state + off) if up else _plain("-")
    for name in ("cap_front", "coolant_supply"):
        value = unit.temperatures.get(cap.cap, {}).get(name) if up else None
        yield _plain("-" if value is None else f"{value:.1f}")
    yield _age(observed, now_us)
    yield Text(escaped(", ".join(unit.alarms)), "bold red")


def _age(observed: str | None, now_us: int) -> Text:
    observed_us = _us(observed)
    if observed_us is None:
        return Text("never", "bold red")
    age_s = max(0, now_us - observed_us) // US_PER_S
    return Text(f"{_length(age_s)} ago", "" if age_s <= _OLD_S else "yellow" if age_s <= _GONE_S else "bold red")


def _sessions(board: Board, now_us: int, zone: tzinfo, signs: Signs) -> Table:
    table = Table(title="sessions", title_justify="left", expand=True)
    for heading in ("session", "unit/cap", "since", "phase", "units", "next unit", "attained at", "flags"):
        table.add_column(heading)
    latest = sorted(board.sessions.values(), key=lambda each: each.started_at or "")[-MOST_SESSIONS:]
    for session in latest:
        table.add_row(*_session(session, now_us, zone, signs))
    return table


def _session(session: SessionRow, now_us: int, zone: tzinfo, signs: Signs) -> Iterator[Text]:
    yield _plain(session.session)
    yield _plain(f"{session.unit}/{session.cap}")
    started_us = _us(session.started_at)
    yield _plain("" if started_us is None else f"{local(started_us, zone):%m-%d %H:%M}")
    yield _state(signs, _PHASES.get(session.phase, _UNKNOWN), session.phase or "not told")
    yield _plain(f"{session.attained}")
    yield _countdown(session.next_at, now_us)
    attained = (
        f"{row.index} {local(attained_us, zone):%H:%M}{'' if row.revision == 'A' else f' {row.revision}'}"
        for row in session.valid_increments()
        if (attained_us := _us(row.attained_at)) is not None
    )
    yield _plain("  ".join(attained))
    yield _plain(", ".join(session.flags))


def _countdown(next_at: str | None, now_us: int) -> Text:
    next_us = _us(next_at)
    if next_us is None:
        return Text("")
    lacks_s = -(-(next_us - now_us) // US_PER_S)
    return Text(f"in {lacks_s // 60}:{lacks_s % 60:02d}" if lacks_s > 0 else "due", "bold")


def _state(signs: Signs, look: Look, words: str) -> Text:
    shape, style = look
    return Text(f"{signs.shapes[shape]} {escaped(words)}", style)


def _plain(words: str) -> Text:
    """What others wrote, as it is: no markup and no escape sequence works in it."""
    return Text(escaped(words))


def _us(instant: str | None) -> int | None:
    """None also for what is no instant: others may have written it."""
    with suppress(InstantError):
        return None if instant is None else read_instant(instant, 0).at_us
    return None


def _length(length_s: int) -> str:
    for most_s, unit_s, name in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if length_s < most_s:
            return f"{length_s // unit_s} {name}"
    return f"{length_s // 86_400} days"
