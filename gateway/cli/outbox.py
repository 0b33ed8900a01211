"""`capgate outbox`: lists and shows messages that the engine has not acknowledged, and sends them again."""

import sys
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path

import click
import msgspec

from gateway.cli.control_client import request_command, signed
from gateway.cli.gateway_place import GatewayPlace, gateway_place
from gateway.cli.ledger_options import KEY, leave_trace, refusing
from gateway.control.answers import DoneAnswer
from gateway.ledger import deliveries
from gateway.ledger.access import Looked
from gateway.ledger.deliveries import DeliveryEvent, Followed, Proof, Unsettled
from gateway.ledger.store import LEDGER_FILE, open_readonly
from gateway.runtime.logs import escaped
from gateway.session.keys import session_of
from gateway.session.local_time import instant_text

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_EXITS = "Exit codes: 0 done, 1 there is no such message, 2 the ledger cannot be read."


class _Messages(msgspec.Struct, frozen=True):
    """The JSON output of `list`."""

    messages: list[Unsettled]


class _Message(msgspec.Struct, frozen=True):
    """The JSON output of `show`."""

    message: Followed
    events: list[DeliveryEvent]
    body: str | None


@click.command("list", epilog=f"Example: capgate outbox list --config /etc/capgate/gateway.toml. {_EXITS}")
@KEY
@gateway_place
@_JSON
def _list(place: GatewayPlace, key_file: Path | None, as_json: bool) -> None:
    """List the messages that the engine has not acknowledged: pending, stored, unproven, or rejected with its reason.

    Reads the ledger, beside a running gateway or without one.
    """
    with refusing(), open_readonly(place.state_dir / LEDGER_FILE, key_file) as connection:
        waiting = deliveries.unsettled(connection)
    if as_json:
        click.echo(msgspec.json.encode(_Messages(waiting)))
        return
    zone = place.zone()
    for each in waiting:
        click.echo(escaped(_line(each, zone)))
    counts = {proof: sum(each.proof is proof for each in waiting) for proof in Proof}
    summary = ", ".join(f"{count} {proof}" for proof, count in counts.items() if count)
    click.echo(summary or "the engine has everything")


@click.command("show", epilog=f"Example: capgate outbox show 9RX2M7KQ400A --config /etc/capgate/gateway.toml. {_EXITS}")
@click.argument("key")
@click.option("--body", is_flag=True, help="Also the message itself, which names a patient.")
@KEY
@gateway_place
@_JSON
def _show(key: str, body: bool, place: GatewayPlace, key_file: Path | None, as_json: bool) -> None:
    """Show what happened to one message: each time it was sent, what the engine said, who ordered it again."""
    with refusing(), open_readonly(place.state_dir / LEDGER_FILE, key_file) as connection:
        message = deliveries.followed(connection, key.upper())
        events = deliveries.events(connection, key.upper())
        payload = deliveries.payload(connection, key.upper()) if body else None
    if message is None:
        click.echo(f"no message {key} is followed to the engine", err=True)
        sys.exit(1)
    if payload is not None:
        leave_trace(place.state_dir / LEDGER_FILE, Looked.EXPORT, [session_of(message.key)])
    if as_json:
        click.echo(msgspec.json.encode(_Message(message, events, body=None if payload is None else payload.decode())))
        return
    for line in _details(message, events, place.zone()):
        click.echo(escaped(line))
    if payload is not None:
        for line in payload.decode().splitlines():
            click.echo(escaped(line))


def _line(each: Unsettled, zone: tzinfo) -> str:
    sent = f"sent {each.sends} times, last {instant_text(each.last_us, zone)}" if each.sends else "not sent yet"
    why = f"  {' '.join(filter(None, (each.code, each.text)))}" if each.proof is Proof.REJECTED else ""
    return f"{each.key}  {each.proof:<10}since {instant_text(each.recorded_us, zone)}, {sent}{why}"


def _details(message: Followed, events: list[DeliveryEvent], zone: tzinfo) -> Iterator[str]:
    awaited = "a receipt is expected" if message.awaited else "no receipt is expected"
    yield f"{message.key}  {message.proof}, {awaited}"
    yield f"  {message.topic}, sequence {message.seq}{', its bytes were purged' if message.purged else ''}"
    for event in events:
        yield f"  {instant_text(event.at_us, zone)} {event.what}" + (f": {event.detail}" if event.detail else "")


_WHO_AND_WHY, _SHOWN = signed("--all-rejected --code 207")
_RESEND = request_command(
    "outbox",
    "resend",
    "Send the message KEY again, byte for byte, at once; or every message that the engine rejected. For when the cause "
    "is mended.",
    _SHOWN,
    {"request": "resend"},
    DoneAnswer,
    click.Argument(["key"], required=False),
    click.Option(["--all-rejected"], is_flag=True, help="Every message that stands rejected, instead of KEY."),
    click.Option(["--code"], help="Of those, the ones rejected with this code, as capgate outbox list shows it."),
    *_WHO_AND_WHY,
)

command = click.Group(
    "outbox",
    commands=[_list, _show, _RESEND],
    help="Look at the messages that the interface engine does not have, and send one again.",
    epilog="Example: capgate outbox list --config /etc/capgate/gateway.toml. Each command has its own --help.",
)
