"""`capgate ledger purge`: has the running gateway purge what is settled and old, or say what that would be."""

import sys
from collections.abc import Iterator

import click
import msgspec

from gateway.cli.control_client import ask
from gateway.cli.gateway_place import GatewayPlace, gateway_place
from gateway.cli.ledger_options import JSON
from gateway.control.answers import PurgeAnswer, RefusalAnswer, read_answer
from gateway.runtime.logs import escaped


@click.command(
    "purge",
    epilog="Example: capgate ledger purge --config /etc/capgate/gateway.toml --dry-run. Exit codes: 0 all that is due "
    "is purged, or would be, 1 some of it is kept, for the reasons that are listed, or it is refused, 2 wrong use or "
    "no gateway.",
)
@click.option("--dry-run", is_flag=True, help="Purge nothing; say what would be.")
@click.option("--person", help="Who acts: a name or staff number. Recorded for good.")
@click.option("--reason", help="Why, up to 200 characters. Recorded; name no patient.")
@click.option("--clock-checked", is_flag=True, help="The box's clock is right, though the last sweep is long ago.")
@gateway_place
@JSON
def purge(
    dry_run: bool, person: str | None, reason: str | None, clock_checked: bool, place: GatewayPlace, as_json: bool
) -> None:
    """Delete what is settled and older than the days under [retention]: patients' identifiers, bytes of messages.

    What is open, held, incomplete or undelivered is kept and named. The chain stays, and records the purge. The gateway
    does the same by itself each day. Where the last time was more than 31 days ago by its clock it asks whether that is
    right.
    """
    if not dry_run and (person is None or reason is None):
        raise click.UsageError("give --dry-run, or --person and --reason")
    request = {"request": "purge", "dry_run": dry_run, "person": person, "reason": reason}
    request |= {"clock_checked": clock_checked}
    line = ask(place.socket, msgspec.json.encode(request))
    answer = read_answer(line, PurgeAnswer)
    if as_json:
        click.echo(line)
    else:
        click.echo("\n".join(map(escaped, _lines(answer))), err=not answer.ok)
    sys.exit(0 if isinstance(answer, PurgeAnswer) and answer.complete and not answer.kept else 1)


def _lines(answer: PurgeAnswer | RefusalAnswer) -> Iterator[str]:
    match answer:
        case RefusalAnswer():
            yield f"refused: {answer.error}"
            yield f"accepted: {answer.accepted}"
        case PurgeAnswer():
            yield "would be purged:" if answer.dry_run else "purged:"
            yield f"  identifiers of {answer.identifiers} patients"
            yield f"  bytes of {answer.messages} messages, texts of {answer.texts} receipts"
            yield f"  copies: {', '.join(answer.copies) or 'none'}"
            for each in answer.kept:
                yield f"kept: session {each.session} is {each.why}"
            if not answer.complete:
                yield "more is due: the next sweep goes on, or the same command"
