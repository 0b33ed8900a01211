"""`capgate explain`: values read from fields, resulting facts, and reasons where there are none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.load import load_config
from gateway.describe.dry_run import Explanation, explain
from tests.support.pipeline import CONFIG, POLICY
from tests.unit.gateway.messages.hl7_support import SAMPLES, fhir, hl7
from tests.unit.gateway.messages.inbound.inbound_support import NOW


def explained(payload: bytes) -> Explanation:
    return explain(payload, None, NOW)


def taken(payload: bytes) -> dict[str, str]:
    return {each.where: each.value for each in explained(payload).taken}


def test_it_says_what_is_taken_from_which_field_of_hl7() -> None:
    told = taken(hl7("ras_o17_complete"))
    assert told["PV1-19"] == "V770012"
    assert told["PV1-3.3"] == "C12"
    assert told["ORC-2"] == "RX55821"
    assert told["RXA-4"] == "20260310110000-0400"
    assert told["RXA-9.1"] == "STOPPED"
    assert "PID-5" not in told, "what the site does not keep is not read"


def test_it_says_the_same_of_fhir_and_json() -> None:
    assert taken(fhir("r5_medicationadministration_completed"))["occurencePeriod.end"] == "2026-03-10T15:00:00Z"
    told = taken((SAMPLES / "event_association_bound.json").read_bytes())
    assert told["data.patient.visit.value"] == "V770012"
    assert told["data.validated"] == "True"


def test_it_says_which_facts_follow_and_what_they_touch() -> None:
    result = explained(hl7("ras_o17_complete"))
    assert [fact["fact"] for fact in result.facts] == ["infusion_started", "infusion_ended"]
    assert result.facts[1]["at"] == "2026-03-10T15:00:00.000Z"
    assert result.touches == ("visit V770012",)
    assert explained(hl7("oru_r01_dev52_associate")).touches == ("cap cap0007:1", "visit V770012")


@pytest.mark.parametrize("name", ["adt_a03_end_visit", "oru_r42_pcd10_start"])
def test_what_only_a_running_gateway_knows_is_assumed_and_said(name: str) -> None:
    result = explained(hl7(name))
    assert result.result == "accepted"
    assert "serves" in result.assumed[-1]


def test_what_is_read_under_that_assumption_is_told_as_well() -> None:
    told = taken(hl7("ras_o17_complete", PV1_19=""))
    assert (told["RXA-9.1"], told["RXA-5"]) == ("STOPPED", "PACLI")


def test_it_says_why_not() -> None:
    kvo = explained(hl7("oru_r42_pcd10_kvo_start_legacy"))
    assert (kvo.result, kvo.code, kvo.facts) == ("ignored", "no-infusion", ())
    assert explained(b"nonsense").code == "not-json"
    assert explained(hl7("ack_ae")).result == "receipt"


# --- the command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path / "gateway.toml"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["explain", *arguments])
    return result.exit_code, result.output


def test_the_command_prints_it_for_people_and_as_json(config: Path) -> None:
    code, text = run(str(SAMPLES / "ras_o17_start.hl7"))
    assert code == 0
    assert "RXA-3" in text
    assert "infusion_started: order RX55821" in text
    code, text = run(str(SAMPLES / "ras_o17_start.hl7"), "--json", "--config", str(config))
    assert code == 1
    assert json.loads(text)["code"] == "not-ours", "C12 is no chair of that gateway"


def test_the_configuration_decides_whose_chairs_count(config: Path, tmp_path: Path) -> None:
    (tmp_path / "m.hl7").write_bytes(hl7("adt_a04_register", PV1_3="INFA^BAY1^C02"))
    code, text = run(str(tmp_path / "m.hl7"), "--config", str(config))
    assert code == 0
    assert "touches: cap cap-01:2, visit V770012" in text
    assert explain(hl7("adt_a04_register"), load_config(config), NOW).code == "not-ours"


DETAILS = {
    "hl7": hl7("ras_o17_complete", PV1_2="R", PV1_7="77701^ATTENDING", PV1_3="C02"),
    "json": b"""{"specversion": "1.0", "type": "x.infusion.started.v1", "source": "urn:engine", "id": "s",
        "time": "2026-03-10T13:30:00Z", "data": {"order": "RX1", "visit": "V1",
        "details": {"patient_class": "R", "attending": [{"number": "77701"}], "diagnoses": [{"code": "C50.912"}]}}}""",
}


@pytest.mark.parametrize("form", DETAILS)
@pytest.mark.parametrize("wanted", ["", "attending"])
def test_it_says_what_the_site_does_not_want_of_what_a_message_holds(
    config: Path, tmp_path: Path, form: str, wanted: str
) -> None:
    config.write_text(CONFIG + f'[charges]\ndetails = ["{wanted}"]\n' * bool(wanted))
    told = explain(DETAILS[form], load_config(config), NOW)
    taken, unwanted = ({each.value for each in fields} for fields in (told.taken, told.unwanted))
    assert ("77701" in taken) is bool(wanted)
    assert "R" in unwanted
    assert ("77701" in unwanted) is not bool(wanted)
    assert taken & unwanted == set()
    (tmp_path / "m").write_bytes(DETAILS[form])
    assert "not wanted by the site" in run(str(tmp_path / "m"), "--config", str(config))[1]
    assert explained(DETAILS[form]).unwanted == (), "without a configuration nobody says what is wanted"


def test_a_wrong_configuration_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("[gateway]")
    assert run(str(SAMPLES / "ras_o17_start.hl7"), "--config", str(tmp_path / "gateway.toml"))[0] == 2


def test_nothing_it_prints_moves_a_cursor(tmp_path: Path) -> None:
    (tmp_path / "m.hl7").write_bytes(hl7("ras_o17_start", ORC_2="RX\x1b[2J"))
    assert "\x1b" not in run(str(tmp_path / "m.hl7"))[1]
