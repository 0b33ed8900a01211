"""`capgate ledger verify`: verifies a ledger's chain, messages, checkpoints and counts."""

import sys
from pathlib import Path

import click
import msgspec

from gateway.audit.report import AuditReport
from gateway.audit.verify import verify as verify_ledger
from gateway.cli.ledger_options import JSON, LEDGER, refusing
from gateway.ledger.checkpoint import Checkpoint, read_checkpoint
from gateway.ledger.errors import CheckpointInvalid, KeyUnusable
from gateway.ledger.keys import read_public_keys

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "verify",
    epilog="Example: capgate ledger verify /var/lib/capgate/ledger.db --checkpoints held.jsonl --public-key key.pem. "
    "Exit codes: 0 sound, 1 problems, 2 something cannot be read.",
)
@LEDGER
@click.option("--checkpoints", type=_FILE, help="Checkpoints held outside, one JSON object or message a line.")
@click.option("--public-key", type=_FILE, help="Keys in PEM that may have signed; from `capgate ledger key`.")
@JSON
def verify(ledger: Path, checkpoints: Path | None, public_key: Path | None, as_json: bool) -> None:
    """Verify LEDGER: chain, messages, checkpoints, and every increment and charge derived again from the facts.

    Only checkpoints that were held outside show a cut tail or a ledger written anew.
    """
    with refusing():
        held = [] if checkpoints is None else _read_checkpoints(checkpoints)
        keys = None if public_key is None else _read_keys(public_key)
        report = verify_ledger(ledger, held, keys)
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


def _read_checkpoints(path: Path) -> list[Checkpoint]:
    held: list[Checkpoint] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                held.append(read_checkpoint(line))
            except CheckpointInvalid as error:
                raise CheckpointInvalid(f"{path}:{number}: {error}") from None
    if not held:
        raise CheckpointInvalid(f"{path} holds no checkpoint")
    return held


def _read_keys(path: Path) -> frozenset[bytes]:
    try:
        return read_public_keys(path.read_bytes())
    except KeyUnusable as error:
        raise KeyUnusable(f"{path}: {error}") from None
