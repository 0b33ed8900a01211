"""Reading a ledger afterwards: histories, one day reconciled, a shadow run compared, another rule applied."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.audit.reconcile import SessionPlace, reconcile
from gateway.audit.sessions import RecordedSession, session, sessions, sessions_of_days, unopened
from gateway.audit.shadow import Agreement, Charted, ChartUnreadable, compare, read_chart, units_of
from gateway.audit.stream import open_snapshot
from gateway.cli import main
from gateway.ledger.keys import KEY_FILE
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.corrections import CorrectionItem
from gateway.session.facts import CorrectionDecided
from gateway.session.flags import HeldReason
from gateway.session.outcome import Published, SessionState
from gateway.session.policy import Policy
from gateway.session.release import ReleaseState
from tests.unit.gateway.ledger.ledger_story import TOKENS, write_story

DAY = date(2026, 3, 10)
FIRST, SECOND = TOKENS[:2]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("story") / "ledger.db"
    write_story(path)
    return path


@pytest.fixture(scope="module")
def recorded(path: Path) -> list[RecordedSession]:
    with open_snapshot(path) as connection:
        return list(sessions(connection))


def capgate(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_sessions_stand_as_recorded_and_as_their_facts_give_them(recorded: list[RecordedSession]) -> None:
    assert [each.token for each in recorded] == [FIRST, SECOND]
    assert [[each.revision for each in one.increments] for one in recorded] == [["B", "B", "B"], ["A", "A"]]
    assert [len(one.counted.outcome.assessment.increments) for one in recorded] == [3, 2]
    assert [len(one.charges) for one in recorded] == [1, 0]


def test_one_session_is_found_by_its_token_alone(path: Path) -> None:
    with open_snapshot(path) as connection:
        assert session(connection, SECOND).token == SECOND
        assert unopened(connection) == frozenset()


def test_a_day_has_the_sessions_that_opened_on_it_by_their_policy_s_calendar(path: Path) -> None:
    with open_snapshot(path) as connection:
        assert [each.token for each in sessions_of_days(connection, DAY, DAY)] == [FIRST, SECOND]
        assert list(sessions_of_days(connection, date(2026, 3, 11), date(2026, 3, 12))) == []
        assert len(list(sessions_of_days(connection, date(2026, 3, 1), date(2026, 3, 31)))) == 2


# --- reconcile


def published_state(**changes: object) -> Published:
    return msgspec.structs.replace(Published(Phase.ENDED), **changes)


@pytest.mark.parametrize(
    ("published_last", "place"),
    [
        (None, SessionPlace.PROVISIONAL),
        (published_state(), SessionPlace.PROVISIONAL),
        (published_state(release=ReleaseState.HELD, held=(HeldReason.UNBOUND,)), SessionPlace.HELD),
        (published_state(finalised=True, release=ReleaseState.HELD, held=(HeldReason.NO_ORDER,)), SessionPlace.HELD),
        (published_state(recorded_state=SessionState.INCOMPLETE), SessionPlace.INCOMPLETE),
        (published_state(recorded_state=SessionState.EXPLAINED, release=ReleaseState.HELD), SessionPlace.EXPLAINED),
        (published_state(recorded_state=SessionState.FINAL), SessionPlace.REJECTED),
    ],
)
def test_a_session_without_charges_is_where_it_was_last_told_to_be(
    recorded: list[RecordedSession], published_last: Published | None, place: SessionPlace
) -> None:
    one = msgspec.structs.replace(recorded[1], published=published_last)
    (placed,) = reconcile([one], []).placed
    assert placed.place is place


def test_a_final_session_without_increments_is_rejected(recorded: list[RecordedSession]) -> None:
    one = msgspec.structs.replace(
        recorded[1], log=(), published=published_state(finalised=True, release=ReleaseState.RELEASED)
    )
    (placed,) = reconcile([one], []).placed
    assert (placed.place, placed.why) == (SessionPlace.REJECTED, "no increment stands")


def test_a_refused_correction_is_marked_with_who_refused_it_and_when(recorded: list[RecordedSession]) -> None:
    one = recorded[0]
    charge = one.charges[0].key
    item = CorrectionItem(charge=charge, charged=3, counted=1, patient="p", reason=CorrectionReason.COUNT, refused=True)
    refused = CorrectionDecided(
        at_us=0, known_at_us=1_773_160_000_000_000, token=FIRST, charge=charge, approved=False, person="cm-1"
    )
    session = msgspec.structs.replace(one.counted.session, facts=(*one.counted.session.facts, refused))
    counted = msgspec.structs.replace(one.counted, session=session)
    assert one.published is not None
    published = msgspec.structs.replace(one.published, corrections=(item,))
    one = msgspec.structs.replace(one, counted=counted, published=published)
    (placed,) = reconcile([one], []).placed
    assert (placed.place, placed.why) == (
        SessionPlace.CHARGED,
        f"{charge}: 3 charged, 1 counted, difference refused by cm-1 at 2026-03-10T16:26:40.000Z",
    )


def test_a_credited_session_is_corrected(recorded: list[RecordedSession]) -> None:
    charge = recorded[0].charges[0]
    credit = msgspec.structs.replace(charge, key="credit", reverses=charge.key)
    one = msgspec.structs.replace(recorded[0], charges=(charge, credit))
    (placed,) = reconcile([one], []).placed
    assert (placed.place, placed.charged) == (SessionPlace.CORRECTED, 0)


def test_every_session_of_the_day_has_one_place_and_none_is_left(recorded: list[RecordedSession]) -> None:
    day = reconcile(recorded, [])
    assert [(each.session, each.place) for each in day.placed] == [
        (FIRST, SessionPlace.CHARGED),
        (SECOND, SessionPlace.PROVISIONAL),
    ]
    assert day.remainder == 0


def test_a_session_that_was_never_opened_remains(recorded: list[RecordedSession]) -> None:
    assert reconcile(recorded, ["LOST"]).remainder == 1


# --- shadow


@pytest.mark.parametrize(("minutes", "units"), [(0, 0), (15.99, 0), (16, 1), (45.9, 1), (46, 2), (76, 3), (80, 3)])
def test_charted_minutes_become_units_by_the_thresholds(minutes: float, units: int) -> None:
    assert units_of(minutes, Policy()) == units


def compared(recorded: Sequence[RecordedSession], *lines: Charted) -> list[tuple[str, Agreement]]:
    subjects = {"VISIT-1001": "subject-of-p1", "VISIT-1002": "subject-of-p2"}
    found = compare(recorded, lines, lambda visit: subjects.get(visit, "nobody"))
    return [(each.session, each.verdict) for each in found]


def test_sessions_are_matched_by_token_or_visit_and_the_uncharted_named(recorded: list[RecordedSession]) -> None:
    first, second = Charted(2, FIRST, "", 80), Charted(3, "", "VISIT-1002", 45)
    assert compared(recorded, first, second) == [(FIRST, Agreement.SAME), (SECOND, Agreement.DIFFERENT)]
    assert compared(recorded, first) == [(FIRST, Agreement.SAME), (SECOND, Agreement.NOT_CHARTED)]
    assert compared(recorded, Charted(2, "", "VISIT-9", 45)) == [("", Agreement.NOT_COMPUTED)]


def test_a_session_charted_twice_is_not_counted_twice(recorded: list[RecordedSession]) -> None:
    lines = (Charted(2, FIRST, "", 80), Charted(3, "", "VISIT-1001", 80), Charted(4, SECOND, "", 54))
    assert [verdict for _, verdict in compared(recorded, *lines)] == [
        Agreement.SAME,
        Agreement.NOT_COMPUTED,
        Agreement.SAME,
    ]


def test_a_chart_is_read_with_its_columns_in_any_order_and_others_beside() -> None:
    text = "nurse,Minutes,Visit\r\nrn-1, 80 ,VISIT-1001\r\nrn-2,0,VISIT-1002\r\n"
    assert read_chart(text) == [Charted(2, "", "VISIT-1001", 80), Charted(3, "", "VISIT-1002", 0)]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "session\nX\n", "minutes\n5\n"])
def test_a_chart_without_its_columns_is_refused(text: str) -> None:
    with pytest.raises(ChartUnreadable, match="minutes, and session or visit"):
        read_chart(text)


def test_every_wrong_line_of_a_chart_is_named() -> None:
    with pytest.raises(ChartUnreadable) as refused:
        read_chart("session,minutes\nA,x\nB,5\n,5\nC,-1\nD,nan\nE,\n")
    assert [problem.split(":")[0] for problem in refused.value.problems] == [
        "line 2",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
    ]


# --- commands


def test_verify_says_sound_and_exits_by_what_it_finds(path: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(capgate("ledger", "key", path).output)
    held = tmp_path / "held.jsonl"
    bundle = tmp_path / f"capgate-audit-{FIRST}"
    assert capgate("ledger", "export", path, FIRST, "--out", tmp_path).exit_code == 0
    held.write_bytes((bundle / "checkpoints.jsonl").read_bytes())
    found = capgate("ledger", "verify", path, "--checkpoints", held, "--public-key", key, "--json")
    assert found.exit_code == 0
    report = json.loads(found.output)
    assert (report["sound"], report["increments"], report["problems"], report["notes"]) == (True, 8, [], [])
    held.write_bytes(held.read_bytes().replace(b"gw-01", b"gw-02"))
    found = capgate("ledger", "verify", path, "--checkpoints", held)
    assert found.exit_code == 1
    assert "none of the checkpoints from outside is of this ledger" in found.output


@pytest.mark.parametrize("content", ["", "x\n", '{"note":"x","signature":"","key":""}\n'])
def test_checkpoints_and_keys_that_are_none_are_refused(path: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    for option in ("--checkpoints", "--public-key"):
        found = capgate("ledger", "verify", path, option, file)
        assert found.exit_code == 2
        assert str(file) in found.output


@pytest.mark.parametrize("command", ["verify", "backup", "show", "export", "reconcile", "key"])
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(b"no ledger " * 100)
    more = {
        "backup": [tmp_path / "copy.db"],
        "show": [FIRST],
        "export": [FIRST, "--out", tmp_path],
        "reconcile": ["--day", "2026-03-10"],
    }
    found = capgate("ledger", command, wrong, *more.get(command, []))
    assert found.exit_code == 2
    assert len(found.output.splitlines()) == 1


def test_an_unknown_session_is_answered_with_no(path: Path, tmp_path: Path) -> None:
    for command in (["show", path, "NOPE"], ["export", path, "NOPE", "--out", tmp_path]):
        found = capgate("ledger", *command)
        assert (found.exit_code, found.output) == (1, "no session NOPE in this ledger\n")
    assert list(tmp_path.iterdir()) == []


def test_show_tells_facts_increments_and_charges_and_no_patient_unless_asked(path: Path) -> None:
    found = capgate("ledger", "show", path, FIRST)
    for part in ("cooling_started", "amend AAAAAAAA101B", "charge AAAAAAAA100A quantity 3", "midpoint revision 3"):
        assert part in found.output
    assert "VISIT-1001" not in found.output
    assert "VISIT-1001" in capgate("ledger", "show", path, FIRST, "--identify").output
    content = json.loads(capgate("ledger", "show", path, FIRST, "--json").output)
    assert (content["units_charged"], content["patient"]) == (3, None)


def test_reconcile_lists_the_day_to_zero(path: Path) -> None:
    found = capgate("ledger", "reconcile", path, "--day", "2026-03-10")
    assert found.exit_code == 0
    places = "1 charged + 0 held + 0 incomplete + 0 explained + 0 rejected + 0 corrected + 1 provisional"
    assert f"2 seen = {places}, remainder 0" in found.output
    assert json.loads(capgate("ledger", "reconcile", path, "--day", "2026-03-10", "--json").output)["seen"] == 2


def test_several_days_are_reconciled_at_once(path: Path) -> None:
    found = capgate("ledger", "reconcile", path, "--from", "2026-03-09", "--to", "2026-03-12")
    assert found.exit_code == 0
    assert "2026-03-09 to 2026-03-12: 2 seen = 1 charged" in found.output
    content = json.loads(capgate("ledger", "reconcile", path, "--from", "2026-03-11", "--json").output)
    assert (content["from"], content["to"], content["seen"]) == ("2026-03-11", "2026-03-11", 0)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--to", "2026-03-10"],
        ["--day", "2026-03-10", "--from", "2026-03-10"],
        ["--day", "2026-03-10", "--to", "2026-03-11"],
        ["--from", "2026-03-11", "--to", "2026-03-10"],
    ],
)
def test_days_that_make_no_sense_are_refused(path: Path, options: list[str]) -> None:
    assert capgate("ledger", "reconcile", path, *options).exit_code == 2


def test_another_rule_is_applied_session_by_session(path: Path) -> None:
    found = json.loads(capgate("replay", "--ledger", path, "--policy", "complete", "--json").output)
    assert [(each["recorded"], each["recounted"]) for each in found["sessions"]] == [(3, 2), (2, 1)]
    assert found["total"] == {"recorded": 5, "recounted": 3}
    text = capgate("replay", "--ledger", path, "--policy", "complete").output
    assert text.splitlines()[-1].split() == ["total", "5", "3"]


@pytest.mark.parametrize("arguments", [[], ["--ledger", "L"], ["--ledger", "L", "--policy", "x"]])
def test_replay_says_what_it_needs(path: Path, arguments: list[str]) -> None:
    assert capgate("replay", *[path if each == "L" else each for each in arguments]).exit_code == 2


def test_a_shadow_run_is_compared_and_fails_on_any_difference(path: Path, tmp_path: Path) -> None:
    charted = tmp_path / "charted.csv"
    charted.write_text(f"session,minutes\n{FIRST},80\n{SECOND},54\n")
    same = capgate("shadow", path, charted)
    assert same.exit_code == 0
    assert "2 compared, 0 differ" in same.output
    charted.write_text(f"session,minutes\n{FIRST},80\n{SECOND},20\n")
    found = capgate("shadow", path, charted, "--json")
    assert found.exit_code == 1
    assert json.loads(found.output)["differences"] == 1
    charted.write_text("nonsense")
    assert capgate("shadow", path, charted).exit_code == 2


def test_the_key_is_shown_to_nobody_who_may_not_read_it(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.db"
    copy.write_bytes(path.read_bytes())
    found = capgate("ledger", "key", copy)
    assert found.exit_code == 2
    assert KEY_FILE in found.output
