"""Explains a capture frame by frame: requests, answers, and the values of points by a profile. Pure.

Decoding a point may need another block (for instance a unit's choice of degF). So each answer is decoded together with
the latest answers to the unit's other requests, as in a poll.
"""

from collections.abc import Iterator
from statistics import median

import msgspec

from drivers.decode.decoder import Decoder, PointValue
from drivers.diagnose.capture import Capture
from drivers.diagnose.frames import Frame, Role, frames
from drivers.dialects.base import Query, Raw, RejectKind
from drivers.dialects.registry import dialect
from drivers.direction import Direction
from drivers.profile.types import DeviceProfile

GAP_S = 10.0  # a silence that is reported

_REJECTS = {
    RejectKind.NOISE: "noise: bytes that begin no frame",
    RejectKind.BAD_CHECK: "damaged: check, length or text cannot be right",
    RejectKind.WRONG_UNIT: "an answer of another unit",
    RejectKind.WRONG_FUNCTION: "an answer to another request",
    RejectKind.WRONG_COUNT: "an answer of another length than was asked for",
    RejectKind.WRONG_TRANSACTION: "an answer to another transaction",
    RejectKind.ECHO: "echo: our own request, heard on the line",
}


class DissectedFrame(msgspec.Struct, frozen=True):
    """One explained frame. `problem` is None if it has none."""

    t_s: float
    direction: Direction
    hex: str
    role: Role
    what: str
    unit_id: int | None
    block: str | None  # the profile's block that it requests or answers
    after_s: float | None  # from the request to this frame's end
    silence_s: float  # before it
    problem: str | None
    points: tuple[PointValue, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """Counts and times (in seconds) of a capture."""

    length_s: float
    requests: int
    answers: int
    unanswered: int
    problems: dict[str, int]
    answer_median_s: float | None
    answer_longest_s: float | None
    longest_silence_s: float


def dissected(capture: Capture, profile: DeviceProfile) -> tuple[DissectedFrame, ...]:
    """Every frame of the capture, explained."""
    return tuple(_dissected(frames(capture, dialect(profile.dialect)), profile))


def summary(dissection: tuple[DissectedFrame, ...]) -> Summary:
    """The summary of explained frames."""
    requests = sum(each.role is Role.REQUEST for each in dissection)
    times = [each.after_s for each in dissection if each.role in _ANSWERS and each.after_s is not None]
    problems: dict[str, int] = {}
    for each in dissection:
        if each.problem is not None:
            problems[each.problem] = problems.get(each.problem, 0) + 1
    return Summary(
        length_s=dissection[-1].t_s - dissection[0].t_s if dissection else 0.0,
        requests=requests,
        answers=len(times),
        unanswered=requests - len(times),
        problems=problems,
        answer_median_s=median(times) if times else None,
        answer_longest_s=max(times, default=None),
        longest_silence_s=max((each.silence_s for each in dissection), default=0.0),
    )


_ANSWERS = (Role.REPLY, Role.EXCEPTION)


def block_of(profile: DeviceProfile, query: Query) -> str | None:
    """The profile's block that the query reads, of any unit."""
    return next((block.name for block in profile.blocks if block.query(query.unit_id) == query), None)


def _dissected(cut: tuple[Frame, ...], profile: DeviceProfile) -> Iterator[DissectedFrame]:
    decoder = Decoder(profile)
    raws = _first_answers(cut, profile)
    ended_s = 0.0
    for frame in cut:
        query = frame.query
        block = None if query is None else block_of(profile, query)
        points: tuple[PointValue, ...] = ()
        if query is not None and block is not None and frame.raw is not None:
            known = raws.setdefault(query.unit_id, {})
            known[block] = frame.raw
            points = _points_of(decoder, profile, block, known)
        yield DissectedFrame(
            t_s=frame.t_s,
            direction=Direction.TX if frame.role is Role.REQUEST else frame.direction,
            hex=frame.data.hex(),
            role=frame.role,
            what=_what(frame),
            unit_id=None if query is None else query.unit_id,
            block=block,
            after_s=frame.after_s,
            silence_s=max(0.0, frame.t_s - ended_s),
            problem=_problem(frame, profile),
            points=points,
        )
        ended_s = frame.ends_s


def _first_answers(cut: tuple[Frame, ...], profile: DeviceProfile) -> dict[int | None, dict[str, Raw]]:
    """The first answer of each unit to each block, needed to decode a first poll whose later blocks are yet to come."""
    first: dict[int | None, dict[str, Raw]] = {}
    for frame in cut:
        block = None if frame.query is None else block_of(profile, frame.query)
        if frame.query is not None and block is not None and frame.raw is not None:
            first.setdefault(frame.query.unit_id, {}).setdefault(block, frame.raw)
    return first


def _points_of(decoder: Decoder, profile: DeviceProfile, block: str, raws: dict[str, Raw]) -> tuple[PointValue, ...]:
    names = {point.name for point in profile.points if point.block == block}
    return tuple(point for point in decoder.points(raws) if point.name in names)


def _what(frame: Frame) -> str:
    match frame.role:
        case Role.REQUEST if frame.query is not None:
            return f"asks {asked_text(frame.query)}"
        case Role.REPLY:
            return f"answers {_raw_text(frame.raw)}"
        case Role.EXCEPTION:
            return f"refuses: exception {frame.code or 0:02X}"
        case Role.REJECT if frame.kind is not None:
            return _REJECTS[frame.kind]
        case Role.UNFINISHED:
            return "stops midway" if frame.query is not None else "is no whole frame"
        case _:
            return "came unasked" if frame.direction is Direction.RX else "is no request of this language"


def _problem(frame: Frame, profile: DeviceProfile) -> str | None:
    match frame.role:
        case Role.REQUEST:
            return None
        case Role.REPLY | Role.EXCEPTION if (frame.after_s or 0.0) > profile.timing.timeout_s:
            return "later than the profile's timeout_ms"
        case Role.REPLY:
            return None
        case Role.EXCEPTION:
            return f"exception {frame.code or 0:02X}"
        case Role.REJECT if frame.kind is not None:
            return frame.kind
        case role:
            return role


def asked_text(query: Query) -> str:
    """The query in a manual's notation, with its unit id."""
    return query.description if query.unit_id is None else f"unit {query.unit_id} for {query.description}"


def _raw_text(raw: Raw | None) -> str:
    match raw:
        case str():
            return repr(raw)
        case None:
            return "nothing"
        case _:
            return " ".join(f"{word:04X}" if word > 0xFF else f"{word:02X}" for word in raw)
