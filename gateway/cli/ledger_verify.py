"""`capgate ledger verify`: verifies a ledger's chain, messages, checkpoints and counts."""

import sys
from pathlib import Path

import click
import msgspec

from gateway.audit.report import AuditReport
from gateway.audit.verify import verify as verify_ledger
from gateway.cli.held_files import CHECKPOINTS, PUBLIC_KEY, read_checkpoints, read_keys
from gateway.cli.ledger_options import JSON, KEY, LEDGER, refusing


@click.command(
    "verify",
    epilog="Example: capgate ledger verify /var/lib/capgate/ledger.db --checkpoints held.jsonl --public-key key.pem. "
    "Exit codes: 0 sound, 1 problems, 2 something cannot be read.",
)
@LEDGER
@CHECKPOINTS
@PUBLIC_KEY
@KEY
@JSON
def verify(
    ledger: Path, checkpoints: Path | None, public_key: Path | None, key_file: Path | None, as_json: bool
) -> None:
    """Verify LEDGER: chain, messages, checkpoints, and every increment and charge derived again from the facts.

    Only checkpoints that were held outside show a cut tail or a ledger written anew.
    """
    with refusing():
        held = [] if checkpoints is None else read_checkpoints(checkpoints)
        keys = None if public_key is None else read_keys(public_key)
        report = verify_ledger(ledger, held, keys, key_file)
    if as_json:
        click.echo(msgspec.json.encode({"sound": report.sound, **msgspec.structs.asdict(report)}))
    else:
        _show(report)
    sys.exit(0 if report.sound else 1)


def _show(report: AuditReport) -> None:
    for problem in report.problems:
        click.echo(f"PROBLEM  {problem}")
    for note in report.notes:
        click.echo(f"note  {note}")
    click.echo(f"ledger of {report.gateway}, epoch {report.epoch}: {report.entries} entries, head {report.head_hash}")
    click.echo(
        f"{report.increments} increments and {report.charges} charges derived again, {report.messages} messages, "
        f"{report.checkpoints_inside} checkpoints inside, {report.checkpoints_outside} from outside"
    )
    if report.attested_seq:
        click.echo(f"checkpoints from outside vouch for all entries up to {report.attested_seq}")
    click.echo("sound" if report.sound else f"{len(report.problems)} problems")
