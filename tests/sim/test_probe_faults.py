"""`capgate probe` against simulated units that misbehave: it says what happened and shows no value that is none."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import pytest

from gateway.cli.probe import command
from simulators.faults import Fault, InjectedFault
from tests.support.bench import bench, run

UNIT_ID = 7
TIMEOUT_S = 0.15
PLACES = {  # profile: the language on the line, the simulator's map
    "reference-cap-unit": ("modbus-rtu", "reference"),
    "eurotherm-3200": ("modbus-rtu", "eurotherm"),
    "smc-hrs": ("modbus-ascii", "smc-hrs"),
    "julabo-cf": ("julabo", "julabo"),
    "polyscience-ls": ("polyscience", "polyscience-ls"),
    "watlow-ez-zone": ("modbus-rtu", "watlow"),
}
MODBUS = [profile for profile, (language, _) in PLACES.items() if language.startswith("modbus")]
LATE_S = 0.2  # past the timeout, while the probe still looks


class PointText(TypedDict):
    name: str
    cap: int | None
    value: float | str | bool | None
    quality: str


class FaultText(TypedDict):
    kind: str
    hint: str


class Report(TypedDict):
    run_state: str
    points: list[PointText]
    faults: list[FaultText]


@contextmanager
def unit(folder: Path, profile: str, dialect: str = "", fault: Fault | None = None) -> Generator[str]:
    """One simulated unit at -4 degC, cap 1 running, with a fault; gives the line's URL."""
    dialect_name, make = PLACES[profile]
    address = f"unit_id = {UNIT_ID}" if profile in MODBUS else ""
    table = f'map = "{make}"\nserial_number = "S-1"\nset_point_c = -4.0\n{address}'
    with bench(folder, dialect or dialect_name, table, cooling=True, fault=fault) as line:
        yield line


def probe(line: str, profile: str, *more: str) -> tuple[int, Report]:
    address = ["--unit-id", str(UNIT_ID)] if profile in MODBUS else []
    values = (f"dialect={PLACES[profile][0]}", "gap_ms=0", "drain_ms=20", "settle_after_open_ms=0")
    options = [*(f"--set={value}" for value in values), "--timeout", str(TIMEOUT_S), "--json"]
    result = run(command, line, "--profile", profile, *address, *options, *more)
    assert result.exit_code in (0, 1), result.stderr
    return result.exit_code, json.loads(result.stdout)


def known(report: Report) -> list[str]:
    """The points that have a value."""
    for point in report["points"]:
        assert (point["value"] is None) == (point["quality"] == "bad"), point
    return [point["name"] for point in report["points"] if point["value"] is not None]


@pytest.mark.parametrize("profile", PLACES)
def test_a_well_unit_is_read(profile: str, tmp_path: Path) -> None:
    with unit(tmp_path, profile) as line:
        code, report = probe(line, profile)
    assert (code, report["faults"]) == (0, [])
    (supply,) = (point for point in report["points"] if point["name"] == "coolant_supply")
    assert supply["value"] == pytest.approx(-4.0, abs=1e-6)


@pytest.mark.parametrize("profile", PLACES)
def test_a_unit_that_answers_nothing_is_a_timeout_without_a_value(profile: str, tmp_path: Path) -> None:
    with unit(tmp_path, profile, fault=Fault(InjectedFault.LOST)) as line:
        code, report = probe(line, profile)
    assert (code, report["run_state"], known(report)) == (1, "unknown", [])
    for fault in report["faults"]:
        assert fault["kind"] == "timeout"
        assert fault["hint"].startswith("wiring or address: nothing comes within 150 ms")


@pytest.mark.parametrize("profile", PLACES)
def test_a_late_unit_is_told_from_a_dead_one(profile: str, tmp_path: Path) -> None:
    drain_ms = 60 if profile in MODBUS else 300  # text does not tell what it answers: only silence does
    with unit(tmp_path, profile, fault=Fault(InjectedFault.LATE, delay_s=LATE_S)) as line:
        code, report = probe(line, profile, "--set", f"drain_ms={drain_ms}")
    assert (code, known(report)) == (1, [])
    assert {fault["kind"] for fault in report["faults"]} <= {"timeout", "garbled"}
    for fault in report["faults"]:
        assert fault["hint"].startswith("timing: answers come later than 150 ms")


def test_a_late_unit_over_modbus_tcp_is_told_from_a_dead_one(tmp_path: Path) -> None:
    late = Fault(InjectedFault.LATE, delay_s=LATE_S)
    with unit(tmp_path, "reference-cap-unit", "modbus-tcp", late) as line:
        code, report = probe(line, "reference-cap-unit", "--set", "dialect=modbus-tcp")
    (fault,) = report["faults"]
    assert (code, known(report), fault["kind"], fault["hint"][:7]) == (1, [], "timeout", "timing:")


@pytest.mark.parametrize("profile", MODBUS)
@pytest.mark.parametrize("bits", [1, 3, 16])
def test_a_corrupt_answer_is_garbled_or_missed_and_never_a_value(profile: str, bits: int, tmp_path: Path) -> None:
    with unit(tmp_path, profile, fault=Fault(InjectedFault.CORRUPT, bits=bits)) as line:
        code, report = probe(line, profile)
    assert (code, known(report)) == (1, [])
    assert {fault["kind"] for fault in report["faults"]} <= {"garbled", "timeout"}
    for fault in report["faults"]:
        assert fault["hint"].startswith(("line settings: ", "address: another unit answers")), fault


@pytest.mark.parametrize("profile", MODBUS)
def test_an_answer_in_another_units_name_is_told(profile: str, tmp_path: Path) -> None:
    with unit(tmp_path, profile, fault=Fault(InjectedFault.WRONG_UNIT)) as line:
        code, report = probe(line, profile)
    assert (code, known(report)) == (1, [])
    for fault in report["faults"]:
        assert (fault["kind"], fault["hint"]) == (
            "timeout",
            f"address: another unit answers, but not unit id {UNIT_ID}; set --unit-id",
        )


@pytest.mark.parametrize("profile", MODBUS)
def test_an_answer_to_another_function_is_told(profile: str, tmp_path: Path) -> None:
    with unit(tmp_path, profile, fault=Fault(InjectedFault.WRONG_FUNCTION)) as line:
        code, report = probe(line, profile)
    assert (code, known(report)) == (1, [])
    for fault in report["faults"]:
        assert (fault["kind"], fault["hint"][:5]) == ("garbled", "map: ")


@pytest.mark.parametrize("profile", MODBUS)
def test_a_busy_unit_is_told(profile: str, tmp_path: Path) -> None:
    with unit(tmp_path, profile, fault=Fault(InjectedFault.BUSY)) as line:
        code, report = probe(line, profile)
    assert (code, known(report)) == (1, [])
    assert {fault["kind"] for fault in report["faults"]} == {"busy"}


def test_a_unit_behind_a_server_that_translates_its_language_is_read(tmp_path: Path) -> None:
    with unit(tmp_path, "smc-hrs", dialect="modbus-tcp") as line:
        code, report = probe(line, "smc-hrs", "--set", "dialect=modbus-tcp")
    assert (code, report["faults"], report["run_state"]) == (0, [], "ready")
