"""No TOML file writes a number, a date or true and false in quotes: each key of each file takes its own type alone."""

from collections.abc import Iterator
from typing import cast

import pytest
from pydantic import BaseModel

from drivers.profile.dialect_shapes import SHAPES
from gateway.bridge.config import BridgeFile
from gateway.config.tables import ConfigFile, DrugCodes
from gateway.config.vocabulary import VocabularyFile
from gateway.session.policy import PolicyFile
from simulators.scenario.scenario_format import Scenario

CONVERTED = (
    "bool",
    "int",
    "float",
    "date",
    "datetime",
    "time",
)  # made of text where it is not strict


def lenient(schema: object, key: str) -> Iterator[str]:
    """The keys in a schema of pydantic's core under which text is converted."""
    match schema:
        case {"type": str(kind)} if kind in CONVERTED:
            if not cast("dict[str, object]", schema).get("strict"):
                yield key
        case dict():
            for name, part in cast("dict[str, object]", schema).items():
                yield from lenient(part, name)
        case list() | tuple():
            for part in cast("list[object]", schema):
                yield from lenient(part, key)
        case _:
            return


FILES = [ConfigFile, BridgeFile, PolicyFile, VocabularyFile, DrugCodes, Scenario, *dict.fromkeys(SHAPES.values())]


@pytest.mark.parametrize("model", FILES)
def test_no_key_takes_its_value_in_quotes(model: type[BaseModel]) -> None:
    assert sorted(set(lenient(model.__pydantic_core_schema__, ""))) == []
