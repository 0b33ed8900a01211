"""Fills the board of `capgate watch` by the gateway's socket, for who has no certificate of the broker's."""

import asyncio
from pathlib import Path

import msgspec

from gateway.cli.board import Board, CapRow, IncrementRow, SessionRow, UnitRow
from gateway.cli.control_client import exchange
from gateway.control.answers import RefusalAnswer, SessionsAnswer, SessionView, read_answer
from gateway.control.board import BoardAnswer, ChairView
from gateway.control.equipment import EquipmentAnswer, UnitView

PERIOD_S = 1.0


async def follow_socket(path: Path, board: Board) -> None:
    """Ask each second, until cancelled; a gateway that begins anew is waited for."""
    while True:  # ends with the task
        try:
            await asyncio.to_thread(take_all, path, board)
        except (OSError, msgspec.DecodeError):
            board.gateway = "does not answer"
        await asyncio.sleep(PERIOD_S)


def take_all(path: Path, board: Board) -> None:
    """The board as it is now. Blocks; a gateway that counts nothing says so in place of its state.

    Raises OSError, and msgspec.DecodeError if it ended before it answered.
    """
    shown = read_answer(exchange(path, b'{"request":"board"}'), BoardAnswer)
    if isinstance(shown, RefusalAnswer):
        board.gateway = shown.error
        return
    board.gateway, board.time = f"online, {shown.mode}", shown.now
    machines = read_answer(exchange(path, b'{"request":"equipment"}'), EquipmentAnswer)
    sessions = read_answer(exchange(path, b'{"request":"sessions"}'), SessionsAnswer)
    if isinstance(machines, EquipmentAnswer):
        board.units = {unit.unit: _unit(unit, shown.chairs) for unit in machines.units}
        board.observed = {unit.unit: unit.last_seen for unit in machines.units if unit.last_seen}
    if isinstance(sessions, SessionsAnswer):
        next_at = {each.session.token: each.session.next_at for each in shown.chairs if each.session}
        board.sessions = {each.token: _session(each, next_at.get(each.token)) for each in sessions.sessions}


def _unit(unit: UnitView, chairs: tuple[ChairView, ...]) -> UnitRow:
    mine = [each for each in chairs if each.unit == unit.unit]
    return UnitRow(
        unit.unit,
        unit.profile,
        link="unknown" if unit.last_seen is None and unit.fault is None else "down" if unit.fault else "up",
        fault=unit.fault,
        alarms=list(dict.fromkeys(alarm for each in mine for alarm in each.alarms)),
        caps={each.cap: CapRow(each.cap, each.state, each.connected, each.chair) for each in mine},
        temperatures={each.cap: {"cap_front": each.cap_c, "coolant_supply": each.coolant_c} for each in mine},
    )


def _session(session: SessionView, next_at: str | None) -> SessionRow:
    increments = [
        IncrementRow(each.increment, each.increment[-1], number, "emit", each.attained_at, None)
        for number, each in enumerate(session.increments, start=1)
    ]
    return SessionRow(
        session.token,
        session.unit,
        session.cap,
        session.phase,
        session.started_at,
        session.stopped_at,
        list(session.flags),
        len(increments),
        next_at,
        {each.increment: each for each in increments},
    )
