"""Our acknowledgements of the engine's messages, of every version of HL7, through validators and readers of others."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, cast

import hl7
import pytest
from hl7apy import parser
from hl7apy.consts import VALIDATION_LEVEL

from gateway.messages.hl7v2 import read_header
from gateway.messages.inbound.acks import Acknowledgement, Condition, build_ack
from tests.support.hl7_validators import read_by_npm

NODE = Path(__file__).parents[1] / "node"
VERSIONS = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.2")
ACCEPTED = Acknowledgement("AA")
IGNORED = Acknowledgement("AA", "PV1-3 names no chair of this gateway", reason="not-ours")
REJECTED = Acknowledgement(
    "AE", "PV1-19: missing | accepted: the visit ^ of ü\r\n" * 9, Condition.FIELD_MISSING, "no-visit"
)
LATER = Acknowledgement("AE", "the broker is away; send it again", Condition.PASSING, "not-delivered")
TOO_LARGE = Acknowledgement("AR", "too large: 70000 bytes, limit 65536", Condition.DATA_TYPE, "too-large")
STORED = Acknowledgement("CA")
NOT_STORED = Acknowledgement("CE", "the broker is away; send it again", Condition.PASSING, "not-delivered")
ANSWERS = {
    "accepted": ACCEPTED,
    "ignored": IGNORED,
    "rejected": REJECTED,
    "later": LATER,
    "too-large": TOO_LARGE,
    "stored": STORED,
    "not-stored": NOT_STORED,
}


PLACES = [("MSH", 9, 1), ("MSH", 9, 2), ("MSH", 9, 3), ("MSA", 1, 1), ("MSA", 2, 1)]


def header(version: str, kind: str = "ADT^A08^ADT_A01") -> str:
    return f"MSH|^~\\&|EPIC^1.2.3^ISO|HOSP^1.2^ISO|CAPGATE|NORTH|20261129||{kind}|M1|P|{version}\r"


def acknowledged(head: str, answer: Acknowledgement) -> str:
    return build_ack(read_header(head.encode()), answer, "CB0000000000001001", "20261129140000+0000").decode()


TEXTS = {
    f"{version} {name}": acknowledged(header(version), answer)
    for version in VERSIONS
    for name, answer in ANSWERS.items()
}


@cache
def walked() -> dict[str, list[str]]:
    run = subprocess.run(
        ["node", str(NODE / "hl7_dictionary.mjs")],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(run.stdout)


@cache
def by_readers() -> dict[str, dict[str, list[str]]]:
    return read_by_npm({name: (text, PLACES) for name, text in TEXTS.items()})


@pytest.mark.parametrize("name", TEXTS)
def test_the_strict_validator_takes_it(name: str) -> None:
    message = cast(Any, parser).parse_message(TEXTS[name], validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    assert message.validate()


# The dictionary ends with 2.7.1, and in 2.3.1 it leaves MSH-9 no room for the structure that this version brought.
@pytest.mark.parametrize("name", [name for name in TEXTS if not name.startswith(("2.3.1", "2.8"))])
def test_no_field_is_wanting_too_long_or_unknown(name: str) -> None:
    assert walked()[name] == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_reader_finds_its_kind_and_what_it_answers(name: str) -> None:
    code = ANSWERS[name.split()[1]].code
    by_each = by_readers()[name]
    assert all(found == ["ACK", "A08", "ACK", code, "M1"] for found in by_each.values())
    read = cast(Any, hl7).parse(TEXTS[name])
    assert [str(read["MSH.F9.R1.C2"]), str(read["MSA.F1"]), str(read["MSA.F2"])] == ["A08", code, "M1"]


def test_sender_and_receiver_change_places_as_they_stand() -> None:
    fields = acknowledged(header("2.5.1"), ACCEPTED).split("\r")[0].split("|")
    assert fields[2:6] == ["CAPGATE", "NORTH", "EPIC^1.2.3^ISO", "HOSP^1.2^ISO"]


@pytest.mark.parametrize(
    ("version", "kind", "segments"),
    [
        ("2.2", "ADT^A08", ["ACK", "2.2", "MSA|AE|M1|text"]),
        ("2.3", "ADT^A08", ["ACK", "2.3", "MSA|AE|M1|text"]),
        ("2.5.1", "ADT", ["ACK^^ACK", "2.5.1", "MSA|AE|M1|text"]),
        ("", "ADT^A08", ["ACK^A08^ACK", "2.5.1", "MSA|AE|M1|text"]),
        ("9" * 5000, "ADT^A08", ["ACK^A08^ACK", "2.5.1", "MSA|AE|M1|text"]),
        ("2.5.1^USA", "ADT^A08", ["ACK^A08^ACK", "2.5.1", "MSA|AE|M1|text"]),
        ("2.7", "ADT^A08", ["ACK^A08^ACK", "2.7", "MSA|AE|M1"]),
    ],
)
def test_it_is_written_for_the_version_that_the_message_names(version: str, kind: str, segments: list[str]) -> None:
    lines = acknowledged(header(version, kind), Acknowledgement("AE", "text", Condition.PASSING)).split("\r")
    assert [lines[0].split("|")[8], lines[0].split("|")[11], lines[1]] == segments
    has_error = version not in ("2.2", "2.3")
    assert lines[2:] == (["ERR|||207^Application internal error^HL70357|E||||text", ""] if has_error else [""])
