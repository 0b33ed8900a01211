"""The policies that `[tracking] policy` names: shipped ones, or .toml files beside gateway.toml."""

from collections.abc import Iterator, Sequence
from io import BytesIO, TextIOWrapper
from itertools import combinations
from zoneinfo import ZoneInfo

from drivers.toml.document import TomlProblems, load_toml
from drivers.toml.files import files
from drivers.toml.lines import Path as KeyPath
from drivers.toml.nearest import did_you_mean
from gateway.config.lines import LineSpec, UnitSpec
from gateway.config.problems import Problems
from gateway.config.tables import TrackingTable
from gateway.runtime.shipped import shipped_dir
from gateway.session.policies import Policies, policies_of
from gateway.session.policy import Policy, PolicyFile

WHERE = ("tracking", "policy")


def resolve_policies(
    problems: Problems, tracking: TrackingTable, lines: Sequence[LineSpec], time_zone: ZoneInfo | None
) -> Policies | None:
    """The policies; None, with the errors, if one of them cannot be had."""
    found = [_read(problems, where, name) for where, name in _named(problems, tracking)]
    read = [each for each in found if each is not None]
    for (_, one), (where, other) in combinations([(where, policy) for where, policy, _ in read], 2):
        if one.effective == other.effective:
            message = f"takes effect on {other.effective} as {one.name} revision {one.revision} does"
            problems.error(where, f"{message}, accepted: one policy from a day on")
        elif (one.name, one.revision) == (other.name, other.revision):
            message = f"{one.name} revision {one.revision} is another of these already"
            problems.error(where, f"{message}, accepted: a revision of its own for each")
    for where, policy, _ in read:
        _warn(problems, where, policy, lines, time_zone)
    if not read or len(read) < len(found):
        return None
    return policies_of(text for _, _, text in read)


def _named(problems: Problems, tracking: TrackingTable) -> Iterator[tuple[KeyPath, str]]:
    for index, name in enumerate(tracking.policy):
        yield (WHERE if len(tracking.policy) == 1 else (*WHERE, index)), name


def _read(problems: Problems, where: KeyPath, name: str) -> tuple[KeyPath, Policy, str] | None:
    """A policy and its text: a shipped one, or a .toml file relative to gateway.toml."""
    shipped = {path.stem: path for path in sorted((shipped_dir() / "policies").glob("*.toml"))}
    path = shipped.get(name)
    if path is None and not name.endswith(".toml"):
        accepted = f"{', '.join(shipped)}, the path of a .toml file{did_you_mean(name, shipped)}"
        problems.error(where, f"no such policy, accepted: {accepted}")
        return None
    path = path or problems.file(where, name)
    if path is None:
        return None
    try:
        policy = load_toml(path, PolicyFile).policy()
        return where, policy, TextIOWrapper(BytesIO(files().read(path)), "utf-8").read()  # line ends as in any text
    except TomlProblems as invalid:
        problems.errors += invalid.problems
        return None


def _warn(
    problems: Problems, where: KeyPath, policy: Policy, lines: Sequence[LineSpec], time_zone: ZoneInfo | None
) -> None:
    """Name what of a policy surprises."""
    if not policy.approved_by:
        message = f"policy {policy.name} revision {policy.revision} is approved by nobody: its increments are held"
        problems.warn(where, message)
    if policy.session_idle_s < policy.pause_tolerance_s:
        found = f"session_idle_s ({policy.session_idle_s}) is below pause_tolerance_s ({policy.pause_tolerance_s})"
        problems.warn(where, f"{found}: cooling after what passes for a pause is nobody's until it is bound")
    weak = {unit.profile.id for line in lines for unit in line.units if _is_weaker(unit, policy)}
    for profile_id in sorted(weak):
        asked = f"than the policy's min_evidence ({policy.min_evidence}) asks"
        problems.warn(where, f"{profile_id} proves circulation less well {asked}: its increments are held")
    if time_zone and policy.timezone != time_zone.key:
        message = f"the policy takes service dates from {policy.timezone}, the gateway lies in {time_zone.key}"
        problems.warn(("gateway", "time_zone"), message)


def _is_weaker(unit: UnitSpec, policy: Policy) -> bool:
    return unit.profile.evidence.strength < policy.min_evidence.strength
