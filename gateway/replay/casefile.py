"""Parser of session case files: timelines of sessions with the increments that each must yield. JSON to facts.

Accepted are a case file (an object with `cases`), one case (an object with `timeline`) and a bare timeline (a list of
events). Every problem is named with its case and the index of its event. Unknown fields are ignored.
"""

import json
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Annotated, cast
from zoneinfo import ZoneInfo

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.replay.casefile_events import CaseDefaults, EventModel, EventName, facts_of
from gateway.session.facts import AnyFact
from gateway.session.policy import Policy, PolicyFile

THRESHOLDS: dict[str, dict[str, int]] = {
    "midpoint": {"first_threshold_s": 960, "increment_s": 1800},
    "midpoint_strict": {"first_threshold_s": 901, "increment_s": 1800},
    "complete": {"first_threshold_s": 1800, "increment_s": 1800},
}


class CaseFileError(ValueError):
    """A file that is not a case file; `problems` has every reason found."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LogEntry(_Model):
    """One expected entry of the log."""

    op: str
    unit: int
    at: str
    attained: str | None = None
    was: str | None = None


class ExpectedUnits(_Model):
    """The expected result of one patient under one policy. Without `log`, each unit is emitted when it is attained."""

    units: int
    attained: tuple[str, ...]
    log: tuple[LogEntry, ...] | None = None


ExpectedResults = dict[str, dict[str, ExpectedUnits]]


class Variant(_Model):
    """The same timeline under other policy values."""

    policy: dict[str, object]
    expected: ExpectedResults = {}


class _CaseModel(_Model):
    id: str = ""
    title: str = ""
    tz: str | None = None
    patients: tuple[str, ...] = ()
    timeline: tuple[EventModel, ...]
    expected: ExpectedResults | None = None
    variants: tuple[Variant, ...] = ()
    flags: tuple[str, ...] | None = None


class _Threshold(_Model):
    first_threshold_s: Annotated[int, Field(ge=1)]
    increment_s: Annotated[int, Field(ge=1)] = Policy().increment_s


class _FileModel(_Model):
    policies: dict[str, _Threshold] = {}
    default_policy: dict[str, object] = {}
    cases: tuple[dict[str, object], ...]


class Case(msgspec.Struct, frozen=True):
    """One session case; `expected` is None if the file has no expected results."""

    id: str
    title: str
    zone: tzinfo
    zone_name: str
    patients: tuple[str, ...]
    facts: tuple[AnyFact, ...]
    expected: ExpectedResults | None
    variants: tuple[Variant, ...]
    flags: tuple[str, ...] | None


class CaseFile(msgspec.Struct, frozen=True):
    """A file's cases, its thresholds by name, and the policy values they share."""

    cases: tuple[Case, ...]
    thresholds: dict[str, dict[str, object]]
    default_policy: dict[str, object]

    def policy(self, name: str, case: Case, changed: dict[str, object] | None = None) -> Policy:
        """The policy of that threshold for `case`, with `changed` values. Raises CaseFileError."""
        base = {"name": name, "revision": "case", "effective": date(2026, 1, 1)}
        return policy_for(case, name, {**base, **self.default_policy, **self.thresholds[name], **(changed or {})})


def policy_for(case: Case, name: str, values: dict[str, object]) -> Policy:
    """The policy of these values, in the case's time zone. Raises CaseFileError with every problem."""
    try:
        policy = PolicyFile.model_validate(values).policy()
    except ValidationError as error:
        raise CaseFileError(_problems(f"case {case.id}: policy {name}", error)) from None
    return msgspec.structs.replace(policy, timezone=case.zone_name)


def read_cases(text: str | bytes, name: str) -> CaseFile:
    """The cases in `text`; `name` names a case that has no id. Raises CaseFileError with every problem."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseFileError([f"not JSON: {error}"]) from None
    try:
        file = _FileModel.model_validate(_as_file(document))
    except ValidationError as error:
        raise CaseFileError(_problems("", error)) from None
    problems: list[str] = []
    cases: list[Case] = []
    for index, raw in enumerate(file.cases):
        case_id = str(raw.get("id") or (name if len(file.cases) == 1 else f"#{index}"))
        try:
            cases.append(_case(case_id, raw))
        except CaseFileError as error:
            problems += error.problems
    if problems:
        raise CaseFileError(problems)
    thresholds = {key: value.model_dump() for key, value in file.policies.items()}
    shared = {key: value for key, value in file.default_policy.items() if key != "increment_s" or not thresholds}
    return CaseFile(tuple(cases), cast("dict[str, dict[str, object]]", thresholds or THRESHOLDS), shared)


def _as_file(document: object) -> dict[str, object]:
    """One case, or a bare timeline, as a case file with only that."""
    if isinstance(document, list):
        return {"cases": [{"timeline": cast("list[object]", document)}]}
    if isinstance(document, dict):
        fields = cast("dict[str, object]", document)
        if "timeline" in fields:
            return {"cases": [fields]}
        if "cases" in fields:
            return fields
    raise CaseFileError(['accepted: an object with "cases", one case with "timeline", or a list of events'])


def _case(case_id: str, raw: dict[str, object]) -> Case:
    try:
        model = _CaseModel.model_validate(raw)
    except ValidationError as error:
        raise CaseFileError(_problems(f"case {case_id}", error)) from None
    zone, zone_name = _zone(case_id, model)
    patients = model.patients or _patients(model)
    site = CaseDefaults.of(model.timeline, zone, "P1" if "P1" in patients else patients[0])
    facts: list[AnyFact] = []
    problems: list[str] = []
    for index, event in enumerate(model.timeline):
        try:
            facts += facts_of(event, site)
        except ValueError as error:
            problems.append(f"case {case_id}: timeline[{index}] ({event.event}): {error}")
    if problems:
        raise CaseFileError(problems)
    return Case(
        case_id, model.title, zone, zone_name, patients, tuple(facts), model.expected, model.variants, model.flags
    )


def _patients(model: _CaseModel) -> tuple[str, ...]:
    """The patients that the timeline names; P1 if an event names none."""
    named = {event.patient or "P1" for event in model.timeline if event.event is not EventName.PATIENT_REASSIGNED}
    moved = {name for event in model.timeline for name in (event.from_, event.to) if name}
    return tuple(sorted(named | moved)) or ("P1",)


def _zone(case_id: str, model: _CaseModel) -> tuple[tzinfo, str]:
    """The case's time zone; without one, the offset of its first event's instant."""
    if model.tz is not None:
        try:
            return ZoneInfo(model.tz), model.tz
        except (KeyError, ValueError, OSError):
            raise CaseFileError([f"case {case_id}: tz: no such time zone, accepted: America/New_York"]) from None
    for event in model.timeline:
        try:
            offset = datetime.fromisoformat(event.t).utcoffset()
        except ValueError:
            continue
        if offset is not None:
            hours = offset // timedelta(hours=1)
            whole = offset == timedelta(hours=hours)
            return timezone(offset), f"Etc/GMT{-hours:+d}" if whole else "UTC"
    return UTC, "UTC"


def _problems(where: str, error: ValidationError) -> list[str]:
    return [
        ": ".join(part for part in (where, _path(each["loc"]), each["msg"]) if part)
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _path(parts: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
