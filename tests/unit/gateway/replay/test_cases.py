"""The session cases: each timeline must yield its units, instants, log and flags, under every policy and variant."""

from pathlib import Path

import pytest

from gateway.cli.replay_report import Wanted, differences, report
from gateway.replay.casefile import Case, read_cases
from gateway.replay.replay import record, replay
from gateway.session.flags import Flag
from gateway.session.increments import fold

FILE = read_cases((Path(__file__).parents[3] / "data" / "sessions.json").read_bytes(), "sessions")
ALL = Wanted(FILE, None)


def test_the_cases_are_all_there_and_each_expects_something_for_every_patient() -> None:
    assert len(FILE.cases) == 61
    for case in FILE.cases:
        assert case.flags is not None
        assert set(case.expected or {}) == set(case.patients), case.id
        assert all(set(by_policy) == set(FILE.thresholds) for by_policy in (case.expected or {}).values()), case.id
        assert set(case.flags) <= {flag.value for flag in Flag}, case.id


@pytest.mark.parametrize("case", FILE.cases, ids=lambda case: case.id)
def test_a_case_comes_out_as_expected(case: Case) -> None:
    assert differences(case, report(case, ALL), ALL) == []


@pytest.mark.parametrize("case", FILE.cases, ids=lambda case: case.id)
def test_a_cases_log_folds_to_its_increments_and_knows_nothing_ahead(case: Case) -> None:
    recording = record(case.facts)
    for patient in case.patients:
        for name in FILE.thresholds:
            outcome = replay(recording, patient, FILE.policy(name, case))
            standing = [each for each in fold((), outcome.log) if not each.retracted]
            assert [(each.index, each.attained_at_us) for each in standing] == [
                (each.index, each.attained_at_us) for each in outcome.assessment.increments
            ]
            assert all(change.attained_at_us <= change.known_at_us for change in outcome.log)
