"""Converts pydantic's errors into messages for the author of a TOML file: what is wrong, and what is accepted."""

import types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Annotated, Literal, NamedTuple, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from drivers.toml.lines import Path, Step
from drivers.toml.nearest import did_you_mean, nearest

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
    "finite_number": "not a finite number, accepted: one that is neither nan nor inf",
    "int_from_float": "wrong type, accepted: a whole number",
    "string_pattern_mismatch": "not of the right form, accepted: text that matches {pattern}",
    "string_too_short": "too short, accepted: {min_length} characters or more",
    "string_too_long": "too long, accepted: {max_length} characters or fewer",
    "too_short": "too few, accepted: {min_length} or more",
    "too_long": "too many, accepted: {max_length} or fewer",
}
_CLOSED = ("enum", "literal_error", "union_tag_invalid")  # errors of a value outside a closed set
_KEY = "[key]"  # pydantic's step for the key of a table, in place of its value
_ACCEPTED = ", accepted: "


class Misfit(NamedTuple):
    """An error at `path`. `meant`: the key that the last one of `path` was meant to be, if it is a misspelt key."""

    path: Path
    message: str
    meant: str | None = None


class _Found(NamedTuple):
    """One of pydantic's errors: its place in the document, and the branches of unions that it was met in."""

    details: ErrorDetails
    path: Path
    tags: tuple[Step, ...]
    union: Path  # where the first of these branches; the path itself if there is none


def misfits(model: type[BaseModel], data: object, error: ValidationError) -> Iterator[Misfit]:
    """Each error once: of a union what its likeliest branch says, of a list not its length where an item is wrong."""
    found = [_found(details, data) for details in error.errors(include_url=False, include_input=False)]
    unions: dict[Path, list[_Found]] = {}
    for each in found:
        unions.setdefault(each.union, []).append(each)
    told: set[Path] = set()
    for each in found:
        if each.union in told:
            continue
        met = unions[each.union]
        if any(other.tags for other in met):
            told.add(each.union)
            yield from _of_union(met, model, data)
        elif not (each.details["type"] == "too_short" and _has_below(each.path, found)):
            yield _misfit(each, model, data)


def _has_below(path: Path, found: Sequence[_Found]) -> bool:
    return any(len(other.path) > len(path) and other.path[: len(path)] == path for other in found)


def _of_union(met: Sequence[_Found], model: type[BaseModel], data: object) -> Iterator[Misfit]:
    """The errors of the branch that fits best: one into which the value could be looked; else all that are accepted."""
    branches: dict[Step, list[_Found]] = {}
    for each in met:
        branches.setdefault(each.tags[0] if each.tags else "", []).append(each)
    looked_into = [errors for errors in branches.values() if any(len(each.path) > len(each.union) for each in errors)]
    if looked_into or len(branches) == 1:
        best = min(looked_into or branches.values(), key=len)
        yield from (_misfit(each, model, data) for each in best)
        return
    told = [_misfit(each, model, data).message for each in met]
    accepted = list(dict.fromkeys(text.partition(_ACCEPTED)[2] for text in told))
    if _KINDS["float"] in accepted and _KINDS["int"] in accepted:
        accepted.remove(_KINDS["int"])
    first = next((text for text in told if not text.startswith("wrong type")), told[0])
    yield Misfit(met[0].union, f"{first.partition(_ACCEPTED)[0]}{_ACCEPTED}{', or '.join(accepted)}")


def _found(details: ErrorDetails, data: object) -> _Found:
    kind = details["type"]
    path, tags, union = _document_path(details["loc"], data, is_missing=kind == "missing")
    if kind.startswith("union_tag"):
        path = (*path, str(details.get("ctx", {}).get("discriminator")).strip("'"))
        union = path
    if kind == "missing" and isinstance(path[-1], int):
        path = path[:-1]  # an item that a list of fixed length lacks
        union = path
    return _Found(details, path, tags, union)


