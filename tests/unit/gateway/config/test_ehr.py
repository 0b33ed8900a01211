"""The tables [ehr], [drugs] and [charges]: what the EHR's words mean, and what is kept of patients."""

from pathlib import Path

import pytest

from gateway.config.load import load_config
from gateway.config.vocabulary import shipped_vocabulary
from gateway.messages.vocabulary import DEFAULT_KEPT, EhrWords, MarAct
from gateway.session.facts import AgentClass
from tests.support.ehr_config import errors, written


def words(folder: Path, tables: str) -> EhrWords:
    return load_config(written(folder, tables)).words


def test_without_tables_nothing_is_known_but_common_words(tmp_path: Path) -> None:
    assert words(tmp_path, "") == EhrWords(mar=shipped_vocabulary(), kept=DEFAULT_KEPT)


def test_codes_come_from_the_table_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "drugs.toml").write_text('flush = ["F1"]\nchemo = ["DOCE"]\n')
    table = words(tmp_path, '[drugs]\nchemo = ["Pacli"]\nhydration = ["NS"]\nfile = "drugs.toml"').drugs
    assert table == {
        "pacli": AgentClass.CHEMO,
        "ns": AgentClass.HYDRATION,
        "f1": AgentClass.FLUSH,
        "doce": AgentClass.CHEMO,
    }


def test_units_and_words_of_the_site_are_found_in_any_case(tmp_path: Path) -> None:
    found = words(tmp_path, '[ehr]\nunits = { CAP0001 = "cap-01" }\nmar_words = { "Infuse" = "start", "hold" = "end" }')
    assert found.units == {"cap0001": "cap-01"}
    assert tuple(found.mar.act("RXA-9", word) for word in ("infuse", "hold", "Stopped")) == (
        MarAct.START,
        MarAct.END,
        MarAct.END,
    )


def test_what_is_kept_of_patients_is_what_the_site_asks_for(tmp_path: Path) -> None:
    assert words(tmp_path, '[charges]\npatient = ["name", "sex"]').kept == frozenset({"name", "sex"})


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ('[ehr]\nunits = { CAP0001 = "cap-99" }', "no such unit, accepted: cap-01"),
        ('[ehr]\nmar_words = { x = "finish" }', "ehr.mar_words"),
        ('[drugs]\nchemo = ["A"]\nflush = ["a"]', "a stands in chemo as well"),
        ('[drugs]\nfile = "nowhere.toml"', "nowhere.toml cannot be read"),
        ('[drugs]\nfile = "policy.toml"', "policy.toml"),
        ('[drugs]\nsteroid = ["A"]', "drugs.steroid"),
        ('[charges]\npatient = ["diagnosis"]', "charges.patient"),
    ],
)
def test_what_contradicts_itself_is_named_with_what_is_accepted(tmp_path: Path, tables: str, says: str) -> None:
    assert says in errors(tmp_path, tables)
