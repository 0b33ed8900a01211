"""HL7 v2 messages before a reader and a validator that others wrote."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import hl7
from hl7apy import parser
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException

Place = tuple[str, int, int]  # segment, field, component
READERS = Path(__file__).parents[1] / "node" / "hl7_readers.mjs"
ORDERS = {
    "DFT": ["MSH", "EVN", "PID", "PV1", "FT1"],
    "ORU": ["MSH", "PID", "PV1", "OBR", "OBX", "OBX", "OBX", "OBX", "OBX"],
}


def refused_by_hl7apy(text: str) -> str:
    """Why, by its strict validation; "" if it is not refused."""
    try:
        message = cast(Any, parser).parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        message.validate()
    except HL7apyException as error:
        return f"{type(error).__name__}: {error}"
    except (ValueError, IndexError) as error:
        return f"could not be read: {error}"
    same = str(message.to_er7()).rstrip("\r") == text.rstrip("\r")
    return "" if same else "what it read is not what was sent"


def read_by_npm(messages: Mapping[str, tuple[str, Sequence[Place]]]) -> dict[str, dict[str, list[str]]]:
    """What three parsers of npm find at those places, by message and parser; a run for all."""
    told = {name: {"text": text, "places": places} for name, (text, places) in messages.items()}
    run = subprocess.run(
        ["node", str(READERS)], input=json.dumps(told), capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, dict[str, list[str]]] = json.loads(run.stdout)
    assert all(sorted(each) == ["@medplum/core", "node-hl7-client", "simple-hl7"] for each in found.values())
    return found


def missed_by_all(text: str) -> list[str]:
    """Our own assertions: what no validator looks at."""
    read = [[str(field) for field in segment] for segment in cast(Any, hl7).parse(text)]
    names = [segment[0] for segment in read]
    found = [] if names == ORDERS[read[0][9][:3]] else [f"order of segments: {names}"]
    types = [segment[6] for segment in read if segment[0] == "FT1"]
    return found + [f"FT1-6: {each}" for each in types if each not in ("CG", "CD")]


def fields_of(text: str) -> dict[str, str]:
    """Every field as it was sent, by name ("FT1-6"), as somebody else's reader reads it."""
    read = cast(Any, hl7).parse(text)
    return {f"{segment[0]}-{index}": str(segment[index]) for segment in read for index in range(1, len(segment))}
