"""HL7 messages are valid for whoever reads them: a validator, a second reader and a dictionary that others wrote, and
what all of them miss.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, cast

import hl7
import pytest

from tests.contract.hl7_messages import charge, messages, samples
from tests.contract.message_samples import MESSAGES
from tests.support.hl7_validators import Place, fields_of, missed_by_all, read_by_npm, refused_by_hl7apy

WALK = Path(__file__).parents[1] / "node" / "hl7_dictionary.mjs"
MUTATIONS: dict[str, tuple[str, int, str]] = {
    "no date of service": ("FT1", 4, ""),
    "a type of transaction that is none": ("FT1", 6, "XX"),
    "a quantity that is no number": ("FT1", 10, "one"),
    "a date as other standards write it": ("FT1", 4, "2026-03-10T11:00:00Z"),
    "a key of 36 characters": ("FT1", 2, "0b0e7b0a-3d5c-4c0e-9d55-0f2f6f1f0a11"),
    "nobody": ("PID", 3, ""),
    "a field past the last": ("FT1", 40, "X"),
    "no control id": ("MSH", 10, ""),
    "a version that is none": ("MSH", 12, "2.99"),
}
PLACES: list[Place] = [
    ("MSH", 9, 1),
    ("MSH", 9, 3),
    ("MSH", 10, 1),
    ("PID", 3, 1),
    ("PV1", 2, 1),
    ("PV1", 19, 1),
    ("FT1", 2, 1),
    ("FT1", 4, 1),
    ("FT1", 4, 2),
    ("FT1", 6, 1),
    ("FT1", 10, 1),
    ("FT1", 20, 1),
    ("FT1", 25, 1),
    ("OBR", 4, 1),
]
TEXTS = {name: message.decode() for name, message in messages().items()}


def mutated(name: str) -> str:
    lines = charge().decode().split("\r")[:-1]
    match name:
        case "no transaction":
            lines = [line for line in lines if not line.startswith("FT1")]
        case "the visit after the transaction":
            lines.sort(key=lambda line: line.startswith("PV1"))
        case "a segment that is none":
            lines.append("QQQ|1|x")
        case _:
            segment, field, value = MUTATIONS[name]
            index = next(index for index, line in enumerate(lines) if line.startswith(segment))
            fields = lines[index].split("|")
            at = field - (1 if segment == "MSH" else 0)
            fields += [""] * (at + 1 - len(fields))
            fields[at] = value
            lines[index] = "|".join(fields)
    return "\r".join(lines) + "\r"


MUTANTS = {
    name: mutated(name)
    for name in [*MUTATIONS, "no transaction", "the visit after the transaction", "a segment that is none"]
}


@cache
def walked() -> dict[str, list[str]]:
    run = subprocess.run(
        ["node", str(WALK)], input=json.dumps(TEXTS | MUTANTS), capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", TEXTS)
def test_every_message_passes_the_strict_validator(name: str) -> None:
    assert refused_by_hl7apy(TEXTS[name]) == ""


@pytest.mark.parametrize("name", TEXTS)
def test_no_field_is_wanting_too_long_or_unknown(name: str) -> None:
    assert walked()[name] == []


@pytest.mark.parametrize("name", TEXTS)
def test_every_message_has_its_segments_in_order_and_known_types(name: str) -> None:
    assert missed_by_all(TEXTS[name]) == []


@pytest.mark.parametrize("name", TEXTS)
def test_another_reader_reads_the_same(name: str) -> None:
    assert str(cast(Any, hl7).parse(TEXTS[name])) == TEXTS[name]
    assert fields_of(TEXTS[name])["MSH-10"].startswith("CG9RX2M7KQ4")


@pytest.mark.parametrize("name", TEXTS)
def test_readers_of_npm_find_what_stands_there(name: str) -> None:
    expected = [component_of(TEXTS[name], place) for place in PLACES]
    assert {reader: found for reader, found in by_npm()[name].items() if found != expected} == {}


@cache
def by_npm() -> dict[str, dict[str, list[str]]]:
    return read_by_npm({name: (text, PLACES) for name, text in TEXTS.items()})


def component_of(text: str, place: Place) -> str:
    """By no reader but the separators, of the first segment of that name and the first repetition."""
    segment, field, component = place
    line = next((line for line in text.split("\r") if line.startswith(f"{segment}|")), "")
    fields = line.split("|")
    at = field - 1 if segment == "MSH" else field
    parts = (fields[at] if at < len(fields) else "").split("~")[0].split("^")
    return parts[component - 1] if component <= len(parts) else ""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_charge_is_refused_by_one_at_least(name: str) -> None:
    assert refused_by_hl7apy(MUTANTS[name]) or walked()[name] or missed_by_all(MUTANTS[name])


def test_the_samples_are_what_the_product_builds() -> None:
    assert {path.stem: path.read_text() for path in MESSAGES.glob("*.hl7")} == samples()
