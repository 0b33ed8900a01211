"""Converts captured polls into a profile's `[[golden]]` tables: requests, replies and expected values. Pure.

Golden frames have the profile's default unit id, its dialect, and transaction 1. A captured frame that has these is
used unchanged; any other is re-encoded, which the table's source states.
"""

from collections.abc import Iterator, Mapping

import msgspec

from drivers.decode.decoder import Decoded, Decoder, PointValue
from drivers.diagnose.capture import Capture
from drivers.diagnose.dissect import block_of
from drivers.diagnose.frames import Frame, Role, frames
from drivers.dialects.base import Query, Raw, Request
from drivers.dialects.registry import dialect
from drivers.golden.polls import TRANSACTION
from drivers.profile.types import DeviceProfile
from drivers.reading import Quality

_DIGITS = 6  # significant digits of a 32-bit float


class Poll(msgspec.Struct, frozen=True):
    """One complete poll: the answer to every block of the profile."""

    at_s: float
    unit_id: int | None
    frames: dict[str, tuple[bytes, bytes]]  # request and reply as captured
    raws: dict[str, Raw]


def golden_tables(capture: Capture, profile: DeviceProfile) -> str:
    """TOML to append to the profile's file: one table for each poll that shows a new state; "" for none.

    `profile` has the dialect of the capture; frames are written in it.
    """
    name = capture.header.dialect or profile.dialect
    decoder = Decoder(profile)
    polls = [(poll, decoder.decode(poll.raws)) for poll in _polls(frames(capture, dialect(name)), profile)]
    return "\n".join(
        _table(capture, profile, poll, decoded, decoder.points(poll.raws)) for poll, decoded in _new(polls)
    )


def _polls(cut: tuple[Frame, ...], profile: DeviceProfile) -> Iterator[Poll]:
    """The complete polls: every block answered without a miss in between."""
    asked: Frame | None = None
    gathered: dict[int | None, tuple[dict[str, tuple[bytes, bytes]], dict[str, Raw]]] = {}
    for frame in cut:
        if frame.role is Role.REQUEST:
            asked = frame
        if frame.role is not Role.REPLY or asked is None or frame.query is None or frame.raw is None:
            continue
        block = block_of(profile, frame.query)
        if block is None:
            continue
        unit_id = frame.query.unit_id
        pairs, raws = gathered.setdefault(unit_id, ({}, {}))
        pairs[block], raws[block] = (asked.data, frame.data), frame.raw
        if len(raws) == len(profile.blocks):
            yield Poll(asked.t_s, unit_id, pairs, raws)
            del gathered[unit_id]


def _new(polls: list[tuple[Poll, Decoded]]) -> list[tuple[Poll, Decoded]]:
    """The first poll of each run state, alarm and sign of temperature."""
    seen: dict[object, tuple[Poll, Decoded]] = {}
    for poll, decoded in polls:
        below = any((each.value or 0.0) < 0 for each in decoded.measurements.values() if each.unit == "Cel")
        states = tuple((cap.run_state, cap.circulating, cap.connected) for cap in decoded.caps)
        seen.setdefault((states, decoded.alarms, below), (poll, decoded))
    return list(seen.values())


def _table(
    capture: Capture, profile: DeviceProfile, poll: Poll, decoded: Decoded, points: tuple[PointValue, ...]
) -> str:
    own_id = profile.address.default if profile.address else None
    anew = False
    exchanges: list[str] = []
    for block in profile.blocks:
        query = block.query(own_id)
        tx, rx = _as_golden(profile, query, poll, block.name)
        anew = anew or (tx, rx) != poll.frames[block.name]
        exchanges.append(f"[[golden.exchanges]]\ntx = {_text(profile, tx)}\nrx = {_text(profile, rx)}\n")
    header = capture.header
    source = f"captured {header.started_at[:10]} on {header.line}, {poll.at_s:.1f} s in"
    if anew:
        unit = "" if poll.unit_id in (None, own_id) else f"; unit id {poll.unit_id} written as {own_id}"
        source += f", framed anew{unit}"
    return "\n".join([f"[[golden]]\nsource = {_quoted(source)}\n", *exchanges, _expected(profile, decoded, points)])


def _as_golden(profile: DeviceProfile, query: Query, poll: Poll, block: str) -> tuple[bytes, bytes]:
    language = dialect(profile.dialect)
    tx, rx = poll.frames[block]
    own = language.encode(query, TRANSACTION)
    if own == tx:
        return tx, rx
    return own, language.encode_reply(Request(len(own), query, TRANSACTION), poll.raws[block])


def _expected(profile: DeviceProfile, decoded: Decoded, points: tuple[PointValue, ...]) -> str:
    alarms = ", ".join(map(_quoted, decoded.alarms))
    lines = ["[golden.expect]", *_values(points, None), f"alarms = [{alarms}]"]
    if decoded.serial_number is not None:
        lines.append(f"serial_number = {_quoted(decoded.serial_number)}")
    for cap in decoded.caps:
        lines += ["", "[[golden.expect.caps]]", f'run_state = "{cap.run_state}"']
        lines.append(f"circulating = {_ternary(cap.circulating)}")
        if profile.connected:
            lines.append(f"connected = {_ternary(cap.connected)}")
        lines += _values(points, cap.cap)
    return "\n".join(lines) + "\n"


def _values(points: tuple[PointValue, ...], cap: int | None) -> list[str]:
    own = [point for point in points if point.cap == cap]
    good = [point for point in own if point.quality is Quality.GOOD]
    values = {point.name: _number(point.value) for point in good if isinstance(point.value, int | float)}
    reasons = {point.name: str(point.reason) for point in own if point.value is None and point.reason is not None}
    return [f"{key} = {_inline(each)}" for key, each in (("points", values), ("bad", reasons)) if each]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{_DIGITS}g}"


def _inline(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {_quoted(value)}" for name, value in values.items()) + " }"


def _ternary(value: bool | None) -> str:
    return '"unknown"' if value is None else str(value).lower()


def _text(profile: DeviceProfile, data: bytes) -> str:
    return _quoted(data.hex(" ").upper() if dialect(profile.dialect).is_binary else data.decode("ascii"))


def _quoted(text: str) -> str:
    """The text as a TOML basic string; JSON's escapes are a subset of TOML's."""
    return msgspec.json.encode(text).decode()
