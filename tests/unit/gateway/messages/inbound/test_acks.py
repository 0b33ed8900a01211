"""Acknowledgements are read whatever is odd about their text; what cannot be used is named in its answer."""

import pytest

from gateway.messages.hl7v2 import Er7Error, parse, read_header
from gateway.messages.inbound.answers import Receipt, Rejected
from tests.unit.gateway.messages.hl7_support import read

ACK = "MSH|^~\\&|EHR|H|CAPGATE|NORTH|20261129||ACK^P03|E1|P|2.5.1||||||{charset}\rMSA|AE|CG9RX2M7KQ401A|{text}\r"


@pytest.mark.parametrize("charset", ["", "UTF8", "WINDOWS-1252", "KLINGON", "UNICODE UTF-8", "ASCII"])
@pytest.mark.parametrize(
    "text", ["Müller fehlt".encode("latin-1"), "Müller fehlt".encode(), b"a\r\nb", b"a\nof|b", b"\x00\xff"]
)
def test_an_acknowledgement_is_read_whatever_its_character_set(charset: str, text: bytes) -> None:
    payload = ACK.format(charset=charset, text="@").encode().replace(b"@", text)
    receipt = read(payload)
    assert isinstance(receipt, Receipt)
    assert (receipt.message_id, receipt.for_id, receipt.result) == ("EHR|E1", "CG9RX2M7KQ401A", "rejected")


HEAD = b"MSH|^~\\&|MAR|DEMO|GW|X|20260310||RAS^O17|M1|P|2.5.1"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (HEAD + b"||||||KLINGON\rPID|1", "not-hl7"),
        (HEAD + b"||||||UNICODE UTF-8\rPID|\xff", "not-hl7"),
        (HEAD + b"\rPI|1", "not-hl7"),
        (HEAD + b"\rZZZ|1" * 2001, "not-hl7"),
        (HEAD + b"\rNTE|" + b"x" * 70_000, "too-large"),
    ],
)
def test_a_message_that_cannot_be_used_is_answered_by_its_id(payload: bytes, code: str) -> None:
    answer = read(payload)
    assert isinstance(answer, Rejected)
    assert (answer.message_id, answer.code) == ("MAR|M1", code)


@pytest.mark.parametrize(
    ("spelling", "codec"),
    [
        ("UTF8", "utf-8"),
        ("utf-8", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("UNICODE-UTF-8", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("ISO8859-1", "latin-1"),
        ("ISO_8859-1", "latin-1"),
        ("ISO/IEC 8859-1", "latin-1"),
        ("8859-15", "iso8859-15"),
        ("WINDOWS-1252", "cp1252"),
        ("Cp1252", "cp1252"),
        ("ISO IR100", "latin-1"),
        ("US-ASCII", "utf-8"),
    ],
)
def test_a_character_set_is_known_by_its_usual_spellings(spelling: str, codec: str) -> None:
    payload = HEAD + f"||||||{spelling}\rPID|".encode() + "Žofie Müller".replace("Ž", "z").encode(codec)
    assert parse(payload).first("PID").get(1) == "zofie Müller"


def test_a_line_end_within_a_text_is_text() -> None:
    broken = parse(HEAD + b"\rOBX|1|TX|||first line\nand a second, longer\r\n\r\nlast||||||F\rNTE|1")
    assert [each.name for each in broken.segments] == ["MSH", "OBX", "NTE"]
    assert broken.first("OBX").get(5) == "first line\nand a second, longer\n\nlast"
    assert broken.first("OBX").get(11) == "F"


def test_a_header_is_read_without_what_follows_it() -> None:
    assert read_header(b"\x0b" + HEAD + b"||||||UNICODE UTF-8\rPID|\xff\x1c\r").get(10) == "M1"
    with pytest.raises(Er7Error):
        read_header(b"PID|1")


@pytest.mark.parametrize(
    ("code", "result"),
    [("AA", "accepted"), ("CA", "stored"), *((code, "rejected") for code in ("AE", "AR", "CE", "CR"))],
)
def test_stored_accepted_and_rejected_are_three_answers(code: str, result: str) -> None:
    receipt = read(ACK.format(charset="", text="").replace("|AE|", f"|{code}|").encode())
    assert isinstance(receipt, Receipt)
    assert receipt.result == result
