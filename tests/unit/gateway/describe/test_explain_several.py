"""`capgate explain` of one file with several messages: each of them, for people and as JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.unit.gateway.messages.hl7_support import SAMPLES, fhir, hl7

START, END = hl7("ras_o17_start"), hl7("ras_o17_complete")
RESOURCES = [
    json.loads(fhir(f"r4_medicationadministration_{status}", id=status)) for status in ("in_progress", "completed")
]
EVENTS = [json.loads((SAMPLES / f"event_infusion_{what}.json").read_text()) for what in ("started", "completed")]
TOGETHER = {
    "batch.hl7": b"FHS|^~\\&|MAR\rBHS|^~\\&|MAR\r" + START + END + b"BTS|2\rFTS|1\r",
    "several.hl7": START.replace(b"\r", b"\n") + END.replace(b"\r", b"\n"),
    "framed.hl7": b"\x0b" + START + b"\x1c\r\x0b" + END + b"\x1c\r",
    "bundle.json": json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in RESOURCES]}
    ).encode(),
    "array.json": json.dumps(EVENTS).encode(),
    "lines.ndjson": b"\n".join(json.dumps(each).encode() for each in EVENTS),
}


def run(path: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["explain", str(path), *options])
    return result.exit_code, result.output


@pytest.fixture(params=TOGETHER)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written = tmp_path / request.param
    written.write_bytes(TOGETHER[request.param])
    return written


def test_each_message_is_explained(path: Path) -> None:
    code, text = run(path)
    assert code == 0
    assert [line for line in text.splitlines() if line.endswith(" of 2:")] == ["1 of 2:", "2 of 2:"]
    first, second = text.split("2 of 2:")
    assert "infusion_started" in first
    assert "infusion_end" in second
    assert "infusion_end" not in first


def test_each_message_stands_in_the_json(path: Path) -> None:
    code, text = run(path, "--json")
    assert code == 0
    messages = json.loads(text)["messages"]
    assert [each["result"] for each in messages] == ["accepted", "accepted"]
    last = [each["facts"][-1]["fact"] for each in messages]
    assert last[0] == "infusion_started"
    assert last[1].startswith("infusion_end")
    assert all(each["taken"] for each in messages)


def test_one_that_would_not_be_taken_is_the_answer(tmp_path: Path) -> None:
    odd = tmp_path / "odd.hl7"
    odd.write_bytes(START + hl7("ras_o17_start", RXA_3="yesterday"))
    code, text = run(odd, "--json")
    assert code == 1
    assert [each["result"] for each in json.loads(text)["messages"]] == ["accepted", "rejected"]


def test_a_bundle_of_one_is_one_message(tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": RESOURCES[1]}]}))
    code, text = run(alone, "--json")
    assert code == 0
    assert json.loads(text)["id"].startswith("MedicationAdministration/completed|")
