"""JSON messages are CloudEvents for whoever reads them: validators that others wrote, and what all of them miss."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

from tests.contract.message_samples import built, sample_files

Json = dict[str, Any]

CHECK = Path(__file__).parents[1] / "node" / "cloudevents_check.mjs"
EVENTS: dict[str, Json] = {name: json.loads(message) for name, message in built().items()} | {
    name: json.loads(text) for name, text in sample_files().items() if name.startswith("in_")
}
MUTATIONS: dict[str, Callable[[Json], object]] = {
    "no id": lambda event: event.pop("id"),
    "an empty id": lambda event: event.update(id=""),
    "a time that is none": lambda event: event.update(time="2026-03-10 16:30"),
    "a time without zone": lambda event: event.update(time="2026-03-10T16:30:00"),
    "an extension with an underscore": lambda event: event.update(session_id="x"),
    "an extension that is an object": lambda event: event.update(patient={"mrn": "x"}),
    "a source that is no URI": lambda event: event.update(source="not a uri"),
    "another version": lambda event: event.update(specversion="0.9"),
    "data in two forms": lambda event: event.update(data_base64="AA=="),
    "an empty subject": lambda event: event.update(subject=""),
    "a relative schema": lambda event: event.update(dataschema="charge.json"),
}


def mutated(name: str) -> Json:
    event = dict(EVENTS["charge"])
    MUTATIONS[name](event)
    return event


@cache
def node_verdicts() -> dict[str, list[str]]:
    """What the schema, the package and its MQTT binding find, by case; one run for all."""
    cases = EVENTS | {name: mutated(name) for name in MUTATIONS}
    run = subprocess.run(
        ["node", CHECK], input=json.dumps(cases), capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return cast(dict[str, list[str]], json.loads(run.stdout))


def own_verdict(event: Json) -> list[str]:
    """What the validators miss. Names and types: CloudEvents 1.0.2, 3.1 and "Type System"."""
    attributes = {name: value for name, value in event.items() if name not in {"data", "data_base64"}}
    found = [f"{name}: no name" for name in attributes if not re.fullmatch("[a-z0-9]{1,20}", name)]
    found += [f"{name}: no text" for name, value in attributes.items() if not (isinstance(value, str) and value)]
    found += [] if event.get("specversion") == "1.0" else ["specversion: not 1.0"]
    found += ["data: in two forms"] if {"data", "data_base64"} <= event.keys() else []
    found += [] if datetime.fromisoformat(event["time"]).tzinfo else ["time: without zone"]
    return found


def verdict(name: str, event: Json) -> list[str]:
    return node_verdicts()[name] + own_verdict(event)


@pytest.mark.parametrize("name", EVENTS)
def test_a_message_is_valid_and_comes_unchanged_through_either_mode(name: str) -> None:
    assert verdict(name, EVENTS[name]) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_charge_is_rejected_by_at_least_one(name: str) -> None:
    assert verdict(name, mutated(name)) != []


def test_the_node_validators_are_no_yes_men() -> None:
    by = {found.split(":")[0] for name in MUTATIONS for found in node_verdicts()[name]}
    assert by == {"schema", "package", "structured", "binary"}
