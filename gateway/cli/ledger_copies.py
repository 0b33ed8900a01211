"""`capgate ledger export`, `backup` and `key`: audit bundles, copies and the public key."""

import sys
from pathlib import Path

import click

from gateway.audit import backup as copying
from gateway.audit.export import Form, gather, write_bundle
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import IDENTIFY, KEY, LEDGER, leave_trace, refusing
from gateway.ledger.access import Looked
from gateway.ledger.keys import KEY_FILE, load_key, public_pem


@click.command(
    "export",
    epilog="Example: capgate ledger export /var/lib/capgate/ledger.db 9RX2M7KQ4 --format csv --out audits. Exit codes: "
    "0 written, 1 no such session, 2 it cannot be read or written.",
)
@LEDGER
@click.argument("session")
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", help="Of the content.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where; here if left out."
)
@IDENTIFY
@KEY
def export(ledger: Path, session: str, form: Form, out: Path, identify: bool, key_file: Path | None) -> None:
    """Write an audit bundle of SESSION: a directory to hand out, readable and verifiable without Capgate.

    It has a README.txt and a verify_bundle.py that needs nothing but Python.
    """
    directory = out / f"capgate-audit-{session}"
    with refusing(), open_snapshot(ledger, key_file) as connection:
        bundle = gather(connection, session, identify=identify)
        if identify:
            leave_trace(ledger, Looked.EXPORT, [session])
        write_bundle(connection, bundle, directory, form)
    click.echo(f"{directory}: entries {bundle.first_seq} to {bundle.last_seq}, {len(bundle.shown)} whole")
    if bundle.withheld:
        click.echo(f"{len(bundle.withheld)} entries that name the patient are withheld; --identify has them whole")
    if not bundle.checkpoints:
        click.echo("the ledger has no checkpoint of these entries")


@click.command(
    "backup",
    epilog="Example: capgate ledger backup /var/lib/capgate/ledger.db /mnt/backup/ledger-2026-03-10.db. Exit codes: 0 "
    "written and sound, 1 written and not sound, 2 it cannot be read or written.",
)
@LEDGER
@click.argument("target", type=click.Path(path_type=Path))
@KEY
def backup(ledger: Path, target: Path, key_file: Path | None) -> None:
    """Copy LEDGER to TARGET while the gateway runs, then verify the copy.

    A copy of the files alone would miss what the log beside them holds. TARGET has patient identifiers, encrypted
    with the same key as in LEDGER, or in clear if they are so there.
    """
    with refusing():
        report = copying.backup(ledger, target, key_file)
    for problem in report.problems:
        click.echo(f"PROBLEM  {problem}")
    click.echo(f"{target}: {report.entries} entries, head {report.head_hash}")
    click.echo("sound" if report.sound else f"{len(report.problems)} problems")
    sys.exit(0 if report.sound else 1)


@click.command(
    "key",
    epilog="Example: capgate ledger key /var/lib/capgate/ledger.db > gw-01.pem. Exit codes: 0 done, 2 there is no key "
    "to be read.",
)
@LEDGER
def key(ledger: Path) -> None:
    """Print the public key, in PEM, that the checkpoints of LEDGER's gateway are verified with.

    It is read from the private key beside LEDGER, so only the gateway's user can do this.
    """
    with refusing():
        click.echo(public_pem(load_key(ledger.with_name(KEY_FILE)).public_raw), nl=False)
