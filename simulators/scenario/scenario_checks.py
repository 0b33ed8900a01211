"""Checks across the tables of a scenario: unknown and duplicate names, times out of order."""

from collections.abc import Iterable, Iterator

from drivers.dialects.registry import dialect
from simulators.scenario.scenario_format import InfusionEndEntry, InfusionStart, PatientEntry, Scenario, UnitEntry

KeyPath = tuple[str | int, ...]


def misfits(scenario: Scenario) -> Iterator[tuple[KeyPath, str]]:
    """Each error, as (path in the file, what is wrong and what is accepted)."""
    yield from _repeated("line", "id", (line.id for line in scenario.line))
    yield from _repeated("unit", "id", (unit.id for unit in scenario.unit))
    yield from _repeated("patient", "visit", (patient.visit for patient in scenario.patient))
    for index, line in enumerate(scenario.line):
        if bool(line.tcp) == bool(line.pty):
            yield ("line", index), "needs a place to be reached, accepted: either tcp or pty"
    for index, unit in enumerate(scenario.unit):
        yield from _unit_misfits(scenario, unit, ("unit", index))
    for index, patient in enumerate(scenario.patient):
        yield from _place_misfits(scenario, patient.unit, ("patient", index))
        yield from _patient_misfits(scenario, patient, ("patient", index))
    for index, fault in enumerate(scenario.fault):
        yield from _place_misfits(scenario, fault.unit, ("fault", index))
        try:
            fault.fault()
        except ValueError as error:
            yield ("fault", index), str(error)


def _repeated(table: str, key: str, values: Iterable[str]) -> Iterator[tuple[KeyPath, str]]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield (table, index, key), "stands twice, accepted: one that no other has"
        seen.add(value)


def _unit_misfits(scenario: Scenario, unit: UnitEntry, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    line = next((line for line in scenario.line if line.id == unit.line), None)
    if line is None:
        yield (*path, "line"), f"unknown line, accepted: {', '.join(each.id for each in scenario.line)}"
    elif line.dialect not in unit.map.dialects:
        accepted = ", ".join(sorted(unit.map.dialects))
        yield (*path, "map"), f"does not speak {line.dialect}, accepted on its line: {accepted}"
    else:
        neighbours = [each for each in scenario.unit if each.line == unit.line and each is not unit]
        if unit.unit_id is None and (neighbours or dialect(line.dialect).is_addressed):
            yield path, "unit_id is missing, accepted: 1 to 247"
        if unit.unit_id is not None and any(each.unit_id == unit.unit_id for each in neighbours):
            yield (*path, "unit_id"), "stands twice on its line, accepted: one that no other has"
    if unit.caps > unit.map.caps_max:
        yield (*path, "caps"), f"too many for {unit.map}, accepted: {unit.map.caps_max}"


def _place_misfits(scenario: Scenario, unit: str, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if unit not in (each.id for each in scenario.unit):
        yield (*path, "unit"), f"unknown unit, accepted: {', '.join(each.id for each in scenario.unit)}"


def _patient_misfits(scenario: Scenario, patient: PatientEntry, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    unit = next((unit for unit in scenario.unit if unit.id == patient.unit), None)
    if unit is not None and patient.cap > unit.caps:
        yield (*path, "cap"), f"not on this unit, accepted: 1 to {unit.caps}"
    before_min = 0.0
    running: set[str] = set()
    for index, step in enumerate(patient.step):
        if not before_min <= step.at_min <= scenario.length_min:
            accepted = f"{before_min:g} to {scenario.length_min:g}"
            yield (*path, "step", index, "at_min"), f"out of order or past the end, accepted: {accepted}"
        before_min = step.at_min
        if isinstance(step, InfusionStart):
            running.add(step.order)
        elif isinstance(step, InfusionEndEntry) and step.order not in running:
            yield (*path, "step", index, "order"), "was not started before, accepted: an order of an infusion_start"
