"""Generates the AsyncAPI 3.0 description of all messages that the gateway sends and receives.

Channels come from gateway/mqtt/topics.py, outbound types from the channels' kinds, inbound types from READERS, payloads
from the JSON Schemas in gateway/messages/schemas: nothing is listed here a second time. Pure.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import cast

from gateway.messages.cloudevents import CONTENT_TYPE
from gateway.messages.inbound.json_readers import READERS
from gateway.messages.notation import FHIR_TYPE, Notation
from gateway.mqtt.gateway_status import software_version
from gateway.mqtt.topics import CHANNELS, INBOUND, Channel

Json = dict[str, object]

_BINDING = {"bindingVersion": "0.2.0"}
_WHAT = {
    "site": "the site's name",
    "gateway": "the gateway's id",
    "unit": "the unit's name",
    "cap": "number of the cap on its unit, from 1",
    "code": "the alarm's code",
    "token": "the session's token in lower case",
}


def schemas() -> dict[str, Json]:
    """Every JSON Schema, by name as in `increment-1`."""
    folder = files("gateway.messages") / "schemas"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name)
    return {each.name.removesuffix(".json"): cast(Json, json.loads(each.read_text())) for each in found}


def document() -> Json:
    """The AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Capgate",
            "version": software_version(),
            "description": "Topics under dev/ carry no patient identifiers. Those under ehr/ do: close them to all but "
            "the gateways and the interface engine. A test gateway has the root capgate-test/ instead of capgate/.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {each.name: _channel(each) for each in CHANNELS},
        "operations": {
            **{_operation_name(each): _operation(each) for each in CHANNELS},
            **{f"overhear{_capital(each.name)}": _overheard(each) for each in CHANNELS if each.overheard},
        },
        "components": {
            "messages": {name: message for each in CHANNELS for name, message in _messages(each)},
            "schemas": {name: _embedded(schema) for name, schema in schemas().items()},
        },
    }


def _channel(channel: Channel) -> Json:
    address = f"capgate/v1/{{site}}/{channel.address}"
    return {
        "address": address,
        "summary": channel.summary,
        "parameters": {name: {"description": what} for name, what in _WHAT.items() if f"{{{name}}}" in address},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _messages(channel)},
    }


def _operation_name(channel: Channel) -> str:
    return f"{'receive' if channel.receives else 'send'}{_capital(channel.name)}"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _overheard(channel: Channel) -> Json:
    """The operation by which a gateway receives what the site's other gateways publish."""
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {"mqtt": {"qos": 0, **_BINDING}},
    }


def _operation(channel: Channel) -> Json:
    mqtt: Json = {"qos": channel.qos, **_BINDING}
    if not channel.receives:
        mqtt["retain"] = channel.retain
    if channel.expiry_s is not None:
        mqtt["messageExpiryInterval"] = channel.expiry_s
    operation: Json = {
        "action": "receive" if channel.receives else "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {"mqtt": mqtt},
    }
    if channel.reply:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{channel.reply}"}}
    return operation


def _messages(channel: Channel) -> Iterator[tuple[str, Json]]:
    for kind in channel.kinds:
        data = {"$ref": f"#/components/schemas/{kind.dataschema.rpartition(':')[2]}"}
        properties = {"type": {"const": kind.type}, "dataschema": {"const": kind.dataschema}, "data": data}
        payload = {"allOf": [{"$ref": "#/components/schemas/event-1"}, {"type": "object", "properties": properties}]}
        yield _camel(kind.type.removeprefix("org.capgate.")), _structured(kind.type, payload)
    for ending in READERS if channel is INBOUND[Notation.JSON] else ():
        properties = {
            "type": {"type": "string", "pattern": f"(^|\\.){ending.replace('.', chr(92) + '.')}$"},
            "data": {"$ref": f"#/components/schemas/{READERS[ending].schema}"},
        }
        payload = {"allOf": [_INBOUND_ENVELOPE, {"type": "object", "properties": properties}]}
        yield f"in{_camel(ending, upper=True)}", _structured(f"*.{ending}", payload)
    for name, what in channel.bare.items():
        if channel.content_type == FHIR_TYPE:
            resource = {"resourceType": {"const": what.partition(",")[0]}}
            payload = {"type": "object", "required": ["resourceType"], "properties": resource}
        else:
            payload = {"type": "string"}
        yield name, {"title": what, "contentType": channel.content_type, "payload": payload}


def _structured(title: str, payload: Mapping[str, object]) -> Json:
    binding = {"payloadFormatIndicator": 1, "contentType": CONTENT_TYPE, **_BINDING}
    return {"title": title, "contentType": CONTENT_TYPE, "bindings": {"mqtt": binding}, "payload": payload}


_INBOUND_ENVELOPE: Json = {
    "type": "object",
    "required": ["specversion", "type", "source", "id", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "source": {"type": "string", "minLength": 1},
        "id": {"type": "string", "minLength": 1},
        "time": {"type": "string"},
        "data": {"type": "object"},
    },
}


def _embedded(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name not in ("$schema", "$id")}


def _camel(name: str, *, upper: bool = False) -> str:
    words = name.removesuffix(".v1").replace("-", ".").split(".")
    first = words[0].capitalize() if upper else words[0]
    return first + "".join(word.capitalize() for word in words[1:])
