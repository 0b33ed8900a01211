"""The messages of `send-test` in each notation: valid, marked as tests, settled by the receipt of their notation."""

import json
from pathlib import Path
from typing import Any, cast

import fhir.resources as fhir_r5
import pytest
from fhir.resources import R4B as FHIR_R4B

from gateway.commissioning.messages import build_trial
from gateway.commissioning.trial import Commissioning, Trial, TrialStep, What
from gateway.config.load import load_config
from gateway.mqtt.types import OutgoingMessage, PubAck
from tests.support.ehr_config import written
from tests.support.hl7_validators import fields_of, missed_by_all, refused_by_hl7apy

NOW_US = 1_773_155_100_000_000
HL7 = '[receipts]\nexpected = "hl7"\n[charges]\nformats = ["json", "hl7"]\nsending_facility = "WARD"\n'
FHIR = '[charges]\nformats = ["fhir"]\n'
EVERY_OPTION = """department = "INFUSION"
location = "INFA"
assigning_authority = "HOSPITAL"
charge_code = "CDM4711"
description = "Cooling after infusion"
performer = "88801"
orderer = "99901"
modifiers = ["59"]
filler_order_number = false
credit_as = "CG-negative"
ft1_4 = "start"
cost_center = "4711"
performing_organization = "INF"
organization_system = "urn:example:organization"
staff_system = "urn:example:staff"
patient = ["mrn", "account", "name", "birth_date", "sex"]
details = ["patient_class", "attending", "orderer", "performer", "diagnosis", "visit_diagnosis", "device", "procedure"]
"""


def trial(folder: Path, what: What, tables: str, mode: str = "test") -> Trial:
    path = written(folder, tables)
    live = path.read_text().replace('mode = "test"', f'mode = "{mode}"').replace("simulated = true", "")
    path.write_text(live if mode == "live" else path.read_text())
    return build_trial(what, load_config(path), NOW_US)


@pytest.mark.parametrize("mode", ["test", "live"])
def test_a_charge_goes_in_the_notation_whose_receipts_count_and_is_marked(tmp_path: Path, mode: str) -> None:
    sent = trial(tmp_path, What.CHARGE, HL7, mode)
    text = sent.message.payload.decode()
    assert (refused_by_hl7apy(text), missed_by_all(text)) == ("", [])
    fields = fields_of(text)
    assert (fields["MSH-4"], fields["MSH-10"], fields["MSH-11"]) == ("WARD", f"CG{sent.key}", "T")
    assert (fields["PID-3"], fields["PV1-19"]) == ("TEST-VISIT^^^^VN", "TEST-VISIT^^^^VN")
    assert sent.message.topic.endswith("/ehr/gw-01/charge/hl7")
    assert sent.message.content_type == "application/hl7-v2; charset=utf-8"
    assert len(fields["FT1-2"]) == 12


def test_without_a_choice_a_charge_is_json_and_where_there_is_fhir_alone_a_bundle(tmp_path: Path) -> None:
    event: dict[str, Any] = json.loads(trial(tmp_path, What.CHARGE, "").message.payload)
    assert (event["type"], event["data"]["mode"]) == ("org.capgate.charge.v1", "test")
    sent = trial(tmp_path, What.CHARGE, FHIR)
    bundle: dict[str, Any] = json.loads(sent.message.payload)
    assert bundle["identifier"]["value"] == sent.key
    assert bundle["meta"]["security"][0]["code"] == "HTEST"


def test_with_every_option_it_is_valid_for_whoever_reads_it(tmp_path: Path) -> None:
    for what in (What.CHARGE, What.OBSERVATION):
        text = trial(tmp_path, what, HL7.replace('sending_facility = "WARD"\n', EVERY_OPTION)).message.payload.decode()
        assert (refused_by_hl7apy(text), missed_by_all(text) if what is What.CHARGE else []) == ("", [])
    assert fields_of(text)["MSH-11"] == "T"
    for release, library in (("R4", FHIR_R4B), ("R5", fhir_r5)):
        tables = f'{FHIR}fhir_release = "{release}"\n{EVERY_OPTION}'
        bundle: dict[str, Any] = json.loads(trial(tmp_path, What.CHARGE, tables).message.payload)
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        assert kinds == ["Device", "Procedure", "ChargeItem"]
        cast(Any, library).get_fhir_model_class("Bundle").model_validate(bundle)


def test_an_observation_is_a_valid_one_of_nobody(tmp_path: Path) -> None:
    sent = trial(tmp_path, What.OBSERVATION, HL7)
    text = sent.message.payload.decode()
    assert refused_by_hl7apy(text) == ""
    assert fields_of(text)["MSH-11"] == "T"
    assert sent.message.topic.endswith("/observation/hl7")


async def test_the_engines_ack_acknowledges_a_charge_in_hl7(tmp_path: Path) -> None:
    sent = trial(tmp_path, What.CHARGE, HL7)

    async def publish(message: OutgoingMessage) -> PubAck:
        ack = f"MSH|^~\\&|EHR|H|CAPGATE|W|20260310||ACK^P03^ACK|E1|T|2.5.1\rMSA|AA|CG{sent.key}\r"
        assert commissioning.notice(ack.encode())
        return PubAck(0)

    commissioning = Commissioning(publish)
    assert (await commissioning.send(sent, 1.0)).step is TrialStep.ACKNOWLEDGED
