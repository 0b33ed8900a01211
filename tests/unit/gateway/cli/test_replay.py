"""`capgate replay`: its output, its comparison, and its errors for invalid files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.replay import command

CASES = Path(__file__).parents[3] / "data" / "sessions.json"
DAY = "2026-04-14T"
TIMELINE = [
    {"t": f"{DAY}09:00:00-04:00", "event": "cooling_started", "device": "SC-A", "channel": 1},
    {"t": f"{DAY}09:30:00-04:00", "event": "infusion_started", "order": "A", "admin": "chemo"},
    {"t": f"{DAY}11:00:00-04:00", "event": "infusion_ended", "order": "A", "admin": "chemo"},
    {"t": f"{DAY}11:20:00-04:00", "event": "cooling_stopped", "device": "SC-A", "channel": 1},
]
EXPECTED = {"P1": {"midpoint": {"units": 1, "attained": [f"{DAY}11:16:00-04:00"]}}}


def _run(path: Path, *options: str) -> Result:
    return CliRunner().invoke(command, [str(path), *options])


def _written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "session.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


class TestOutput:
    def test_a_bare_timeline_is_one_case_named_by_its_file(self, tmp_path: Path) -> None:
        found = _run(_written(tmp_path, TIMELINE), "--json")
        (line,) = found.stdout.splitlines()
        emitted = {"op": "emit", "unit": 1, "at": f"{DAY}11:16:00-04:00", "attained": f"{DAY}11:16:00-04:00"}
        earlier = {**emitted, "at": f"{DAY}11:15:01-04:00", "attained": f"{DAY}11:15:01-04:00"}
        assert json.loads(line) == {
            "id": "session",
            "results": {
                "P1": {
                    "midpoint": {"units": 1, "attained": [emitted["at"]], "log": [emitted]},
                    "midpoint_strict": {"units": 1, "attained": [earlier["at"]], "log": [earlier]},
                    "complete": {"units": 0, "attained": [], "log": []},
                }
            },
            "flags": [],
            "variants": [],
        }

    def test_a_case_without_expectations_needs_none(self, tmp_path: Path) -> None:
        path = _written(tmp_path, {"id": "X1", "timeline": TIMELINE})
        assert json.loads(_run(path, "--json").stdout)["id"] == "X1"
        checked = _run(path, "--check")
        assert (checked.exit_code, checked.stdout) == (
            0,
            "1 expect nothing and were not compared\n0 passed, 0 failed\n",
        )

    def test_a_retraction_says_what_was_and_nothing_else(self) -> None:
        by_id = {each["id"]: each for each in map(json.loads, _run(CASES, "--json").stdout.splitlines())}
        log = by_id["C043"]["results"]["P1"]["midpoint"]["log"]
        assert log[1] == {"op": "retract", "unit": 1, "at": f"{DAY}10:50:00-04:00", "was": f"{DAY}10:46:00-04:00"}

    def test_people_read_a_line_a_policy(self, tmp_path: Path) -> None:
        lines = _run(_written(tmp_path, {"id": "X1", "title": "Twenty minutes", "timeline": TIMELINE})).stdout
        assert lines.splitlines() == [
            "X1 Twenty minutes",
            f"  P1 midpoint          1  {DAY}11:16:00-04:00",
            f"  P1 midpoint_strict   1  {DAY}11:15:01-04:00",
            "  P1 complete          0",
            "  flags: none",
        ]


class TestPolicies:
    def test_one_threshold_alone(self, tmp_path: Path) -> None:
        found = json.loads(_run(_written(tmp_path, TIMELINE), "--policy", "complete", "--json").stdout)
        assert list(found["results"]["P1"]) == ["complete"]

    def test_a_shipped_policy(self, tmp_path: Path) -> None:
        found = json.loads(_run(_written(tmp_path, TIMELINE), "--policy", "default", "--json").stdout)
        assert found["results"]["P1"]["midpoint"]["units"] == 1

    def test_a_policy_file(self, tmp_path: Path) -> None:
        policy = tmp_path / "site.toml"
        policy.write_text('name = "site"\nrevision = "7"\neffective = 2026-02-01\nfirst_threshold_s = 1200\n')
        found = json.loads(_run(_written(tmp_path, TIMELINE), "--policy", str(policy), "--json").stdout)
        assert found["results"]["P1"]["site"]["attained"] == [f"{DAY}11:20:00-04:00"]

    def test_a_policy_file_is_refused_line_by_line(self, tmp_path: Path) -> None:
        policy = tmp_path / "site.toml"
        policy.write_text('name = "site"\nrevision = "7"\neffective = 2026-02-01\nfirst_threshold_s = 0\n')
        found = _run(_written(tmp_path, TIMELINE), "--policy", str(policy))
        assert found.exit_code == 2
        assert f"{policy}:4: first_threshold_s" in found.stderr

    def test_an_unknown_policy_names_those_there_are(self, tmp_path: Path) -> None:
        found = _run(_written(tmp_path, TIMELINE), "--policy", "none")
        assert found.exit_code == 2
        assert all(name in found.stderr for name in ("midpoint_strict", "default", ".toml"))


class TestCheck:
    def test_the_cases_pass(self) -> None:
        found = _run(CASES, "--check")
        assert (found.exit_code, found.stdout) == (0, "61 passed, 0 failed\n")

    def test_beside_json_it_speaks_on_the_error_stream(self) -> None:
        found = _run(CASES, "--check", "--json")
        assert len(found.stdout.splitlines()) == 61
        assert found.stderr == "61 passed, 0 failed\n"

    def test_every_difference_is_named(self, tmp_path: Path) -> None:
        wrong: dict[str, object] = {
            "P1": {"midpoint": {"units": 2, "attained": []}, "complete": {"units": 0, "attained": []}}
        }
        variant: dict[str, object] = {
            "policy": {"first_threshold_s": 60},
            "expected": {"P2": {"midpoint": {"units": 0, "attained": []}}},
        }
        good: dict[str, object] = {"id": "good", "timeline": TIMELINE, "expected": EXPECTED, "flags": []}
        bad: dict[str, object] = {
            "id": "bad",
            "timeline": TIMELINE,
            "expected": wrong,
            "flags": ["no_order"],
            "variants": [variant],
        }
        found = _run(_written(tmp_path, {"cases": [good, bad]}), "--check")
        assert found.exit_code == 1
        instant = f"{DAY}11:16:00-04:00"
        assert found.stdout.splitlines() == [
            "bad P1 midpoint, units: expected 2, found 1",
            f"bad P1 midpoint, attained: expected nothing, found {instant}",
            f"bad P1 midpoint, log: expected nothing, found emit 1 at {instant} attained {instant}",
            "bad, flags: expected no_order, found nothing",
            "bad with first_threshold_s = 60: P2 midpoint: expected a result, found no such patient or policy",
            "1 passed, 1 failed",
        ]

    def test_only_the_policy_asked_for_is_compared(self, tmp_path: Path) -> None:
        wrong: dict[str, object] = {
            "P1": {"midpoint": {"units": 2, "attained": []}, "complete": {"units": 0, "attained": []}}
        }
        path = _written(tmp_path, {"timeline": TIMELINE, "expected": wrong})
        assert _run(path, "--check", "--policy", "complete").stdout == "1 passed, 0 failed\n"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("nope", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({}, "accepted: an object with"),
        ({"cases": 5}, "cases"),
        ({"cases": [{"id": "X"}]}, "case X: timeline: Field required"),
        ({"timeline": [], "tz": "Mars/Olympus"}, "tz: no such time zone"),
        ({"timeline": [], "variants": [{"policy": {"foo": 1}}]}, "policy midpoint: foo"),
        ([{"t": "yesterday", "event": "session_finalized"}], "timeline[0] (session_finalized): t: no date and time"),
        ([{"t": f"{DAY}09:00:00Z", "event": "cooling_startd"}], "timeline[0].event"),
        ([{"t": f"{DAY}09:00:00Z", "event": "cooling_started"}], "device: missing"),
        ([{"t": f"{DAY}09:00:00Z", "event": "infusion_ended"}], "order"),
        ([{"t": "2026-04-14", "event": "infusion_ended", "order": "A"}], "t: a date alone"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(tmp_path: Path, document: object, says: str) -> None:
    path = _written(tmp_path, document)
    found = _run(path, "--json")
    assert found.exit_code == 2
    assert found.stdout == ""
    assert f"{path}: " in found.stderr
    assert says in found.stderr
    assert "Traceback" not in found.stderr


def test_all_problems_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    bad = {"t": "x", "event": "session_finalized"}
    found = _run(_written(tmp_path, {"cases": [{"id": "A", "timeline": [bad, bad]}, {"id": "B", "timeline": [bad]}]}))
    assert [line.split(": ")[1] for line in found.stderr.splitlines()] == ["case A", "case A", "case B"]


def test_an_event_that_names_nobody_is_about_whoever_is_on_the_cap(tmp_path: Path) -> None:
    timeline = [
        {**TIMELINE[0], "patient": "P1"},
        {**TIMELINE[0], "channel": 2, "patient": "P2"},
        {**TIMELINE[1], "patient": "P2"},
        {**TIMELINE[2], "patient": "P2"},
        {**TIMELINE[3], "channel": 2},
    ]
    case = {"timeline": timeline, "patients": ["P1", "P2"]}
    found = json.loads(_run(_written(tmp_path, case), "--policy", "midpoint", "--json").stdout)
    assert found["results"]["P2"]["midpoint"]["attained"] == [f"{DAY}11:16:00-04:00"]
    assert "implicit_stop" not in found["flags"]
