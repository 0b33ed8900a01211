"""HL7 v2 in its ER7 encoding: read as senders write it, written so that it is read back, and by another reader too."""

from pathlib import Path
from typing import Any, cast

import hl7 as other_reader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages.hl7v2 import Er7Error, encode, parse, segment
from tests.unit.gateway.messages.hl7_support import SAMPLES

HEAD = b"MSH|^~\\&|MAR|DEMO|GW|X|20260310||RAS^O17|M1|P|2.5.1"
ALL_SAMPLES = sorted(SAMPLES.glob("*.hl7"))

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and text != '""'
)


@pytest.mark.parametrize("file", ALL_SAMPLES, ids=lambda file: file.stem)
def test_what_is_read_is_written_as_it_was(file: Path) -> None:
    payload = file.read_bytes()
    assert encode(parse(payload).segments) == payload.replace(b"\n", b"\r")


@pytest.mark.parametrize("file", ALL_SAMPLES, ids=lambda file: file.stem)
def test_another_reader_finds_the_same_in_each_field(file: Path) -> None:
    text = file.read_text()
    theirs = cast(Any, other_reader).parse(text.replace("\n", "\r"))
    for number, ours in enumerate(parse(text.encode()).segments):
        assert str(theirs[number][0]) == ours.name
        for field in range(3 if ours.name == "MSH" else 1, len(ours.fields) + 1):
            written = str(theirs[number][field])
            assert ours.get(field) == written.split("~")[0].split("^")[0].split("&")[0]


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4))
def test_any_text_survives_writing_and_reading(values: list[tuple[str, str, str]]) -> None:
    made = segment("ZXX", {2: values[0][0], 4: [(one, (two, three)) for one, two, three in values]})
    (_, back) = parse(encode([segment("MSH", {3: "X", 10: "1"}), made])).segments
    assert back.get(2) == values[0][0]
    assert [
        (back.get(4, 1, repetition=n), back.get(4, 2, repetition=n), back.get(4, 2, 2, repetition=n))
        for n in range(1, len(values) + 1)
    ] == values


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n", b"\r\r"])
def test_any_end_of_line_separates_segments(ending: bytes) -> None:
    assert [each.name for each in parse(ending.join([HEAD, b"ZZZ|x", b"PID|1"])).segments] == ["MSH", "ZZZ", "PID"]


@pytest.mark.parametrize("framed", [b"\x0b%s\x1c\r", b"\xef\xbb\xbf%s", b"\r\n%s\r\n", b"%s\x00"])
def test_what_stands_around_a_message_is_passed_over(framed: bytes) -> None:
    assert parse(framed % HEAD).first("MSH").get(10) == "M1"


def test_the_marks_are_those_that_the_message_names() -> None:
    message = parse(b"MSH#*!%$#MAR\rPID###90*x*y!91")
    assert message.first("PID").get(3) == "90"
    assert message.first("PID").get(3, repetition=2) == "91"


def test_escapes_stand_for_what_they_name_and_unknown_ones_for_nothing() -> None:
    message = parse(HEAD + rb"\r".replace(b"\\r", b"\r") + rb"NTE|a\F\b\S\c\T\d\R\e\E\f\X41C3A9\g\.br\h\H\i\Zx\j")
    assert message.first("NTE").get(1) == "a|b^c&d~e\\fAég\nhij"


def test_null_is_no_value() -> None:
    assert parse(HEAD + b'\rPID|""|x').first("PID").get(1) == ""


@pytest.mark.parametrize(
    ("declared", "bytes_", "read"),
    [
        (b"", "Müller".encode(), "Müller"),
        (b"", "Müller".encode("latin-1"), "Müller"),
        (b"8859/1", "Müller".encode("latin-1"), "Müller"),
        (b"8859/15", "€".encode("iso8859-15"), "€"),
        (b"UNICODE UTF-8", "Müller".encode(), "Müller"),
        (b"UNICODE UTF-8~8859/1", "Müller".encode(), "Müller"),
    ],
)
def test_the_character_set_is_the_one_that_is_declared(declared: bytes, bytes_: bytes, read: str) -> None:
    payload = HEAD + b"||||||" + declared + b"\rPID|" + bytes_
    assert parse(payload).first("PID").get(1) == read


@pytest.mark.parametrize(
    ("payload", "accepted"),
    [
        (b"", "MSH"),
        (b"FHS|^~\\&|", "without batch"),
        (b"MSH", "MSH|^~"),
        (b"MSH|", "MSH|^~"),
        (b"MSH|^~\\^|x", "MSH|^~"),
        (b"MSH|abcd|x", "MSH|^~"),
        (HEAD + b"\rPI|1", "br"),
        (HEAD + b"\r" + HEAD, "one message"),
        (HEAD + b"||||||UTF-7", "UNICODE UTF-8"),
        (HEAD + b"||||||UNICODE UTF-8\rPID|\xff", "mend MSH-18"),
        (HEAD + b"\rZZZ|1" * 2000, "2000"),
    ],
)
def test_what_is_no_message_is_refused_with_what_is_accepted(payload: bytes, accepted: str) -> None:
    with pytest.raises(Er7Error) as refused:
        parse(payload)
    assert accepted in str(refused.value)


def test_groups_begin_with_their_leader() -> None:
    message = parse(HEAD + b"\rPID|1\rOBR|1\rOBX|1\rOBR|2\rOBX|2\rOBX|3")
    assert [[each.get(1) for each in group.all("OBX")] for group in message.groups("OBR")] == [["1"], ["2", "3"]]
