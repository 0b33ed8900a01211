"""Pydantic models of inbound JSON: the CloudEvents envelope and the data of every type.

Unknown fields are ignored; known fields must be valid. A field's description is what the answer to a rejected message
names as accepted, so descriptions are written for the person who builds the message.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.messages.identity import Number
from gateway.messages.inbound.json_details import DetailsModel

_MAX_INT = 2**53  # what every JSON reader keeps exactly; microseconds fit until the year 2255


class InboundModel(BaseModel):
    """Base of all inbound models: frozen, no coercion, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", str_strip_whitespace=True)


Name = Annotated[str, Field(min_length=1, max_length=64)]
Segment = Annotated[Name, AfterValidator(str.lower)]  # a name of the gateway's own: those are lower-case


class Identified(InboundModel):
    """A number, and who assigned it."""

    system: str | None = None
    value: Name

    @property
    def number(self) -> Number:
        """As it is compared: a system is a universal id."""
        return Number(self.value, f"&{self.system}" if self.system else "")


def _identified(value: object) -> object:
    return {"value": value} if isinstance(value, str) else value


Identifier = Annotated[Identified, BeforeValidator(_identified)]
_IDENTIFIER = 'text of 1 to 64 characters, or {"system": ..., "value": text}; never a number, which loses leading zeros'
_TIME = "RFC 3339 text with an offset, as in 2026-03-10T15:00:00-04:00"


class Envelope(InboundModel):
    """The CloudEvents attributes that are read."""

    specversion: Literal["1.0"] = Field(description='"1.0"')
    type: str = Field(min_length=1, max_length=256, description="text, as in org.example.infusion.started.v1")
    source: str = Field(min_length=1, max_length=256, description="text that names the sender, 1 to 256 characters")
    id: str = Field(min_length=1, max_length=256, description="text, unique at the sender, 1 to 256 characters")
    time: str = Field(max_length=64, description=f"when it happened, {_TIME}")
    recordedtime: str | None = Field(default=None, max_length=64, description=f"when it was charted, {_TIME}")
    data: dict[str, object] = Field(description="an object, as the type's schema has it")


class PatientIds(InboundModel):
    """A patient's identifiers in the EHR."""

    visit: Identifier | None = Field(default=None, description=_IDENTIFIER)
    mrn: Identifier | None = Field(default=None, description=_IDENTIFIER)
    account: Identifier | None = Field(default=None, description=_IDENTIFIER)


class PlacedModel(InboundModel):
    """The fields that all data have in common: cap and patient."""

    unit: Segment | None = Field(default=None, description="the unit's name in the gateway, text")
    cap: int | None = Field(default=None, ge=1, le=99, description="the cap's number on its unit, from 1")
    chair: Segment | None = Field(default=None, description="the chair's name in the gateway, text")
    visit: Identifier | None = Field(default=None, description=_IDENTIFIER)
    patient: PatientIds = Field(default=PatientIds(), description='an object, as in {"visit": "V770012"}')


class Infusion(PlacedModel):
    """Start, end, restart or withdrawal of one agent."""

    order: Name | None = Field(default=None, description="text that names the order, 1 to 64 characters")
    administration: Name | None = Field(
        default=None, description="text that names the administration, 1 to 64 characters"
    )
    agent_class: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="text, one of the agent classes"
    )
    source: Literal["mar", "pump", "person", "manual"] | None = Field(
        default=None, description='"mar", "pump", "person"'
    )
    final: bool = Field(default=False, description="true or false")
    amends: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="the id of the message whose end this one changes"
    )
    voided: bool = Field(default=False, description="true or false")
    version: int | None = Field(
        default=None, ge=0, le=_MAX_INT, description="a whole number that grows with every change"
    )
    remaining_chemo_orders: int | None = Field(default=None, ge=0, le=99, description="a whole number, 0 to 99")
    details: DetailsModel = Field(default=DetailsModel(), description="an object, as the schema has it")


