"""`capgate explain FOLDER`: the words and drugs of many messages, and which the site has not mapped."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.describe.survey import messages_of
from tests.support.pipeline import CONFIG, POLICY
from tests.unit.gateway.messages.hl7_support import SAMPLES, fhir, hl7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    month = tmp_path / "month"
    (month / "day-1").mkdir(parents=True)
    stopped = [hl7("ras_o17_complete", RXA_20="CP", RXA_9="STOPPED^Stopped^L")] * 3
    odd = [hl7("ras_o17_complete", RXA_9="Rate  Decreased"), hl7("ras_o17_complete", RXA_9="rate decreased")]
    batch = b"FHS|^~\\&|MAR\rBHS|^~\\&|MAR\r" + b"".join([*stopped, *odd]) + b"BTS|5\rFTS|1\r"
    (month / "day-1" / "batch.hl7").write_bytes(batch)
    (month / "framed.hl7").write_bytes(b"\x0b" + hl7("ras_o17_start", RXA_5="DOXO^Doxorubicin^L") + b"\x1c\r")
    (month / "resources.ndjson").write_bytes(b"\n".join([fhir("r4_medicationadministration_completed")] * 2))
    (month / "event.json").write_bytes((SAMPLES / "event_infusion_completed.json").read_bytes())
    (month / ".hidden").write_bytes(b"nothing to see")
    return month


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["explain", *map(str, arguments)])
    return result.exit_code, result.output


def test_it_counts_words_and_drugs_by_field(folder: Path) -> None:
    code, text = run(folder, "--json")
    survey = json.loads(text)
    assert code == 1
    assert (survey["files"], survey["messages"]) == (4, 9)
    assert survey["results"] == {"accepted": 7, "ignored unknown-word": 2}
    met = {(each["where"], each["value"]): (each["times"], each["meaning"]) for each in survey["met"]}
    assert met["RXA-9.1", "rate decreased"] == (2, "")
    assert met["RXA-9.2", "stopped"] == (3, "end")
    assert met["RXA-20.1", "cp"] == (5, "complete")
    assert met["RXA-5", "DOXO"] == (1, "")
    assert met["medicationCodeableConcept.coding.code", "PACLI"] == (2, "")


def test_it_says_so_to_people(folder: Path) -> None:
    _, text = run(folder)
    assert "9 messages in 4 files: 7 accepted, 2 ignored unknown-word" in text
    assert "RXA-9.1" in text
    assert "no meaning here" in text
    assert "DOXO (Doxorubicin)" in text


def test_what_it_writes_is_toml_to_be_decided_and_then_nothing_is_missing(folder: Path, tmp_path: Path) -> None:
    config, proposed = tmp_path / "gateway.toml", tmp_path / "proposed.toml"
    (tmp_path / "policy.toml").write_text(POLICY)
    run(folder, "--write", proposed)
    text = proposed.read_text()
    assert tomllib.loads(text)["ehr"]["mar_words"] == {"rate decreased": "?"}
    assert sorted(tomllib.loads(text)["drugs"]["?"]) == ["DOXO", "PACLI"]
    assert "# RXA-9.1, 2 times" in text
    assert "Doxorubicin" in text
    config.write_text(CONFIG + text)
    code, said = run(folder, "--config", config)
    assert code == 2, "undecided, and said with its line"
    undecided = '"rate decreased" = "?"  # RXA-9.1, 2 times'
    assert f"gateway.toml:{(CONFIG + text).splitlines().index(undecided) + 1}" in said
    config.write_text(CONFIG + text.replace('= "?"', '= "runs"').replace('"?" = [', "chemo = ["))
    code, said = run(folder, "--config", config)
    assert code == 0, said
    assert "no meaning here" not in said


def test_a_file_beyond_one_payload_is_counted_and_others_explained(folder: Path) -> None:
    assert "taken:" in run(folder / "framed.hl7")[1]
    big = folder / "big.hl7"
    big.write_bytes(hl7("ras_o17_complete") * 3000)
    assert "3000 messages in 1 files" in run(big)[1]
    assert messages_of(b"  \r\n") == ()


def test_bundles_and_arrays_are_counted_message_by_message(folder: Path, tmp_path: Path) -> None:
    resource = json.loads(fhir("r4_medicationadministration_completed"))
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}] * 3}
    (folder / "bundle.json").write_text(json.dumps(bundle))
    (folder / "array.json").write_text(json.dumps([resource, resource]))
    assert json.loads(run(folder, "--json")[1])["messages"] == 9 + 5
