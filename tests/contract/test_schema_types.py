"""Each JSON Schema has the fields, the required fields and the closed sets of the type that the code uses, no others.

What a type cannot say (patterns, ranges, which fields go together) stands in the schema alone.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from gateway.describe.asyncapi import schemas
from gateway.ledger.checkpoint import CheckpointData
from gateway.messages.inbound.json_readers import READERS
from gateway.messages.outbound import device as dev
from gateway.messages.outbound import ehr
from gateway.monitoring.alarms import AlarmCode

Json = dict[str, Any]

SENT: dict[str, type[msgspec.Struct]] = {
    "alarm-1": dev.AlarmData,
    "cap-event-1": dev.CapEvent,
    "charge-1": ehr.ChargeData,
    "checkpoint-1": CheckpointData,
    "gateway-status-1": dev.GatewayStatus,
    "inbound-result-1": ehr.InboundResult,
    "increment-1": ehr.IncrementData,
    "session-1": ehr.SessionData,
    "session-head-1": dev.SessionHead,
    "temperature-1": dev.Temperature,
    "unit-status-1": dev.UnitStatus,
}
TAKEN = {each.schema: each.model for each in READERS.values()}
SCHEMAS = cast("dict[str, Json]", schemas())


def resolved(node: Json, root: Json) -> Json:
    """The node without references, and without the null that `X | None` adds."""
    while "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    some = [each for each in node.get("anyOf", []) if each.get("type") != "null"]
    return resolved(some[0], root) if len(some) == 1 else node


def differences(ours: Json, theirs: Json, root: Json, path: str = "") -> Iterator[str]:
    """Where the type `ours`, as its library describes it, and the schema `theirs` are not the same."""
    ours, theirs = resolved(ours, root), resolved(theirs, {})
    if "enum" in ours:
        allowed = theirs.get("enum", [theirs["const"]] if "const" in theirs else None)
        if allowed is not None and not set(allowed) <= {*ours["enum"], None}:
            yield f"{path}: {sorted(set(ours['enum']) ^ set(allowed))}"
    if "properties" in ours:
        mine, other = ours["properties"], theirs.get("properties", {})
        if mine.keys() != other.keys():
            yield f"{path}: fields {sorted(mine.keys() ^ other.keys())}"
        for name in mine.keys() & other.keys():
            yield from differences(mine[name], other[name], root, f"{path}.{name}")
    if "items" in ours and isinstance(theirs.get("items"), dict):
        yield from differences(ours["items"], theirs["items"], root, f"{path}[]")


@pytest.mark.parametrize("name", SENT)
def test_a_message_that_is_sent_has_the_fields_of_its_type(name: str) -> None:
    root = msgspec.json.schema(SENT[name])
    assert list(differences(root, SCHEMAS[name], root)) == []


@pytest.mark.parametrize("name", SENT)
def test_a_field_that_a_type_always_has_is_required(name: str) -> None:
    root = msgspec.json.schema(SENT[name])
    always = {field.encode_name for field in msgspec.structs.fields(SENT[name]) if field.required}
    missing = always - set(SCHEMAS[name]["required"])
    assert missing == set(), root


@pytest.mark.parametrize("name", TAKEN)
def test_a_message_that_is_taken_has_the_fields_of_its_model(name: str) -> None:
    fields = {info.alias or field: info for field, info in TAKEN[name].model_fields.items()}
    assert set(SCHEMAS[name]["properties"]) == set(fields)
    assert set(SCHEMAS[name]["required"]) == {field for field, info in fields.items() if info.is_required()}


def test_every_alarm_is_in_the_schema() -> None:
    assert SCHEMAS["alarm-1"]["properties"]["code"]["enum"] == list(AlarmCode)


def test_every_schema_is_held_to_a_type() -> None:
    assert set(SCHEMAS) == {*SENT, *TAKEN, "event-1"}


def test_a_difference_would_be_seen() -> None:
    class Other(msgspec.Struct):
        note: str
        extra: int

    root = msgspec.json.schema(Other)
    assert list(differences(root, SCHEMAS["checkpoint-1"], root)) == [": fields ['extra', 'key', 'signature']"]