def _misfit(found: _Found, model: type[BaseModel], data: object) -> Misfit:
    details, path, tags = found.details, found.path, set(found.tags)
    context, kind = details.get("ctx", {}), details["type"]
    match kind:
        case "missing":
            accepted = _accepted_at(model, path, tags)
            return Misfit(path, f"missing, accepted: {accepted}" if accepted else "missing, it is required")
        case "union_tag_not_found":
            return Misfit(path, f"missing, accepted: {', '.join(_tags_at(model, path))}")
        case "extra_forbidden":
            keys, there = _keys_at(model, path[:-1], tags), _value_at(data, path[:-1])
            free = [key for key in keys if not (isinstance(there, dict) and key in there)]
            meant = nearest(str(path[-1]), free)
            message = f"unknown key, accepted: {', '.join(keys)}{did_you_mean(str(path[-1]), free)}"
            return Misfit(path, message, meant)
        case _ if kind in _CLOSED:
            accepted = _listed(str(context.get("expected", context.get("expected_tags"))))
            is_key = found.tags[-1:] == (_KEY,)
            value = path[-1] if is_key else _value_at(data, path)
            meant = did_you_mean(value, accepted.split(", ")) if isinstance(value, str) else ""
            return Misfit(path, f"unknown {'key' if is_key else 'value'}, accepted: {accepted}{meant}")
        case "value_error":
            return Misfit(path, str(context.get("error", details["msg"])))
        case "string_pattern_mismatch" if description := _description_at(model, path, tags):
            return Misfit(path, f"not of the right form, accepted: {description}")
        case "too_short" if description := _description_at(model, path, tags):
            return Misfit(path, f"too few, accepted: {description}")
        case _:
            limit = _LIMITS.get(kind)
            return Misfit(path, limit.format(**context) if limit else _wrong_type(kind) or details["msg"])


def _value_at(data: object, path: Path) -> object:
    for step in path:
        if isinstance(data, dict):
            data = cast("dict[Step, object]", data).get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(cast("list[object]", data)):
            data = cast("list[object]", data)[step]
        else:
            return None
    return data


def _document_path(loc: Sequence[Step], data: object, *, is_missing: bool) -> tuple[Path, tuple[Step, ...], Path]:
    """`loc` without the steps that pydantic adds for branches of a union; those as tags, and where the first stood."""
    path: list[Step] = []
    tags: list[Step] = []
    union: Path | None = None
    for position, step in enumerate(loc):
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and step in data:
            data = cast("dict[Step, object]", data)[step]
        elif isinstance(data, list) and isinstance(step, int):
            items = cast("list[object]", data)
            data = items[step] if step < len(items) else None
        elif not (is_last and is_missing):
            tags.append(step)
            union = tuple(path) if union is None else union
            continue
        path.append(step)
    return tuple(path), tuple(tags), tuple(path) if union is None else union


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
    """What the field at `path` accepts, as far as that can be said in a line."""
    field = _field_at(model, path, tags)
    return (field.description or _accepted_by(field.annotation)) if field else None


def _description_at(model: type[BaseModel], path: Path, tags: set[Step]) -> str | None:
    """What the field at `path`, or an item of it, says of itself."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    field = _field_at(model, path, tags)
    return (field.description or _description_in(field.annotation)) if field else None


def _description_in(annotation: object) -> str | None:
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        described = (each.description for each in extras if isinstance(each, FieldInfo) and each.description)
        return next(described, None) or _description_in(inner)
    return next(filter(None, map(_description_in, get_args(annotation))), None)


def _field_at(model: type[BaseModel], path: Path, tags: set[Step]) -> FieldInfo | None:
    fields = (_fields(each).get(path[-1]) for each in _models_at(model, path[:-1], tags)) if path else ()
    return next((field for field in fields if field), None)


def _fields(model: type[BaseModel]) -> dict[Step, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _accepted_by(annotation: object) -> str | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is Annotated:
        return _accepted_by(arguments[0])
    if origin is tuple:
        return _items_of(arguments)
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return ", ".join(str(member.value) for member in annotation)
        if issubclass(annotation, BaseModel):
            return f"a table with {', '.join(map(str, _fields(annotation)))}"
        return _KINDS.get({"str": "string"}.get(annotation.__name__, annotation.__name__.lower()))
    return None


def _items_of(arguments: tuple[object, ...]) -> str:
    if arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}"
    tables = [_accepted_by(each) for each in _models_in(arguments[0])]
    return f"{' or '.join(filter(None, tables))}, one or more" if tables else "a list"


def _tags_at(model: type[BaseModel], path: Path) -> list[str]:
    """The values of the key at `path`, which says what kind of table this is."""
    fields = [_fields(each).get(path[-1]) for each in _models_at(model, path[:-1], set())]
    return [str(value) for field in fields if field for value in get_args(field.annotation)]


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
