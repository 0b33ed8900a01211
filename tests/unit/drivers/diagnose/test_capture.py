"""The file of captured traffic, and how it is cut into frames."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.diagnose.capture import Direction, NotACapture, load_capture
from drivers.diagnose.frames import Frame, Role, exchanges, frames
from drivers.dialects.base import ModbusQuery, RejectKind, TextQuery
from drivers.dialects.registry import DialectName, dialect
from tests.bus.reads import crc16
from tests.unit.drivers.diagnose.capture_support import RX, TX, capture, saved

JULABO = DialectName.JULABO
RTU = DialectName.MODBUS_RTU


def rtu(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16(body).to_bytes(2, "little")


ASK = rtu("05 03 00 00 00 02")
ANSWER = rtu("05 03 04 FF D6 00 01")
ASK_OTHER = rtu("06 03 00 10 00 01")
ANSWER_OTHER = rtu("06 03 02 00 2A")
WRITE = rtu("05 06 00 01 00 03")


def roles(found: tuple[Frame, ...]) -> list[Role]:
    return [frame.role for frame in found]


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = capture(JULABO, (0.5, TX, b"IN_PV_00\r"), (0.6, RX, b"-4.2\r\n"), profile="julabo-cf")
    assert load_capture(saved(kept, tmp_path / "c.jsonl")) == kept


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    kept = capture(JULABO, (0.5, TX, b"IN_PV_00\r"), (0.6, RX, b"-4.2\r\n"))
    path = saved(kept, tmp_path / "c.jsonl")
    path.write_bytes(path.read_bytes()[:-9])
    assert load_capture(path).chunks == kept.chunks[:1]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "empty"),
        ("hello\n", ":1: "),
        ('{"capgate_capture": 2}\n', ":1: "),
        ('HEAD{"t_s": 1, "direction": "up", "hex": "00"}\n', ":2: "),
        ('HEAD{"t_s": 1, "direction": "rx", "hex": "0"}\n', ":2: "),
        ('HEAD{"t_s": 2, "direction": "rx", "hex": "00"}\n{"t_s": 1, "direction": "rx", "hex": "00"}\n', ":3: t_s"),
    ],
)
def test_what_is_no_capture_is_named_with_its_line(text: str, where: str, tmp_path: Path) -> None:
    head = saved(capture(JULABO), tmp_path / "head.jsonl").read_text()
    path = tmp_path / "c.jsonl"
    path.write_text(text.replace("HEAD", head))
    with pytest.raises(NotACapture) as refused:
        load_capture(path)
    assert where in str(refused.value)
    assert "accepted: " in str(refused.value)


def test_polled_traffic_is_cut_at_our_own_requests() -> None:
    found = frames(
        capture(
            RTU,
            (1.0, TX, ASK),
            (1.1, RX, ANSWER[:4]),
            (1.2, RX, ANSWER[4:]),
            (2.0, TX, ASK),
            (3.0, TX, ASK_OTHER),
            (3.1, RX, rtu("06 83 02")),
        ),
        dialect(RTU),
    )
    assert roles(found) == [Role.REQUEST, Role.REPLY, Role.REQUEST, Role.REQUEST, Role.EXCEPTION]
    assert (found[1].raw, found[1].t_s, found[1].ends_s) == ((0xFFD6, 1), 1.1, 1.2)
    assert found[1].after_s == pytest.approx(0.2)
    assert found[4].code == 2


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (ASK + ANSWER, [(Role.REJECT, RejectKind.ECHO), (Role.REPLY, None)]),
        (b"\xff\x00" + ANSWER, [(Role.REJECT, RejectKind.NOISE), (Role.REPLY, None)]),
        (ANSWER_OTHER, [(Role.REJECT, RejectKind.WRONG_UNIT)]),
        (ANSWER[:5], [(Role.UNFINISHED, None)]),
        (ANSWER + ANSWER, [(Role.REPLY, None), (Role.STRAY, None)]),
    ],
)
def test_what_is_not_the_answer_is_named(came: bytes, expected: list[tuple[Role, RejectKind | None]]) -> None:
    found = frames(capture(RTU, (1.0, TX, ASK), (1.1, RX, came)), dialect(RTU))
    assert [(each.role, each.kind) for each in found[1:]] == expected


def test_another_masters_traffic_is_told_apart() -> None:
    heard = [(1.0, ASK), (1.1, ANSWER), (2.0, ASK_OTHER + ANSWER_OTHER), (3.0, WRITE), (3.1, ASK[:5])]
    found = frames(capture(RTU, *((t_s, RX, data) for t_s, data in heard), listened=True), dialect(RTU))
    assert roles(found) == [Role.REQUEST, Role.REPLY, Role.REQUEST, Role.REPLY, Role.REQUEST, Role.UNFINISHED]
    assert [each.query for each in found[:5:2]] == [
        ModbusQuery(5, 3, 0, 2),
        ModbusQuery(6, 3, 16, 1),
        ModbusQuery(5, 6, 1, 3),
    ]


def test_overheard_text_is_told_apart_by_words_and_numbers() -> None:
    heard = [(0.0, b"21.0\r\n"), (1.0, b"in_pv_00\r"), (1.2, b"-4.2\r\n"), (2.0, b"status\r00 MANUAL STOP\r\n")]
    found = frames(capture(JULABO, *((t_s, RX, data) for t_s, data in heard), listened=True), dialect(JULABO))
    asked = [each.query for each in found if each.role is Role.REQUEST]
    assert asked == [TextQuery("IN_PV_00"), TextQuery("STATUS")]
    assert [each.raw for each in found if each.role is Role.REPLY] == ["-4.2", "00 MANUAL STOP"]


def test_exchanges_keep_the_pieces_in_which_an_answer_came() -> None:
    pieces = ((1.0, TX, ASK), (1.25, RX, ANSWER[:3]), (1.5, RX, ANSWER[3:]), (2.0, TX, ASK_OTHER))
    first, second = exchanges(capture(RTU, *pieces), dialect(RTU))
    assert first.answers == ((0.25, ANSWER[:3]), (0.5, ANSWER[3:]))
    assert (second.request.query, second.answers) == (ModbusQuery(6, 3, 16, 1), ())


Pieces = st.lists(
    st.tuples(st.floats(0, 2), st.sampled_from(list(Direction)), st.binary(min_size=1, max_size=40)), max_size=12
)


@given(Pieces, st.sampled_from(list(DialectName)), st.booleans())
def test_every_byte_is_in_exactly_one_frame_whatever_came(
    pieces: list[tuple[float, Direction, bytes]], name: DialectName, listened: bool
) -> None:
    at_s = 0.0
    timed: list[tuple[float, Direction, bytes]] = []
    for pause_s, direction, data in pieces:
        at_s += pause_s
        timed.append((at_s, RX if listened else direction, data))
    kept = capture(name, *timed, listened=listened)
    found = frames(kept, dialect(name))
    for direction in Direction:
        came = b"".join(each.data for each in kept.chunks if each.direction is direction)
        assert b"".join(each.data for each in found if each.direction is direction) == came
    exchanges(kept, dialect(name))
