"""`capgate check` of a file that gateway.toml names: a device profile, a policy, or a vocabulary."""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from pydantic import BaseModel

from drivers.golden.polls import golden_problems
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.load import load_profile
from drivers.toml.document import Problem, TomlProblems, load_toml, read_toml
from gateway.config.tables import ConfigFile
from gateway.config.vocabulary import VocabularyFile, load_vocabulary
from gateway.runtime.logs import escaped
from gateway.session.policy import PolicyFile


class FileKind(Enum):
    """What a file is by most of its keys; the value is those that it may have."""

    CONFIGURATION = (ConfigFile,)
    PROFILE = tuple(SHAPES.values())
    POLICY = (PolicyFile,)
    VOCABULARY = (VocabularyFile,)


def kind_of(path: Path) -> FileKind:
    """The kind to which most of the file's keys belong; a configuration if none does, or if it is no TOML."""
    try:
        present = read_toml(path).data.keys()
    except TomlProblems:
        return FileKind.CONFIGURATION
    return max(FileKind, key=lambda kind: len(present & _keys(kind.value)))


def _keys(models: Iterable[type[BaseModel]]) -> set[str]:
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def report_profile(path: Path, *, as_json: bool) -> NoReturn:
    """Print the profile's errors and exit with 1, or print its summary and exit with 0."""
    try:
        problems = golden_problems(path)
    except TomlProblems as error:
        problems = error.problems
    _report(problems, () if problems else _profile_lines(path), as_json)


def report_policy(path: Path, *, as_json: bool) -> NoReturn:
    """Print the policy's errors and exit with 1, or print from when on it counts what and exit with 0."""
    _report_loaded(lambda: tuple(_policy_lines(load_toml(path, PolicyFile))), as_json)


def report_vocabulary(path: Path, *, as_json: bool) -> NoReturn:
    """Print the vocabulary's errors and exit with 1, or print its words and exit with 0."""
    _report_loaded(lambda: tuple(_vocabulary_lines(path)), as_json)


def _report_loaded(summary: Callable[[], Iterable[str]], as_json: bool) -> NoReturn:
    try:
        lines = summary()
    except TomlProblems as error:
        _report(error.problems, (), as_json)
    _report((), lines, as_json)


def _report(problems: tuple[Problem, ...], summary: Iterable[str], as_json: bool) -> NoReturn:
    if as_json:
        answers = [{**msgspec.structs.asdict(each), "severity": "error"} for each in problems]
        click.echo(msgspec.json.encode({"ok": not problems, "problems": answers}).decode())
    else:
        counted = f"{len(problems)} error{'' if len(problems) == 1 else 's'}"
        lines = [*map(str, problems), counted] if problems else summary
        click.echo("\n".join(map(escaped, lines)))
    raise SystemExit(1 if problems else 0)


def _profile_lines(path: Path) -> Iterator[str]:
    profile = load_profile(path)
    identity = profile.identity
    yield f"profile {profile.id}: {identity.vendor} {identity.model} (trust: {identity.trust}), from {identity.source}"
    yield (
        f"{profile.dialect} {profile.serial}, {len(profile.blocks)} requests a poll, "
        f"every {profile.timing.fastest_poll_s:g} s at the quickest"
    )
    yield f"circulation: {profile.evidence}"
    yield "no errors: every golden poll is read as it expects"


def _policy_lines(policy: PolicyFile) -> Iterator[str]:
    approved = f"approved by {policy.approved_by}" if policy.approved_by else "approved by NOBODY, increments are held"
    yield f"policy {policy.name} revision {policy.revision}, {approved}"
    yield f"effective from {policy.effective} on in {policy.timezone}: what begins before is held under it"
    yield f"unit 1 after {policy.first_threshold_s} s, each further one after {policy.increment_s} s more"
    yield "no errors"


def _vocabulary_lines(path: Path) -> Iterator[str]:
    for field, words in load_vocabulary(path).words.items():
        for act in dict.fromkeys(words.values()):
            yield f"{field} {act.value}: {', '.join(word for word, means in words.items() if means is act)}"
    yield "no errors"
