"""`capgate replay --ledger`: recounts the sessions of a ledger under another policy."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems, load_toml
from gateway.audit.sessions import RecordedSession, sessions
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import refusing
from gateway.replay.casefile import THRESHOLDS
from gateway.runtime.shipped import shipped_dir
from gateway.session.policy import Policy, PolicyFile


class _Recount(msgspec.Struct):
    session: str
    policy: str  # the pinned one
    recorded: int
    recounted: int


def recount(ledger: Path, name: str, *, as_json: bool) -> None:
    """Print for each session the recorded units and those under the policy `name`."""
    other = _other_policy(name)
    with refusing(), open_snapshot(ledger) as connection:
        found = [_recount(each, other) for each in sessions(connection)]
    recorded, recounted = sum(each.recorded for each in found), sum(each.recounted for each in found)
    if as_json:
        total = {"recorded": recorded, "recounted": recounted}
        click.echo(msgspec.json.encode({"policy": name, "sessions": found, "total": total}))
        return
    click.echo(f"{'session':<12}{'pinned':<18}{'recorded':>9}{name:>18}")
    for each in found:
        click.echo(f"{each.session:<12}{each.policy:<18}{each.recorded:>9}{each.recounted:>18}")
    click.echo(f"{'total':<30}{recorded:>9}{recounted:>18}")


def _recount(session: RecordedSession, other: Callable[[Policy], Policy]) -> _Recount:
    counted = session.counted.under(other(session.policy))
    return _Recount(session.token, session.policy.name, len(session.increments), len(counted.increments))


def _other_policy(name: str) -> Callable[[Policy], Policy]:
    """A function from a session's policy to the one to recount with: other thresholds, or a file's policy."""
    if name in THRESHOLDS:
        changed = THRESHOLDS[name]
        return lambda policy: msgspec.structs.replace(policy, name=name, **changed)
    shipped = {path.stem: path for path in sorted((shipped_dir() / "policies").glob("*.toml"))}
    path = shipped.get(name, Path(name))
    if not path.is_file():
        accepted = ", ".join(dict.fromkeys([*THRESHOLDS, *shipped, "the path of a .toml file"]))
        raise click.BadParameter(f"no such policy, accepted: {accepted}", param_hint="--policy")
    try:
        policy = load_toml(path, PolicyFile).policy()
    except TomlProblems as problems:
        click.echo("\n".join(map(str, problems.problems)), err=True)
        sys.exit(2)
    return lambda _: policy
