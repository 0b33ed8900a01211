"""`capgate check` of a device profile: reports every error with its line, and replays the golden polls."""

from pathlib import Path
from typing import NoReturn

import click
import msgspec

from drivers.golden.polls import golden_problems
from drivers.profile.load import load_profile
from drivers.toml.document import Problem, TomlProblems, read_toml
from gateway.runtime.logs import escaped


def is_profile(path: Path) -> bool:
    """Whether the file is a device profile, not a gateway's configuration."""
    try:
        return "identity" in read_toml(path).data
    except TomlProblems:
        return False


def report_profile(path: Path, as_json: bool) -> NoReturn:
    """Print the profile's errors and exit with 1, or print its summary and exit with 0."""
    try:
        problems = golden_problems(path)
    except TomlProblems as error:
        problems = error.problems
    click.echo(_json(problems) if as_json else "\n".join(map(escaped, _lines(path, problems))))
    raise SystemExit(1 if problems else 0)


def _json(problems: tuple[Problem, ...]) -> str:
    answers = [{**msgspec.structs.asdict(each), "severity": "error"} for each in problems]
    return msgspec.json.encode({"ok": not problems, "problems": answers}).decode()


def _lines(path: Path, problems: tuple[Problem, ...]) -> list[str]:
    if problems:
        return [*map(str, problems), f"{len(problems)} error{'' if len(problems) == 1 else 's'}"]
    profile = load_profile(path)
    identity = profile.identity
    return [
        f"profile {profile.id}: {identity.vendor} {identity.model} (trust: {identity.trust}), from {identity.source}",
        f"{profile.dialect} {profile.serial}, {len(profile.blocks)} requests a poll, "
        f"every {profile.timing.fastest_poll_s:g} s at the quickest",
        f"circulation: {profile.evidence}",
        "no errors: every golden poll is read as it expects",
    ]
