"""Messages before their JSON Schemas."""

import json
from typing import Any, cast

from jsonschema import Draft7Validator, FormatChecker

from tests.contract.message_samples import SCHEMAS

Json = dict[str, Any]


def problems(event: Json) -> list[str]:
    """What is wrong with an event's data by the schema that it names."""
    name = str(event["dataschema"]).removeprefix("urn:capgate:schema:")
    validator = Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text()), format_checker=FormatChecker())
    return [error.message for error in cast(Any, validator).iter_errors(event["data"])]
