"""Every message that is built is valid under its schema, every broken one is not, and the page shows what is built."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft7Validator, FormatChecker

from tests.contract.message_samples import PAGE, SCHEMAS, built, fill_page, pretty, sample_files

Json = dict[str, Any]

FORMATS = FormatChecker()
BUILT = built()
INBOUND = {name: json.loads(text) for name, text in sample_files().items() if name.startswith("in_")}
INBOUND_SCHEMAS = {
    "infusion": "in-infusion",
    "association": "in-association",
    "order": "in-order-check",
    "session": "in-finalisation",
    "preparation": "in-preparation",
    "tolerance": "in-tolerance",
    "cap.identified": "in-cap-identity",
    "cap.removed": "in-cap-change",
    "cooling": "in-cap-change",
    "patient": "in-cap-change",
    "ack": "in-ack",
}


def schema(name: str) -> Json:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def problems(instance: object, name: str) -> list[str]:
    validator = Draft7Validator(schema(name), format_checker=FORMATS)
    return [error.message for error in cast(Any, validator).iter_errors(instance)]


def schema_of(event: Json) -> str:
    return event["dataschema"].removeprefix("urn:capgate:schema:")


def data_of(sample: str) -> Json:
    return json.loads(BUILT[sample])["data"]


def broken(sample: str, change: Callable[[Json], object]) -> list[str]:
    event = json.loads(BUILT[sample])
    change(event["data"])
    return problems(event["data"], schema_of(event))


def containers(value: object) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield cast(object, value)
        inner = cast(dict[str, object] | list[object], value)
        for item in inner.values() if isinstance(inner, dict) else inner:
            yield from containers(item)


def test_the_format_checker_knows_instants_and_uris() -> None:
    assert {"date-time", "uri"} <= FORMATS.checkers.keys()


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_draft_07_and_named_for_its_file(path: Path) -> None:
    document = json.loads(path.read_text())
    Draft7Validator.check_schema(document)
    assert document["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert document["$id"] == f"urn:capgate:schema:{path.stem}"


@pytest.mark.parametrize("sample", BUILT)
def test_every_built_message_is_valid(sample: str) -> None:
    event = json.loads(BUILT[sample])
    assert problems(event, "event-1") == []
    assert problems(event["data"], schema_of(event)) == []


@pytest.mark.parametrize("sample", BUILT)
def test_a_field_that_no_schema_knows_is_refused_wherever_it_stands(sample: str) -> None:
    event = json.loads(BUILT[sample])
    for item in containers(event["data"]):
        if isinstance(item, list):
            continue
        item["patient_name"] = "Doe"
        assert problems(event["data"], schema_of(event)) != []
        del item["patient_name"]


@pytest.mark.parametrize("sample", BUILT)
def test_a_value_of_the_wrong_kind_is_refused_wherever_it_stands(sample: str) -> None:
    event = json.loads(BUILT[sample])
    for item in containers(event["data"]):
        keys: list[Any] = list(cast(Json, item)) if isinstance(item, dict) else list(range(len(item)))
        for key in keys:
            kept = cast(object, item[key])
            item[key] = {"no": "such thing"}
            assert problems(event["data"], schema_of(event)) != [], key
            item[key] = kept


@pytest.mark.parametrize("sample", BUILT)
def test_a_message_without_a_required_field_is_refused(sample: str) -> None:
    event = json.loads(BUILT[sample])
    for key in schema(schema_of(event))["required"]:
        assert problems({k: v for k, v in event["data"].items() if k != key}, schema_of(event)) != [], key
    for key in schema("event-1")["required"]:
        assert problems({k: v for k, v in event.items() if k != key}, "event-1") != [], key


def put(key: str, value: object) -> Callable[[Json], object]:
    def change(data: Json) -> None:
        data[key] = value

    return change


BROKEN: dict[str, tuple[str, Callable[[Json], object]]] = {
    "an emission that says what it was": (
        "increment_emit",
        put("was", "2026-03-10T15:16:00.000Z"),
    ),
    "an amendment that does not": ("increment_amend", lambda d: d.pop("was")),
    "an amendment without its instant": ("increment_amend", lambda d: d.pop("attained_at")),
    "a retraction with an instant": ("increment_retract", put("attained_at", "2026-03-10T15:16:00.000Z")),
    "an increment without an infusion end": ("increment_emit", put("infusion_end", None)),
    "an increment counted from a pump": ("increment_emit", lambda d: d["infusion_end"].update(source="pump")),
    "an increment without intervals": ("increment_emit", put("intervals", [])),
    "another code": ("increment_emit", lambda d: d["code"].update(value="97008")),
    "a revision in lower case": ("increment_emit", put("revision", "a")),
    "a day that does not exist": ("increment_emit", put("attained_at", "2026-02-30T15:16:00.000Z")),
    "an instant without an offset": ("increment_emit", put("attained_at", "2026-03-10T15:16:00.000")),
    "an instant finer than milliseconds": ("increment_emit", put("attained_at", "2026-03-10T15:16:00.000001Z")),
    "held for no reason": ("increment_amend", lambda d: d["release"].update(reasons=[])),
    "provisional for a reason": ("increment_emit", lambda d: d["release"].update(reasons=["no-order"])),
    "a name among the identifiers": ("increment_emit", lambda d: d["patient"].update(name="Doe")),
    "coolant called the body": ("temperature", lambda d: d["values"][1].update(name="body")),
    "a bad value that is given": ("temperature", lambda d: d["values"][0].update(value=0.0)),
    "a good value that is missing": ("temperature", lambda d: d["values"][1].update(value=None)),
    "a bad value without a reason": ("temperature", lambda d: d["values"][0].pop("reason")),
    "a good value with a reason": ("temperature", lambda d: d["values"][1].update(reason="frozen")),
    "a temperature in Fahrenheit": ("temperature", lambda d: d["values"][1].update(unit="[degF]")),
    "a reading of cap 0": ("temperature", put("cap", 0)),
    "a link that is down for no fault": ("unit_status_down", lambda d: d.pop("fault")),
    "a unit out of sight that runs": ("unit_status_down", lambda d: d["caps"][0].update(run_state="running")),
    "a unit that answers, with a fault": ("unit_status_up", put("fault", "timeout")),
    "a will without a reason": ("gateway_will", lambda d: d.pop("reason")),
    "a birth with a reason": ("gateway_birth", put("reason", "shutdown")),
    "a phase that is a run state": ("cap_phase", put("to", "running")),
    "a run state that is a phase": ("cap_run_state", put("to", "infusion")),
    "a credit of nothing": ("credit", lambda d: d.pop("reverses")),
    "a charge that reverses one": ("charge", put("reverses", "9RX2M7KQ400A")),
    "a charge of no units": ("charge", put("quantity", 0)),
    "a charge without a visit": ("charge", lambda d: d.pop("patient")),
    "a rejection without advice": ("result_rejected", lambda d: d.pop("text")),
    "a head without a hash": ("session_head", put("head_hash", "")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_contradicts_itself_is_refused(name: str) -> None:
    sample, change = BROKEN[name]
    assert broken(sample, change) != []


def test_a_restricted_event_must_name_its_regulation() -> None:
    event = json.loads(BUILT["increment_emit"])
    del event["dataregulation"]
    assert problems(event, "event-1") != []


@pytest.mark.parametrize("sample", [s for s in BUILT if s.split("_")[0] in ("gateway", "unit", "cap", "alarm")])
def test_what_goes_under_dev_names_no_patient(sample: str) -> None:
    assert json.loads(BUILT[sample])["dataclassification"] == "internal"
    assert "patient" not in json.dumps(schema(schema_of(json.loads(BUILT[sample])))["properties"])


@pytest.mark.parametrize("sample", INBOUND)
def test_every_inbound_sample_is_valid_under_the_schema_of_its_type(sample: str) -> None:
    thing = INBOUND[sample]["type"].removeprefix("org.example.engine.")
    (name,) = [f"{name}-1" for start, name in INBOUND_SCHEMAS.items() if thing.startswith(f"{start}.")]
    assert problems(INBOUND[sample]["data"], name) == []
    for key in schema(name)["required"]:
        data = copy.deepcopy(INBOUND[sample]["data"])
        del data[key]
        assert problems(data, name) != [], key


def test_the_sample_files_are_what_the_builders_make() -> None:
    files = {name.removeprefix("out_"): text for name, text in sample_files().items() if name.startswith("out_")}
    assert files == {name: pretty(message) for name, message in BUILT.items()}


def test_the_page_shows_the_sample_files_and_leaves_none_out() -> None:
    page, samples = PAGE.read_text(), sample_files()
    assert fill_page(page, samples) == page
    missing = [name for name in samples if f"<!-- sample: {name} -->" not in page]
    assert missing == []


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_the_page_names_every_field_of_every_schema(path: Path) -> None:
    page = PAGE.read_text()
    assert f"schemas/{path.name}" in page
    section = page.split(f"schemas/{path.name}", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    assert [key for key in json.loads(path.read_text())["properties"] if f"`{key}`" not in section] == []
