"""The AsyncAPI description: valid for a parser that others wrote, complete, and true of the messages that are sent."""

import copy
import inspect
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator

from gateway.cli.schema import command
from gateway.describe.asyncapi import document
from gateway.messages.inbound.json_readers import READERS
from gateway.messages.notation import Mode, Notation
from gateway.mqtt.topics import Topics
from tests.contract.message_samples import built, sample_files

Json = dict[str, Any]

PARSER = Path(__file__).parents[1] / "node" / "asyncapi.mjs"
DOCUMENT = cast(Json, json.loads(json.dumps(document())))
SENT = built()
TAKEN = {name: text for name, text in sample_files().items() if name.startswith("in_")}


def parsed(described: Json) -> subprocess.CompletedProcess[str]:
    text = json.dumps(described)
    return subprocess.run(["node", PARSER], input=text, capture_output=True, text=True, check=False, timeout=60)


def problems(message: Json, event: Json) -> list[str]:
    validator = Draft7Validator({**message["payload"], "components": DOCUMENT["components"]})
    return [error.message for error in cast(Any, validator).iter_errors(event)]


def described(kind: str) -> Json:
    (message,) = [each for each in DOCUMENT["components"]["messages"].values() if each.get("title") == kind]
    return message


def test_the_parser_finds_nothing_wrong() -> None:
    run = parsed(DOCUMENT)
    assert (run.returncode, run.stdout.count("\n")) == (0, 1), run.stdout + run.stderr


BROKEN: dict[str, Callable[[Json], object]] = {
    "a quality of service of 5": lambda d: d["operations"]["sendIncrement"]["bindings"]["mqtt"].update(qos=5),
    "a channel that is not there": lambda d: d["channels"].pop("increment"),
    "a parameter that is not declared": lambda d: d["channels"]["capEvent"]["parameters"].pop("cap"),
    "a version that is not known": lambda d: d.update(asyncapi="9.0.0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_parser_is_no_yes_man(name: str) -> None:
    broken = copy.deepcopy(DOCUMENT)
    BROKEN[name](broken)
    assert parsed(broken).returncode == 1


def test_every_topic_that_the_gateway_knows_is_described() -> None:
    topics = Topics("s", "g", Mode.LIVE)
    arguments = {"unit": "u", "cap": 1, "code": "c", "token": "t"}
    known: set[str] = set()
    for name, member in inspect.getmembers(Topics):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            known.add(getattr(topics, name).topic)
            continue
        wanted = list(inspect.signature(member).parameters)[1:]
        notations = list(Notation) if "notation" in wanted else [None]
        if name == "observation":
            notations = [Notation.HL7, Notation.FHIR]  # charted so alone
        for notation in notations:
            known.add(getattr(topics, name)(*[arguments.get(each, notation) for each in wanted]).topic)
    filled = {"{site}": "s", "{gateway}": "g", "{unit}": "u", "{cap}": "1", "{code}": "c", "{token}": "t"}
    described: set[str] = set()
    for channel in DOCUMENT["channels"].values():
        address = channel["address"]
        for place, value in filled.items():
            address = address.replace(place, value)
        described.add(address)
    assert described == known


def test_every_inbound_type_is_described() -> None:
    titles = {each["title"] for each in DOCUMENT["components"]["messages"].values()}
    assert {f"*.{ending}" for ending in READERS} <= titles


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_is_what_is_described(name: str) -> None:
    event = json.loads(SENT[name])
    message = described(event["type"])
    assert problems(message, event) == []
    assert problems(message, {**event, "data": {}}) != []


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_is_what_is_described(name: str) -> None:
    event = json.loads(TAKEN[name])
    (message,) = [
        each
        for each in DOCUMENT["components"]["messages"].values()
        if each["title"].startswith("*.") and event["type"].endswith(each["title"][1:])
    ]
    assert problems(message, event) == []


def test_the_command_writes_the_description_and_every_schema(tmp_path: Path) -> None:
    assert json.loads(CliRunner().invoke(command).output) == DOCUMENT
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "api")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "api" / "asyncapi.json").read_text()) == DOCUMENT
    written = {path.stem for path in (tmp_path / "api" / "schemas").iterdir()}
    assert written == set(DOCUMENT["components"]["schemas"])
