"""`capgate record` in other languages: the same figures, no English words, and who says which language."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.session.wording import Language
from tests.unit.gateway.audit.record_story import MRN, TOKEN, WORDS, write_session

OTHERS = [Language.GERMAN, Language.SPANISH]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wordings") / "ledger.db"
    write_session(path)
    return path


def record(ledger: Path, *options: str | Path) -> Result:
    return CliRunner().invoke(main, ["record", TOKEN, "--ledger", str(ledger), *map(str, options)])


@pytest.mark.parametrize("language", OTHERS)
def test_a_record_has_the_same_figures_in_every_language(ledger: Path, language: Language) -> None:
    english, other = (record(ledger, "--language", each, "--identify").stdout for each in ("en", language))
    instants = (r"\d{4}-\d\d-\d\dT\S+\d", r"\b\d\d:\d\d:\d\d\b", r"\b\d+ min \d+ s\b")
    for figures in (*instants, TOKEN[:-1] + r"\S+\b", r"\(P\d+", WORDS, MRN):
        found = re.findall(figures, english)
        assert found
        assert sorted(re.findall(figures, other)) == sorted(found), figures


def test_of_a_record_in_german_only_what_others_wrote_is_the_same_as_in_english(ledger: Path) -> None:
    english, german = (
        set(re.split(r"\s{2,}|\n|[0-9a-f]{64}", record(ledger, "--language", each).stdout)) for each in ("en", "de")
    )
    written = (WORDS, "capgate", "julabo-cf", "loan-01", "Patient", "Gateway")
    words_in_both = {cell for cell in english & german if re.search(r"[a-z]{4}", cell)}
    assert {cell for cell in words_in_both if not any(each in cell for each in written)} == set()


def test_a_page_says_its_language_and_counts_its_pages_in_it(ledger: Path) -> None:
    page = record(ledger, "--language", "es", "--html").stdout
    assert '<html lang="es">' in page
    assert 'counter(page) " de " counter(pages)' in page


def test_the_configuration_says_the_language_and_the_option_another(ledger: Path, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[web]\nlanguage = "de"\n')
    assert record(ledger, "--config", config).stdout.startswith("Kopfhautkühlung")
    assert record(ledger, "--config", config, "--language", "es").stdout.startswith("Enfriamiento")
    assert record(ledger).stdout.startswith("Scalp cooling")
    config.write_text("[gateway]\n")
    assert record(ledger, "--config", config).stdout.startswith("Scalp cooling")


@pytest.mark.parametrize("written", ['"fr"', "1", "["])
def test_a_configuration_of_another_language_is_refused(ledger: Path, tmp_path: Path, written: str) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f"[web]\nlanguage = {written}\n")
    result = record(ledger, "--config", config)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{config}:2" in result.stderr


def test_an_unknown_language_is_refused_with_those_that_are_known(ledger: Path) -> None:
    result = record(ledger, "--language", "fr")
    assert result.exit_code == 2
    assert all(language.value in result.stderr for language in Language)
