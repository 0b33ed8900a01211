"""Replays a profile's golden polls: compares requests, decoded values and derived states with the recorded ones.

The frames are in the dialect of the file and for the profile's default unit id, regardless of a site's overrides.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

from drivers.decode.decoder import Decoded, Decoder, PointValue
from drivers.dialects.base import Exceptional, Query, Raw, Reject, Reply
from drivers.dialects.registry import dialect
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.load import load_profile
from drivers.profile.shape import ExpectedCap, ExpectedTable, Golden
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Quality, Reason
from drivers.toml.document import Problem, each_once, load_toml_lines, read_toml
from drivers.toml.lines import Path as KeyPath

TRANSACTION = 1  # of golden frames in Modbus TCP

_Finding = tuple[KeyPath, str]


def golden_problems(path: Path) -> tuple[Problem, ...]:
    """The differences between a profile's golden polls and their replay, in the order of their lines.

    Raises TomlProblems if the file is not a profile.
    """
    profile = load_profile(path)
    loaded = load_toml_lines(path, SHAPES[str(read_toml(path).data["dialect"])])
    problems = [
        loaded.problem(("golden", index, *place), message)
        for index, golden in enumerate(loaded.model.golden)
        for place, message in _findings(profile, golden)
    ]
    return each_once(problems, _mistake)


def _mistake(problem: Problem) -> str:
    """What is one mistake: a point that is read otherwise, in however many polls; else what the message says."""
    return problem.path.rpartition(".")[2] if ".expect." in problem.path else problem.message


def _findings(profile: DeviceProfile, golden: Golden) -> Iterator[_Finding]:
    raws: dict[str, Raw] = {}
    codes: set[int] = set()
    requests = _requests(profile)
    for index, exchange in enumerate(golden.exchanges):
        asked = requests.get(_bytes(profile, exchange.tx))
        if asked is None:
            accepted = ", ".join(_text(profile, frame) for frame in requests)
            yield ("exchanges", index, "tx"), f"no request of this profile, accepted: {accepted}"
            return
        name, query = asked
        frame = _bytes(profile, exchange.rx)
        match dialect(profile.dialect).scan(frame, query, TRANSACTION):
            case Reply(consumed, raw) if consumed == len(frame):
                raws[name] = raw
            case Exceptional(_, code):
                codes.add(code)
            case verdict:
                why = verdict.kind if isinstance(verdict, Reject) else "not one whole reply"
                yield (
                    ("exchanges", index, "rx"),
                    f"{why}, accepted: a reply to this request, its length and check right",
                )
                return
    if codes != ({golden.expect.exception} if golden.expect.exception else set()):
        yield ("expect",), f"the exceptions {sorted(codes)} come, accepted: exception = the one that comes"
    if codes or golden.expect.exception:
        return
    if missing := [block.name for block in profile.blocks if block.name not in raws]:
        yield ("exchanges",), f"nothing for {', '.join(missing)}, accepted: one exchange for every request of a poll"
        return
    yield from _unexpected(profile, golden.expect, raws)


def _unexpected(profile: DeviceProfile, expect: ExpectedTable, raws: dict[str, Raw]) -> Iterator[_Finding]:
    decoder = Decoder(profile)
    decoded = decoder.decode(raws)
    points = {(each.name, each.cap): each for each in decoder.points(raws)}
    values = list(_unexpected_points(("expect",), None, expect, points))
    for index, cap in enumerate(expect.caps):
        values += _unexpected_points(("expect", "caps", index), index + 1, cap, points)
    yield from values or islice(_conclusions(decoder, expect, decoded), 1)  # one wrong value makes all of these wrong


def _conclusions(decoder: Decoder, expect: ExpectedTable, decoded: Decoded) -> Iterator[_Finding]:
    for index, cap in enumerate(expect.caps):
        yield from _unexpected_conclusions(("expect", "caps", index), cap, decoded.caps[index])
    if expect.alarms is not None and expect.alarms != decoded.alarms:
        yield ("expect", "alarms"), f"others are raised: {', '.join(decoded.alarms) or 'none'}"
    if expect.serial_number not in (None, decoded.serial_number):
        yield ("expect", "serial_number"), f"is read as {decoded.serial_number}"
    if objection := decoder.foreign(decoded.slots) or decoder.corrupt(decoded.slots):
        yield ("expect",), f"this poll would be refused: {objection}"


def _unexpected_points(
    place: KeyPath,
    cap: int | None,
    expect: ExpectedTable | ExpectedCap,
    points: dict[tuple[str, int | None], PointValue],
) -> Iterator[_Finding]:
    for name, text in expect.points.items():
        shown = points.get((name, cap))
        if shown is None or not _is(shown, Decimal(text)):
            yield (*place, "points", name), f"is read as {_shown(shown)}"
    for name, reason in expect.bad.items():
        shown = points.get((name, cap))
        if shown is None or shown.reason is not Reason(reason) or shown.value is not None:
            yield (*place, "bad", name), f"is read as {_shown(shown)}"


def _unexpected_conclusions(place: KeyPath, expect: ExpectedCap, seen: CapReading) -> Iterator[_Finding]:
    if expect.run_state not in (None, seen.run_state):
        yield (*place, "run_state"), f"is concluded to be {seen.run_state}"
    for name, wanted, found in (
        ("circulating", expect.circulating, seen.circulating),
        ("connected", expect.connected, seen.connected),
    ):
        concluded = "unknown" if found is None else found
        if wanted is not None and wanted != concluded:
            yield (*place, name), f"is concluded to be {str(concluded).lower()}"


def _is(shown: PointValue, expected: Decimal) -> bool:
    """Whether the value equals `expected`, rounded to the digits that `expected` has."""
    if shown.quality is not Quality.GOOD or not isinstance(shown.value, int | float):
        return False
    digits = max(0, -int(expected.as_tuple().exponent))
    return round(Decimal(shown.value), digits) == expected


def _shown(shown: PointValue | None) -> str:
    if shown is None:
        return "nothing: this cap has no such point"
    if shown.reason is not None:
        return f"{shown.quality}: {shown.reason}"
    value = f"{shown.value:g}" if isinstance(shown.value, float) else shown.value
    return f"{value} {shown.unit}"


def _requests(profile: DeviceProfile) -> dict[bytes, tuple[str, Query]]:
    unit_id = profile.address.default if profile.address else None
    queries = [(block.name, block.query(unit_id)) for block in profile.blocks]
    return {dialect(profile.dialect).encode(query, TRANSACTION): (name, query) for name, query in queries}


def _bytes(profile: DeviceProfile, text: str) -> bytes:
    return bytes.fromhex(text) if dialect(profile.dialect).is_binary else text.encode("ascii", errors="replace")


def _text(profile: DeviceProfile, frame: bytes) -> str:
    if dialect(profile.dialect).is_binary:
        return frame.hex(" ").upper()
    return frame.decode("ascii").replace("\r", "\\r").replace("\n", "\\n")
