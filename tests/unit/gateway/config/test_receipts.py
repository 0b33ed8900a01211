"""The [receipts] table: which notation is acknowledged, which messages await receipts, and contradictions."""

from pathlib import Path

import pytest

from drivers.toml.document import TomlProblems
from gateway.config.load import load_config
from gateway.ledger.receipt_plan import MessageKind, ReceiptPlan
from gateway.messages.notation import Notation
from tests.support.pipeline import CONFIG, POLICY


def plan(folder: Path, table: str) -> ReceiptPlan:
    (folder / "policy.toml").write_text(POLICY)
    path = folder / "gateway.toml"
    path.write_text(CONFIG.replace("[[line]]", f"[receipts]\n{table}\n[[line]]", 1))
    return load_config(path).receipts


def test_without_a_table_no_receipt_is_expected_and_charges_are_followed_as_json(tmp_path: Path) -> None:
    found = plan(tmp_path, "")
    assert found == ReceiptPlan()
    assert found.follows(MessageKind.CHARGE, Notation.JSON)
    assert not found.awaits(MessageKind.CHARGE)
    assert not found.follows(MessageKind.INCREMENT, Notation.JSON)


def test_one_form_of_each_charge_is_followed(tmp_path: Path) -> None:
    found = plan(tmp_path, 'expected = "hl7"\n[charges]\nformats = ["json", "hl7"]')
    followed = {notation for notation in Notation if found.follows(MessageKind.CHARGE, notation)}
    assert followed == {Notation.HL7}
    assert found.awaits(MessageKind.CHARGE)


def test_increments_are_followed_where_they_are_asked_for(tmp_path: Path) -> None:
    found = plan(tmp_path, 'expected = "json"\nof = ["charge", "increment"]')
    assert found.follows(MessageKind.INCREMENT, Notation.JSON)
    assert found.awaits(MessageKind.INCREMENT)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("first_resend_s = 60\nlongest_resend_s = 30", "at least as long"),
        (
            'expected = "hl7"\nof = ["increment"]\n[charges]\nformats = ["json", "hl7"]',
            "increments are sent as JSON alone",
        ),
        ('expected = "fhir"', "receipts.expected"),
        ("first_resend_s = 0", "receipts.first_resend_s"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(TomlProblems) as wrong:
        plan(tmp_path, table)
    (problem,) = wrong.value.problems
    assert said in str(problem)
    assert problem.line > 0
