"""The AsyncAPI 3.0 description of everything the gateway sends and takes, made from the topics and kinds that it uses.

Addresses come from `Topics`, message types from the kinds in `formats`, inbound types from the readers, data from the
JSON Schemas beside them: nothing here can be forgotten when one of those changes, but a topic that is new. Pure.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import cast

import msgspec

from gateway.ledger.checkpointer import CHECKPOINT
from gateway.messages.cloudevents import CONTENT_TYPE, EventType
from gateway.messages.inbound.json_readers import READERS
from gateway.messages.notation import FHIR_TYPE, HL7_TYPE, Mode, Notation
from gateway.messages.outbound.device import (
    ALARM,
    GATEWAY_STATUS,
    PHASE_CHANGED,
    RUN_STATE_CHANGED,
    SESSION_HEAD,
    TEMPERATURE,
    UNIT_STATUS,
)
from gateway.messages.outbound.ehr import CHARGE, INBOUND_RESULT, INCREMENT, SESSION_KINDS
from gateway.mqtt.gateway_status import software_version
from gateway.mqtt.topics import Topics
from gateway.telemetry.charting import EXPIRY_S as CHARTING_EXPIRY_S
from gateway.telemetry.unit_status import EXPIRY_S

Json = dict[str, object]

_BINDING = {"bindingVersion": "0.2.0"}
_PLACES = {"x-site": "site", "x-gateway": "gateway", "x-unit": "unit", "/7/": "/{cap}/", "x-code": "code"}
_WHAT = {
    "site": "the site's name",
    "gateway": "the gateway's id",
    "unit": "the unit's name",
    "cap": "number of the cap on its unit, from 1",
    "code": "the alarm's code",
    "token": "the session's token in lower case",
}


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One topic and what goes over it."""

    name: str
    topic: str
    summary: str
    kinds: tuple[EventType, ...] = ()  # JSON messages of the gateway
    endings: tuple[str, ...] = ()  # of the types of JSON messages to it
    bare: Mapping[str, str] = {}  # message name -> description, of what is no JSON event
    content_type: str = CONTENT_TYPE
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    receives: bool = False  # by the gateway
    reply: str = ""  # channel of the receipt


