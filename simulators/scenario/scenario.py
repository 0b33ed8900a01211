"""Loads scenarios (units on lines, patients' timelines, faults), and builds units and EHR messages from them."""

from collections.abc import Iterator
from enum import StrEnum
from math import ceil
from pathlib import Path

import msgspec

from drivers.toml.document import TomlProblems, load_toml_lines
from simulators.machine import Machine
from simulators.scenario.scenario_checks import misfits
from simulators.scenario.scenario_format import (
    Agent,
    InfusionEndEntry,
    InfusionStart,
    Interruption,
    PatientEntry,
    Scenario,
    Step,
    TimelineStep,
    UnitEntry,
)
from simulators.unit import Action, SimulatedUnit, Verb

S_PER_MIN = 60
CLOSING_AGENTS = frozenset({Agent.CHEMO, Agent.BIOLOGIC})  # the infusion ends with the last of these


class FeedKind(StrEnum):
    """The kinds of simulated EHR message."""

    BOUND = "bound"
    STARTED = "started"
    ENDED = "ended"
    RELEASED = "released"


class FeedItem(msgspec.Struct, frozen=True):
    """An EHR message about an event at `at_s`. `final`: this is the end of the last of CLOSING_AGENTS."""

    at_s: float
    kind: FeedKind
    unit: str
    cap: int
    visit: str
    order: str | None = None
    agent: Agent | None = None
    final: bool = False


def load_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises TomlProblems with every error."""
    loaded = load_toml_lines(path, Scenario)
    problems = sorted(
        (loaded.problem(path, message) for path, message in misfits(loaded.model)), key=lambda each: each.line
    )
    if problems:
        raise TomlProblems(tuple(problems))
    return loaded.model


def repeated(scenario: Scenario, until_min: float) -> Scenario:
    """The scenario with each patient followed by others like that one, a minute after the one before has left.

    The last ones arrive before `until_min`; each has a visit and orders of its own.
    """
    patients = (each for patient in scenario.patient for each in _followed(patient, until_min))
    return scenario.model_copy(update={"patient": tuple(patients)})


def _followed(patient: PatientEntry, until_min: float) -> Iterator[PatientEntry]:
    first_min = patient.step[0].at_min
    period_min = patient.step[-1].at_min - first_min + 1
    for number in range(ceil((until_min - first_min) / period_min)):
        yield _later(patient, number, number * period_min) if number else patient


def _later(patient: PatientEntry, number: int, by_min: float) -> PatientEntry:
    steps: list[Step] = []
    for step in patient.step:
        changed: dict[str, float | str] = {"at_min": step.at_min + by_min}
        if isinstance(step, InfusionStart | InfusionEndEntry):
            changed["order"] = f"{step.order}-{number}"
        steps.append(step.model_copy(update=changed))
    return patient.model_copy(update={"visit": f"{patient.visit}-{number}", "step": tuple(steps)})


def infusion_feed(scenario: Scenario) -> tuple[FeedItem, ...]:
    """The scenario's EHR messages, in the order of their instants."""
    items = (item for patient in scenario.patient for item in _feed_of(patient))
    return tuple(sorted(items, key=lambda item: item.at_s))


def build_units(scenario: Scenario) -> dict[str, tuple[SimulatedUnit, ...]]:
    """The simulated units of each line, with their scripts."""
    return {
        line.id: tuple(_unit(scenario, entry) for entry in scenario.unit if entry.line == line.id)
        for line in scenario.line
    }


def _unit(scenario: Scenario, entry: UnitEntry) -> SimulatedUnit:
    machine = Machine(entry.serial_number, entry.caps, entry.set_point_c, entry.supply_c)
    machine.watchdog_s = entry.watchdog_s
    actions = [
        _action(patient, step) for patient in scenario.patient if patient.unit == entry.id for step in patient.step
    ]
    actions += [
        Action(fault.at_min * S_PER_MIN, f"fault {fault.kind}", fault=fault.fault())
        for fault in scenario.fault
        if fault.unit == entry.id
    ]
    script = tuple(sorted(actions, key=lambda action: action.at_s))
    return SimulatedUnit(entry.id, entry.unit_id, machine, entry.map.answer, script, scenario.seed)


def _action(patient: PatientEntry, step: Step) -> Action:
    match step:
        case InfusionStart() | InfusionEndEntry():
            what = f"{step.do} {step.order}"
        case Interruption(reason=reason) if reason:
            what = f"{step.do} ({reason})"
        case _:
            what = step.do
    return Action(step.at_min * S_PER_MIN, f"{patient.visit} {what}", patient.cap, _verb(step))


def _verb(step: Step) -> Verb | None:
    match step.do:
        case "arrive" | "connect":
            return Verb.CONNECT
        case "precool":
            return Verb.START
        case "pause":
            return Verb.PAUSE
        case "resume":
            return Verb.RESUME
        case "stop":
            return Verb.STOP
        case "disconnect" | "leave":
            return Verb.DISCONNECT
        case "infusion_start" | "infusion_end":
            return None


def _feed_of(patient: PatientEntry) -> Iterator[FeedItem]:
    agents = {step.order: step.agent for step in patient.step if isinstance(step, InfusionStart)}
    ends = [
        step for step in patient.step if isinstance(step, InfusionEndEntry) and agents[step.order] in CLOSING_AGENTS
    ]
    for step in patient.step:
        at_s = step.at_min * S_PER_MIN
        match step:
            case TimelineStep(do="arrive"):
                yield FeedItem(at_s, FeedKind.BOUND, patient.unit, patient.cap, patient.visit)
            case TimelineStep(do="leave"):
                yield FeedItem(at_s, FeedKind.RELEASED, patient.unit, patient.cap, patient.visit)
            case InfusionStart(order=order, agent=agent):
                yield FeedItem(at_s, FeedKind.STARTED, patient.unit, patient.cap, patient.visit, order, agent)
            case InfusionEndEntry(order=order):
                agent, final = agents[order], step is (ends[-1] if ends else None)
                yield FeedItem(at_s, FeedKind.ENDED, patient.unit, patient.cap, patient.visit, order, agent, final)
            case _:
                pass
