"""The session cases: each timeline must yield its units, instants, log and flags, under every policy and variant."""

from pathlib import Path

import msgspec
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


@pytest.mark.parametrize("case", FILE.cases, ids=lambda case: case.id)
def test_a_last_line_that_is_received_again_later_changes_nothing(case: Case) -> None:
    for count in range(1, len(case.facts) + 1):  # in most of them cooling goes on at the end
        cut = msgspec.structs.replace(case, facts=case.facts[:count])
        last = cut.facts[-1]
        again = msgspec.structs.replace(last, known_at_us=last.known_at_us + 3 * 3_600_000_000)
        assert report(msgspec.structs.replace(cut, facts=(*cut.facts, again)), ALL) == report(cut, ALL)


CHEMO_ALONE: dict[str, object] = {"infusion_end_basis": "last_alopecia_inducing_agent"}


@pytest.mark.parametrize(
    ("received", "remaining", "units"),
    [
        ("2026-04-14T10:40:00-04:00", 0, 3),  # received last: nothing remains, 110 minutes after the chemotherapy's end
        ("2026-04-14T10:20:00-04:00", 0, 0),  # received before the end that says 1
        ("2026-04-14T10:40:00-04:00", 1, 0),
    ],
)
def test_an_end_without_a_time_says_what_remains_as_of_its_receipt(received: str, remaining: int, units: int) -> None:
    """Reading 15: an antibody's end has a date and no time."""
    day = "2026-04-14T"
    antibody = {"order": "B", "admin": "biologic_under_chemo_admin"}
    timeline: list[dict[str, object]] = [
        {"t": f"{day}08:30:00-04:00", "event": "cooling_started", "device": "SC-A", "channel": 1},
        {"t": f"{day}09:00:00-04:00", "event": "infusion_started", "order": "A", "admin": "chemo"},
        {"t": f"{day}09:10:00-04:00", "event": "infusion_started", **antibody},
        {
            "t": f"{day}10:30:00-04:00",
            "event": "infusion_ended",
            "order": "A",
            "admin": "chemo",
            "remaining_chemo_orders": 1,
        },
        {
            "t": f"{day}00:00:00-04:00",
            "rx": received,
            "event": "infusion_ended",
            "no_time": True,
            "remaining_chemo_orders": remaining,
            **antibody,
        },
        {"t": f"{day}12:00:00-04:00", "event": "cooling_stopped", "device": "SC-A", "channel": 1},
    ]
    timeline.sort(key=lambda event: str(event.get("rx", event["t"])))
    (case,) = read_cases(msgspec.json.encode(timeline), "antibody").cases
    outcome = replay(record(case.facts), "P1", FILE.policy("midpoint", case, CHEMO_ALONE))
    assert len(outcome.assessment.increments) == units