def channels() -> Iterator[Channel]:
    """Every topic."""
    topics = Topics("x-site", "x-gateway", Mode.LIVE)
    yield Channel(
        name="gatewayStatus",
        topic=topics.status,
        summary="Birth, will and farewell",
        kinds=(GATEWAY_STATUS,),
        retain=True,
    )
    yield Channel(
        name="checkpoint",
        topic=topics.checkpoint,
        summary="Signed heads of the ledger's chain",
        kinds=(CHECKPOINT,),
        retain=True,
    )
    yield Channel(
        name="unitStatus",
        topic=topics.unit_status("x-unit"),
        summary="Link, alarms, and the run state of every cap",
        kinds=(UNIT_STATUS,),
        retain=True,
    )
    yield Channel(
        name="temperature",
        topic=topics.temperature("x-unit", 7),
        summary="One reading of a cap",
        kinds=(TEMPERATURE,),
        qos=0,
        expiry_s=EXPIRY_S,
    )
    yield Channel(
        name="capEvent",
        topic=topics.cap_event("x-unit", 7),
        summary="Changes of run state and phase",
        kinds=(RUN_STATE_CHANGED, PHASE_CHANGED),
    )
    yield Channel(
        name="sessionHead",
        topic=topics.session("token"),
        summary="What a session has sent so far, without a patient",
        kinds=(SESSION_HEAD,),
        retain=True,
    )
    yield Channel(
        name="increment", topic=topics.increment, summary="97009 increments: emit, amend, retract", kinds=(INCREMENT,)
    )
    yield Channel(
        name="session",
        topic=topics.session_event,
        summary="Sessions opened, flagged, closed, finalised",
        kinds=tuple(SESSION_KINDS.values()),
    )
    yield Channel(
        name="chargeJson",
        topic=topics.charge(Notation.JSON),
        summary="Released charges and credits",
        kinds=(CHARGE,),
        reply="inJson",
    )
    yield Channel(
        name="chargeHl7",
        topic=topics.charge(Notation.HL7),
        summary="The same as DFT^P03",
        bare={"dftP03": "DFT^P03, ER7, CR between segments, no MLLP framing"},
        content_type=HL7_TYPE,
        reply="inHl7",
    )
    yield Channel(
        name="chargeFhir",
        topic=topics.charge(Notation.FHIR),
        summary="The same as a FHIR transaction Bundle",
        bare={"chargeBundle": "Bundle"},
        content_type=FHIR_TYPE,
        reply="inJson",
    )
    yield Channel(
        name="observationHl7",
        topic=topics.observation(Notation.HL7),
        summary="Temperatures for charting",
        bare={"oruR01": "ORU^R01 (IHE PCD-01), ER7"},
        content_type=HL7_TYPE,
        qos=0,
        expiry_s=CHARTING_EXPIRY_S,
    )
    yield Channel(
        name="observationFhir",
        topic=topics.observation(Notation.FHIR),
        summary="Temperatures for charting",
        bare={"observationBundle": "Bundle of Observations"},
        content_type=FHIR_TYPE,
        qos=0,
        expiry_s=CHARTING_EXPIRY_S,
    )
    yield Channel(
        name="result", topic=topics.result, summary="What became of each inbound message", kinds=(INBOUND_RESULT,)
    )
    yield Channel(
        name="inJson",
        topic=topics.inbound(Notation.JSON),
        summary="What an engine says as JSON",
        endings=tuple(READERS),
        receives=True,
    )
    yield Channel(
        name="inHl7",
        topic=topics.inbound(Notation.HL7),
        summary="What an engine says as HL7 v2",
        bare={"er7": "RAS^O17, ORU^R42, ORU^R01, ADT, ACK"},
        content_type=HL7_TYPE,
        receives=True,
    )
    yield Channel(
        name="inFhir",
        topic=topics.inbound(Notation.FHIR),
        summary="What an engine says as FHIR",
        bare={"medicationAdministration": "MedicationAdministration, R4 or R5"},
        content_type=FHIR_TYPE,
        receives=True,
    )
    yield Channel(
        name="alarm", topic=topics.alarm("x-code"), summary="Alarms raised and cleared", kinds=(ALARM,), retain=True
    )


def schemas() -> dict[str, Json]:
    """Every JSON Schema by its name, `increment-1`."""
    folder = files("gateway.messages") / "schemas"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name)
    return {each.name.removesuffix(".json"): cast(Json, json.loads(each.read_text())) for each in found}


def document() -> Json:
    """The whole description."""
    all_channels = list(channels())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Capgate",
            "version": software_version(),
            "description": "Topics under dev/ carry no patient identifiers. Those under ehr/ do: close them to all but "
            "the gateways and the interface engine. A test gateway has the root capgate-test/ instead of capgate/.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {each.name: _channel(each) for each in all_channels},
        "operations": {_operation_name(each): _operation(each) for each in all_channels},
        "components": {
            "messages": {name: message for each in all_channels for name, message in _messages(each)},
            "schemas": {name: _embedded(schema) for name, schema in schemas().items()},
        },
    }


def _channel(channel: Channel) -> Json:
    address = _address(channel.topic)
    return {
        "address": address,
        "summary": channel.summary,
        "parameters": {name: {"description": what} for name, what in _WHAT.items() if f"{{{name}}}" in address},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _messages(channel)},
    }


def _address(topic: str) -> str:
    for stand_in, name in _PLACES.items():
        topic = topic.replace(stand_in, name if "{" in name else f"{{{name}}}")
    return topic.removesuffix("token") + "{token}" if topic.endswith("/session/token") else topic


def _operation_name(channel: Channel) -> str:
    return f"{'receive' if channel.receives else 'send'}{channel.name[0].upper()}{channel.name[1:]}"


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
    for ending in channel.endings:
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
