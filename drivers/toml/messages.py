"""Converts pydantic's errors into messages for the author of a TOML file: what is wrong, and what is accepted."""

import types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Annotated, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from drivers.toml.lines import Path, Step

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": 'a decimal number as text, like "0.1"',
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "date": "a date like 2026-03-04",
    "datetime": "a date and time like 2026-03-04T12:00:00Z",
    "time": "a time like 12:00:00",
    "path": "a path as text",
    "url": "a URL as text",
}

_LIMITS = {
    "greater_than_equal": "too small, accepted: {ge} or more",
    "greater_than": "too small, accepted: more than {gt}",
    "less_than_equal": "too large, accepted: {le} or less",
    "less_than": "too large, accepted: less than {lt}",
    "string_pattern_mismatch": "not of the right form, accepted: text that matches {pattern}",
    "string_too_short": "too short, accepted: {min_length} characters or more",
    "string_too_long": "too long, accepted: {max_length} characters or fewer",
    "too_short": "too few, accepted: {min_length} or more",
    "too_long": "too many, accepted: {max_length} or fewer",
    "union_tag_not_found": "missing, it says what kind of table this is",
}


def misfits(model: type[BaseModel], data: object, error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Each error as (path in the document, message)."""
    for details in error.errors(include_url=False, include_input=False):
        kind = details["type"]
        path, tags = _document_path(details["loc"], data, is_missing=kind == "missing")
        if kind.startswith("union_tag"):
            path = (*path, str(details.get("ctx", {}).get("discriminator")).strip("'"))
        yield path, _message(details, path, model, tags)


def _document_path(loc: Sequence[Step], data: object, *, is_missing: bool) -> tuple[Path, set[Step]]:
    """`loc` without the steps that pydantic adds for branches of a union; those are returned as tags."""
    path: list[Step] = []
    tags: set[Step] = set()
    for position, step in enumerate(loc):
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and step in data:
            data = cast("dict[Step, object]", data)[step]
        elif isinstance(data, list) and isinstance(step, int):
            items = cast("list[object]", data)
            data = items[step] if step < len(items) else None
        elif not (is_last and is_missing):
            tags.add(step)
            continue
        path.append(step)
    return tuple(path), tags


def _message(details: ErrorDetails, path: Path, model: type[BaseModel], tags: set[Step]) -> str:
    context = details.get("ctx", {})
    kind = details["type"]
    match kind:
        case "missing":
            accepted = _accepted_at(model, path, tags)
            return f"missing, accepted: {accepted}" if accepted else "missing, it is required"
        case "extra_forbidden":
            return f"unknown key, accepted: {', '.join(_keys_at(model, path[:-1], tags))}"
        case "enum" | "literal_error" | "union_tag_invalid":
            return f"unknown value, accepted: {_listed(str(context.get('expected', context.get('expected_tags'))))}"
        case "value_error":
            return str(context.get("error", details["msg"]))
        case _:
            limit = _LIMITS.get(kind)
            return limit.format(**context) if limit else _wrong_type(kind) or details["msg"]


def _wrong_type(kind: str) -> str | None:
    accepted = _KINDS.get(kind.rsplit("_", 1)[0]) or _KINDS.get(kind.split("_", 1)[0])
    return f"wrong type, accepted: {accepted}" if accepted else None


def _listed(expected: str) -> str:
    """pydantic's "'a', 'b' or 'c'" as "a, b, c"."""
    return expected.replace(" or ", ", ").replace("'", "")


def _keys_at(model: type[BaseModel], path: Path, tags: set[Step]) -> list[str]:
    """The keys that the table at `path` may have."""
    return list(dict.fromkeys(key for each in _models_at(model, path, tags) for key in map(str, _fields(each))))


def _accepted_at(model: type[BaseModel], path: Path, tags: set[Step]) -> str | None:
    """What the field at `path` accepts, if that is a closed set or a plain type."""
    for each in _models_at(model, path[:-1], tags):
        if field := _fields(each).get(path[-1]):
            return field.description or _accepted_by(field.annotation)
    return None


def _fields(model: type[BaseModel]) -> dict[Step, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _accepted_by(annotation: object) -> str | None:
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return ", ".join(str(member.value) for member in annotation)
        if issubclass(annotation, BaseModel):
            return f"a table with {', '.join(map(str, _fields(annotation)))}"
        return _KINDS.get({"str": "string"}.get(annotation.__name__, annotation.__name__.lower()))
    return None


def _models_at(model: type[BaseModel], path: Path, tags: set[Step]) -> list[type[BaseModel]]:
    """The models valid at `path`; of a union only the branch that `tags` selects, if they select one."""
    models = [model]
    for step in path:
        if isinstance(step, int):
            continue  # the item types of a list were already unfolded with the list
        annotations = [fields[step].annotation for fields in map(_fields, models) if step in fields]
        models = [found for annotation in annotations for found in _models_in(annotation)]
        chosen = [each for each in models if _is_chosen(each, tags)]
        models = chosen or models
    return models


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, list, tuple, dict):
        for argument in get_args(annotation):
            yield from _models_in(argument)


def _is_chosen(model: type[BaseModel], tags: set[Step]) -> bool:
    """Whether `tags` selects the branch of a union: by its name, or by a literal field with the tag."""
    literals = {
        value
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for value in get_args(field.annotation)
    }
    return model.__name__ in tags or bool(literals & tags)
