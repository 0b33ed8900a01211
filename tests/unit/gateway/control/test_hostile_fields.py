"""Every field of every request with hostile texts: it is taken as the text that it is, or refused in plain words."""

import json
from typing import get_args

import pytest

from gateway.control.requests import (
    AnyAct,
    AnyQuery,
    ControlRequest,
    RequestRefused,
    SendTest,
    TookRequest,
    read_request,
)
from tests.support.hostile_texts import TEXTS

TOKEN = "9RX2M7KQ4"
MODELS: tuple[type[ControlRequest], ...] = (*get_args(AnyQuery), *get_args(AnyAct))
FIELDS = [(model, name) for model in MODELS for name in model.model_fields if name not in ("request", "act")]
KNOWN: dict[str, object] = {
    "person": "m.curie", "reason": "as said", "token": TOKEN, "session": TOKEN, "sessions": [TOKEN], "unit": "cap-01",
    "loaner": "cap-99", "line": "net-1", "looked": "list", "what": TOKEN, "holds": ["no_order"], "approve": True,
    "charge": "9RX2M7KQ400A", "cap_id": "C-1", "text": "calm", "found": True, "order": "O-1", "at": "10:00",
    "place": "c01", "visit": "V-1", "item": "0a1b2c3d4e5f",
}  # fmt: skip


WHAT: dict[type[ControlRequest], dict[str, object]] = {
    SendTest: {"what": "charge"},
    TookRequest: {"what": "diagnose"},
}


def request_of(model: type[ControlRequest], **changed: object) -> bytes:
    """A request of that kind that is taken."""
    fields = model.model_fields
    tags = {name: get_args(fields[name].annotation)[0] for name in ("request", "act") if name in fields}
    needed = {name: KNOWN[name] for name, field in fields.items() if field.is_required() and name in KNOWN}
    whole = {"request": "tell", **needed, **WHAT.get(model, {}), **tags, **changed}
    return json.dumps(whole).encode()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_request_is_taken_as_it_stands(model: type[ControlRequest]) -> None:
    read_request(request_of(model))


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_a_text_is_taken_as_it_is_or_refused_without_being_quoted(model: type[ControlRequest], name: str) -> None:
    many = isinstance(KNOWN.get(name), list)
    for text in TEXTS:
        kept = taken(request_of(model, **{name: [text] if many else text}), name)
        if isinstance(kept, RequestRefused):
            said = f"{kept.error} {kept.accepted}"
            assert kept.error.startswith(f"{name}: "), text
            assert kept.accepted
            assert said.isprintable()
            assert len(text) < 12 or text not in said
        else:
            assert kept in (text.strip(), (text.strip(),)), "nothing is left out, and nothing added"
            assert text.strip().isprintable() or name == "at", "a time is read later, and refused then"


def taken(line: bytes, name: str) -> object:
    """The field as it is taken, or the refusal."""
    try:
        return getattr(read_request(line), name)
    except RequestRefused as refused:
        return refused