class Association(PlacedModel):
    """A cap begins to serve a patient, or no longer does."""

    validated: bool = Field(description="true once a person or a scan has confirmed it, otherwise false")
    asserted_by: Literal["scan", "ehr", "person", "manual"] | None = Field(
        default=None, description='"scan", "ehr" or "person"'
    )


class OrderCheckModel(PlacedModel):
    """Whether the order for scalp cooling was found."""

    found: bool = Field(description="true or false")
    ordered_post_minutes: float | None = Field(
        default=None, gt=0, le=1440, allow_inf_nan=False, description="minutes after the infusion, above 0, up to 1440"
    )


class OfSession(PlacedModel):
    """Base of data about one session, by a person."""

    session: Name | None = Field(default=None, description="the session's token, 9 characters")
    person: Name = Field(description="who says so, 1 to 64 characters")
    reason: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="a remark, up to 200 characters"
    )


class Finalisation(OfSession):
    """A person signs a session."""


class Preparation(OfSession):
    """Hair preparation, cap placement and pre-cooling were charted."""


class ToleranceModel(OfSession):
    """A check of how the patient tolerates the cooling."""

    vital_signs: Literal["ok", "concern"] | None = Field(default=None, description='"ok" or "concern"')
    comfort: Literal["ok", "concern"] | None = Field(default=None, description='"ok" or "concern"')
    scalp: Literal["ok", "concern"] | None = Field(default=None, description='"ok" or "concern"')


class CapIdentity(OfSession):
    """The cap that the patient wears."""

    cap_id: Name = Field(description="text as printed on the cap, 1 to 64 characters")
    lot: Name | None = Field(default=None, description="its lot, text of 1 to 64 characters")


class CapChange(PlacedModel):
    """An event at the chair that ends cooling."""

    source: Name | None = Field(default=None, description="who or what charted it, 1 to 64 characters")


class Ack(InboundModel):
    """The engine's receipt for a message of the gateway."""

    for_: str = Field(alias="for", min_length=1, max_length=256, description="the id of the message it is about")
    result: Literal["stored", "accepted", "rejected", "error"] = Field(
        description='"stored", "accepted", "rejected" or "error"'
    )
    code: Name | None = Field(default=None, description="why it was rejected, a code of 1 to 64 characters")
    text: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="why it was rejected, in words, up to 1000 characters"
    )
    sequence: Annotated[str, Field(pattern=r"^[0-9]{1,16}$")] | None = Field(
        default=None, description="the sequence of that message, as its envelope has it: all before it have arrived too"
    )


def explain(error: ValidationError, model: type[InboundModel], prefix: str = "") -> str:
    """The fields to correct, with what is accepted, without the values that were sent."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = [str(part) for part in item["loc"][:2]] if item["loc"][0] == "patient" else [str(item["loc"][0])]
        field_name = prefix + ".".join(path)
        is_absent = item["type"] == "missing" and len(item["loc"]) == len(path)
        verdict = "missing" if is_absent else "not accepted"
        problems.setdefault(field_name, f"{field_name}: {verdict}; accepted: {_accepted(model, path)}")
    return ". ".join(problems.values())


def _accepted(model: type[InboundModel], path: list[str]) -> str:
    owner = PatientIds if len(path) == 2 else model
    by_alias = {info.alias or name: info for name, info in owner.model_fields.items()}
    return by_alias[path[-1]].description or "see the schema"


def known_names() -> frozenset[str]:
    """The fields that any reader uses."""
    models = [Envelope, PatientIds, Ack, *_with_heirs(PlacedModel)]
    return frozenset(info.alias or name for model in models for name, info in model.model_fields.items())


def _with_heirs(model: type[InboundModel]) -> list[type[InboundModel]]:
    return [model, *(heir for each in model.__subclasses__() for heir in _with_heirs(each))]
