"""The report of `capgate replay` on a case: units, instants, log and flags, compared with the expected ones."""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from drivers.toml.document import load_toml
from gateway.replay.casefile import (
    Case,
    CaseFile,
    ExpectedResults,
    ExpectedUnits,
    policy_for,
)
from gateway.replay.replay import Recording, ReplayOutcome, record, replay
from gateway.runtime.shipped import shipped_dir
from gateway.session.increments import Change, Op
from gateway.session.local_time import exact_text
from gateway.session.policy import Policy, PolicyFile

_FLAGS_POLICY = "midpoint"


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One emitted, amended or retracted increment. Instants have the case's UTC offset."""

    op: str
    unit: int
    at: str
    attained: str | None = None
    was: str | None = None


class Result(msgspec.Struct, frozen=True):
    """The units of one patient under one policy."""

    units: int
    attained: tuple[str, ...]
    log: tuple[LogEntry, ...]


Results = dict[str, dict[str, Result]]  # patient -> policy -> result


class VariantReport(msgspec.Struct, frozen=True):
    """The results under changed policy values."""

    policy: dict[str, object]
    results: Results


class CaseReport(msgspec.Struct, frozen=True):
    """The report on one case. `flags` are those of all its patients under the policy of `Wanted.for_flags`."""

    id: str
    results: Results
    flags: tuple[str, ...]
    variants: tuple[VariantReport, ...]


class Wanted:
    """The policies to replay under: every threshold of the file, one of them, a shipped policy or a policy file."""

    def __init__(self, file: CaseFile, wanted: str | None) -> None:
        """Raises click.BadParameter for an unknown name, TomlProblems for an invalid policy file."""
        self._file = file
        self._given: PolicyFile | None = None
        self.names = tuple(file.thresholds)
        if wanted in file.thresholds:
            self.names = (wanted,)
        elif wanted is not None:
            self._given = load_toml(_policy_path(file, wanted), PolicyFile)
            self.names = (self._given.name,)

    def policy(self, name: str, case: Case, changed: dict[str, object] | None = None) -> Policy:
        """The policy of that name for `case`, with `changed` values. Raises CaseFileError."""
        if self._given is None:
            return self._file.policy(name, case, changed)
        return policy_for(case, name, {**self._given.model_dump(), **(changed or {})})

    def leaves_out(self, name: str) -> bool:
        """Whether `name` is a threshold of the file that is not to be replayed."""
        return name in self._file.thresholds and name not in self.names

    def for_flags(self, case: Case) -> Policy:
        """The policy whose flags are reported: the policy file's if one was given, else the default threshold's."""
        if self._given is not None:
            return self.policy(self._given.name, case)
        thresholds = self._file.thresholds
        return self._file.policy(_FLAGS_POLICY if _FLAGS_POLICY in thresholds else next(iter(thresholds)), case)


def _policy_path(file: CaseFile, wanted: str) -> Path:
    shipped = {path.stem: path for path in sorted((shipped_dir() / "policies").glob("*.toml"))}
    if wanted in shipped:
        return shipped[wanted]
    if Path(wanted).is_file():
        return Path(wanted)
    names = dict.fromkeys([*file.thresholds, *shipped, "the path of a .toml file"])
    raise click.BadParameter(f"no such policy, accepted: {', '.join(names)}", param_hint="--policy")


def report(case: Case, wanted: Wanted) -> CaseReport:
    """Replay a case. Raises CaseFileError if a variant has no policy."""
    recording = record(case.facts)
    flagged = [replay(recording, patient, wanted.for_flags(case)) for patient in case.patients]
    return CaseReport(
        id=case.id,
        results=_results(case, wanted, recording, None),
        flags=tuple(sorted({flag.value for outcome in flagged for flag in outcome.assessment.flags})),
        variants=tuple(
            VariantReport(each.policy, _results(case, wanted, recording, each.policy)) for each in case.variants
        ),
    )


def _results(case: Case, wanted: Wanted, recording: Recording, changed: dict[str, object] | None) -> Results:
    policies = {name: wanted.policy(name, case, changed) for name in wanted.names}
    return {
        patient: {name: _result(replay(recording, patient, policy), case.zone) for name, policy in policies.items()}
        for patient in case.patients
    }


def _result(outcome: ReplayOutcome, zone: tzinfo) -> Result:
    increments = outcome.assessment.increments
    return Result(
        units=len(increments),
        attained=tuple(exact_text(each.attained_at_us, zone) for each in increments),
        log=tuple(_entry(change, zone) for change in outcome.log),
    )


def _entry(change: Change, zone: tzinfo) -> LogEntry:
    return LogEntry(
        op=change.op.value,
        unit=change.index,
        at=exact_text(change.known_at_us, zone),
        attained=None if change.op is Op.RETRACT else exact_text(change.attained_at_us, zone),
        was=None if change.was_us is None else exact_text(change.was_us, zone),
    )


class Difference(NamedTuple):
    """A result that differs from the expected one."""

    where: str  # "C043 P1 complete, log"
    expected: str
    found: str


def differences(case: Case, found: CaseReport, wanted: Wanted) -> list[Difference] | None:
    """The differences from what `case` expects under the policies; None if it expects nothing under them."""
    compared = list(_compare(case.id, case.expected or {}, found.results, wanted, whole=True))
    if case.flags is not None:
        compared.append(_equal(f"{case.id}, flags", sorted(case.flags), found.flags))
    for variant, computed in zip(case.variants, found.variants, strict=True):
        where = f"{case.id} with {policy_text(variant.policy)}:"
        compared += _compare(where, variant.expected, computed.results, wanted, whole=False)
    return [each for each in compared if each is not None] if compared else None


def policy_text(policy: dict[str, object]) -> str:
    """The values of a variant, in TOML's notation."""
    return ", ".join(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in policy.items())


def _compare(
    where: str, expected: ExpectedResults, found: Results, wanted: Wanted, *, whole: bool
) -> Iterator[Difference | None]:
    """The result of each comparison: a Difference, or None if equal. `whole`: compare logs even if none is given."""
    for patient, by_policy in expected.items():
        for name, one in by_policy.items():
            result = found.get(patient, {}).get(name)
            if result is not None:
                yield from _compare_one(f"{where} {patient} {name}", one, result, whole=whole)
            elif not wanted.leaves_out(name):
                yield Difference(f"{where} {patient} {name}", "a result", "no such patient or policy")


def _compare_one(where: str, expected: ExpectedUnits, found: Result, *, whole: bool) -> Iterator[Difference | None]:
    yield _equal(f"{where}, units", [str(expected.units)], [str(found.units)])
    yield _equal(f"{where}, attained", expected.attained, found.attained)
    if expected.log is not None:
        log = [LogEntry(each.op, each.unit, each.at, each.attained, each.was) for each in expected.log]
    elif whole:
        log = [LogEntry(Op.EMIT, unit, at, at) for unit, at in enumerate(expected.attained, start=1)]
    else:
        return  # a variant that gives no log leaves it open
    yield _equal(f"{where}, log", map(_entry_text, log), map(_entry_text, found.log))


def _equal(where: str, expected: Iterable[str], found: Iterable[str]) -> Difference | None:
    expected, found = "; ".join(expected) or "nothing", "; ".join(found) or "nothing"
    return None if expected == found else Difference(where, expected, found)


def _entry_text(entry: LogEntry) -> str:
    attained = f" attained {entry.attained}" if entry.attained else ""
    was = f" was {entry.was}" if entry.was else ""
    return f"{entry.op} {entry.unit} at {entry.at}{attained}{was}"
