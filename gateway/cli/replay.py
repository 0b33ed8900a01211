"""`capgate replay`: compute increments from session timelines, and compare them with what a case file expects."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.replay_ledger import recount
from gateway.cli.replay_report import CaseReport, Results, Wanted, differences, policy_text, report
from gateway.replay.casefile import Case, CaseFileError, read_cases

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Examples: capgate replay sessions.json --check; capgate replay --ledger /var/lib/capgate/ledger.db "
    "--policy complete. Exit codes: 0 done, 1 differences, 2 wrong file."
)
@click.argument("file", type=_FILE, required=False)
@click.option("--ledger", type=_FILE, help="Recount the sessions of this ledger under --policy instead of a FILE.")
@click.option("--policy", "name", metavar="NAME|FILE", help="Only this threshold, shipped policy, or policy file.")
@click.option("--check", is_flag=True, help="Compare with what the file expects and name every difference.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a case and line.")
def command(file: Path | None, ledger: Path | None, name: str | None, check: bool, as_json: bool) -> None:
    """Compute 97009 increments from the session timelines in FILE, or of a ledger under another rule.

    FILE holds cases, one case, or a bare list of events. Nothing is asked of or written to a gateway.
    """
    if ledger is not None:
        if file is not None or check or name is None:
            raise click.UsageError("--ledger takes a --policy, and neither FILE nor --check")
        recount(ledger, name, as_json=as_json)
        return
    if file is None:
        raise click.UsageError("a FILE, or a --ledger")
    try:
        cases = read_cases(file.read_bytes(), file.stem)
        wanted = Wanted(cases, name)
        reports = [(case, report(case, wanted)) for case in cases.cases]
    except CaseFileError as error:
        _refuse(f"{file}: {problem}" for problem in error.problems)
    except TomlProblems as error:
        _refuse(map(str, error.problems))
    for case, found in reports:
        if as_json:
            click.echo(msgspec.json.encode(found))
        elif not check:
            _show(case, found)
    if check and not _passes(reports, wanted, beside_json=as_json):
        sys.exit(1)


def _refuse(problems: Iterator[str]) -> NoReturn:
    for problem in problems:
        click.echo(problem, err=True)
    sys.exit(2)


def _show(case: Case, found: CaseReport) -> None:
    click.echo(f"{found.id} {case.title}".rstrip())
    _show_results(found.results)
    for variant in found.variants:
        click.echo(f"  with {policy_text(variant.policy)}:")
        _show_results(variant.results)
    click.echo(f"  flags: {', '.join(found.flags) or 'none'}")


def _show_results(results: Results) -> None:
    for patient, by_policy in results.items():
        for name, result in by_policy.items():
            click.echo(f"  {patient} {name:<16}{result.units:>3}  {' '.join(result.attained)}".rstrip())


def _passes(reports: list[tuple[Case, CaseReport]], wanted: Wanted, *, beside_json: bool) -> bool:
    """Print every difference (to stderr if the output is JSON); returns whether there was none."""
    failed = silent = 0
    for case, found in reports:
        differing = differences(case, found, wanted)
        for each in differing or ():
            click.echo(f"{each.where}: expected {each.expected}, found {each.found}", err=beside_json)
        failed += bool(differing)
        silent += differing is None
    if silent:
        click.echo(f"{silent} expect nothing and were not compared", err=beside_json)
    click.echo(f"{len(reports) - failed - silent} passed, {failed} failed", err=beside_json)
    return failed == 0
