"""Scenario files: the content of the shipped ones, their EHR messages, and the errors of invalid ones."""

import tomllib
from itertools import pairwise
from math import ceil
from pathlib import Path

import pytest

from drivers.toml.document import TomlProblems
from gateway.cli.simulate import PROFILE_DIALECTS, PROFILES
from gateway.runtime.shipped import shipped_dir
from simulators.faults import InjectedFault
from simulators.maps import MapName
from simulators.scenario.scenario import FeedItem, FeedKind, build_units, infusion_feed, load_scenario, repeated
from simulators.scenario.scenario_format import Agent, Scenario

SHIPPED = sorted((shipped_dir() / "scenarios").glob("*.toml"))

HEAD = """
schema = 1
name = "small"
length_min = 60
[[line]]
id = "net-1"
dialect = "modbus-tcp"
tcp = "127.0.0.1:0"
[[unit]]
id = "cap-01"
line = "net-1"
map = "reference"
unit_id = 1
serial_number = "A-1"
set_point_c = -4.0
"""


def load(tmp_path: Path, text: str) -> Scenario:
    file = tmp_path / "scenario.toml"
    file.write_text(text)
    return load_scenario(file)


def problems(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(TomlProblems) as caught:
        load(tmp_path, text)
    return [(problem.line, problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_everything_in_a_shipped_scenario_can_be_done(path: Path) -> None:
    scenario = load_scenario(path)
    units = [unit for units in build_units(scenario).values() for unit in units]
    moments = [moment for unit in units for moment in unit.advance(scenario.length_min * 60)]
    assert [moment for moment in moments if moment.problem] == []
    assert len(moments) == sum(len(patient.step) for patient in scenario.patient) + len(scenario.fault)


def net_cooling_after_infusion_s(scenario: Scenario, visit: str) -> float:
    """Circulating seconds that the unit itself counts after the visit's final infusion end."""
    patient = next(patient for patient in scenario.patient if patient.visit == visit)
    end_s = next(item.at_s for item in infusion_feed(scenario) if item.visit == visit and item.final)
    unit = next(unit for units in build_units(scenario).values() for unit in units if unit.name == patient.unit)
    unit.advance(end_s)
    before_s = unit.machine.cap(patient.cap).elapsed_s
    unit.advance(scenario.length_min * 60)
    return unit.machine.cap(patient.cap).elapsed_s - before_s


@pytest.mark.parametrize(("visit", "minutes"), [("V-1001", 86), ("V-1002", 50), ("V-1003", 80), ("V-1004", 91)])
def test_the_clinics_patients_are_cooled_after_their_infusions_as_its_comments_say(visit: str, minutes: int) -> None:
    scenario = load_scenario(shipped_dir() / "scenarios" / "clinic.toml")
    assert net_cooling_after_infusion_s(scenario, visit) == minutes * 60


def test_the_feed_is_what_an_ehr_would_say_in_order(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        HEAD
        + """
[[patient]]
visit = "V-1"
unit = "cap-01"
step = [
  { at_min = 1, do = "arrive" },
  { at_min = 2, do = "precool" },
  { at_min = 10, do = "infusion_start", order = "A", agent = "chemo" },
  { at_min = 20, do = "infusion_end", order = "A" },
  { at_min = 21, do = "infusion_start", order = "B", agent = "biologic_under_chemo_admin" },
  { at_min = 30, do = "infusion_end", order = "B" },
  { at_min = 31, do = "infusion_start", order = "C", agent = "flush" },
  { at_min = 33, do = "infusion_end", order = "C" },
  { at_min = 50, do = "stop" },
  { at_min = 55, do = "leave" },
]
""",
    )

    def item(at_min: float, kind: FeedKind, order: str | None, agent: Agent | None, final: bool) -> FeedItem:
        return FeedItem(at_min * 60, kind, "cap-01", 1, "V-1", order, agent, final)

    assert infusion_feed(scenario) == (
        item(1, FeedKind.BOUND, None, None, False),
        item(10, FeedKind.STARTED, "A", Agent.CHEMO, False),
        item(20, FeedKind.ENDED, "A", Agent.CHEMO, False),
        item(21, FeedKind.STARTED, "B", Agent.BIOLOGIC, False),
        item(30, FeedKind.ENDED, "B", Agent.BIOLOGIC, True),
        item(31, FeedKind.STARTED, "C", Agent.FLUSH, False),
        item(33, FeedKind.ENDED, "C", Agent.FLUSH, False),
        item(55, FeedKind.RELEASED, None, None, False),
    )


def test_the_feed_of_several_patients_is_in_the_order_of_time() -> None:
    feed = infusion_feed(load_scenario(shipped_dir() / "scenarios" / "clinic.toml"))
    assert [item.at_s for item in feed] == sorted(item.at_s for item in feed)
    assert sum(item.final for item in feed) == 4


def test_a_scenarios_faults_begin_and_end_at_their_times(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
[[fault]]
unit = "cap-01"
at_min = 3
kind = "late"
delay_s = 0.5
for_s = 60
[[fault]]
unit = "cap-01"
at_min = 3.5
kind = "stuck-sensor"
sensor = "cap_front"
cap = 1
"""
    )
    ((unit,),) = build_units(load(tmp_path, text)).values()
    seen = [(at_s, unit.advance(at_s), unit.fault_kinds)[2] for at_s in (179, 180, 210, 239, 240)]
    late, stuck = InjectedFault.LATE, InjectedFault.STUCK_SENSOR
    assert seen == [(), (late,), (late, stuck), (late, stuck), (stuck,)]


def test_all_that_is_wrong_is_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
[[line]]
id = "net-1"
dialect = "julabo"
[[unit]]
id = "cap-02"
line = "net-9"
map = "smc-hrs"
unit_id = 1
serial_number = "B"
caps = 2
set_point_c = 5.0
[[patient]]
visit = "V-1"
unit = "cap-01"
cap = 2
step = [
  { at_min = 2, do = "precool" },
  { at_min = 1, do = "infusion_end", order = "A" },
]
[[fault]]
unit = "cap-07"
at_min = 3
kind = "late"
"""
    )
    assert problems(tmp_path, text) == [
        (17, "line[1]", "needs a place to be reached, accepted: either tcp or pty"),
        (18, "line[1].id", "stands twice, accepted: one that no other has"),
        (22, "unit[1].line", "unknown line, accepted: net-1, net-1"),
        (26, "unit[1].caps", "too many for smc-hrs, accepted: 1"),
        (31, "patient[0].cap", "not on this unit, accepted: 1 to 1"),
        (34, "patient[0].step[1].at_min", "out of order or past the end, accepted: 2 to 60"),
        (34, "patient[0].step[1].order", "was not started before, accepted: an order of an infusion_start"),
        (36, "fault[0]", "delay_s goes with late, accepted: more than 0 for late alone"),
        (37, "fault[0].unit", "unknown unit, accepted: cap-01, cap-02"),
    ]


def test_a_unit_must_speak_the_language_of_its_line_and_have_an_id_there(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
[[unit]]
id = "cap-02"
line = "net-1"
map = "julabo"
serial_number = "B"
set_point_c = -4.0
[[unit]]
id = "cap-03"
line = "net-1"
map = "reference"
unit_id = 1
serial_number = "C"
set_point_c = -4.0
[[unit]]
id = "cap-04"
line = "net-1"
map = "eurotherm"
serial_number = "D"
set_point_c = -4.0
"""
    )
    found = [(path, message) for _, path, message in problems(tmp_path, text)]
    assert found == [
        ("unit[0].unit_id", "stands twice on its line, accepted: one that no other has"),
        ("unit[1].map", "does not speak modbus-tcp, accepted on its line: julabo"),
        ("unit[2].unit_id", "stands twice on its line, accepted: one that no other has"),
        ("unit[3]", "unit_id is missing, accepted: 1 to 247"),
    ]


def test_an_unknown_key_or_step_is_told_with_what_is_accepted(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
colour = "blue"
[[patient]]
visit = "V-1"
unit = "cap-01"
step = [ { at_min = 2, do = "dance" } ]
"""
    )
    found = {path: message for _, path, message in problems(tmp_path, text)}
    assert "unknown key" in found["unit[0].colour"]
    assert "precool" in found["patient[0].step[0].do"]


@pytest.mark.parametrize("make", MapName)
def test_every_make_has_a_shipped_profile_in_the_dialect_that_is_assumed(make: MapName) -> None:
    profile = tomllib.loads((shipped_dir() / "profiles" / f"{PROFILES[make]}.toml").read_text())
    assert (profile["identity"]["id"], profile["dialect"]) == (PROFILES[make], PROFILE_DIALECTS[make])


def test_patients_follow_each_other_so_that_somebody_is_always_treated() -> None:
    morning = load_scenario(shipped_dir() / "scenarios" / "clinic.toml")
    shown = repeated(morning, 3000)
    assert shown.patient[0] == morning.patient[0]
    visits = [patient.visit for patient in shown.patient]
    assert len(visits) == len(set(visits)) > 4 * 15
    stays: dict[tuple[str, int], list[tuple[float, float]]] = {}
    treated: set[int] = set()
    for patient in shown.patient:
        at_min = {step.do: step.at_min for step in patient.step}
        stays.setdefault((patient.unit, patient.cap), []).append((at_min["arrive"], at_min["leave"]))
        treated.update(range(ceil(at_min["precool"]), ceil(at_min["stop"])))
    assert treated >= set(range(1, 3000))
    for on_cap in stays.values():
        assert all(left < came for (_, left), (came, _) in pairwise(on_cap)), "a cap serves one patient at a time"
    orders = [item.order for item in infusion_feed(shown) if item.kind is FeedKind.STARTED]
    assert len(orders) == len(set(orders))
