"""`capgate ledger show`: the entries of one session."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from gateway.audit.export import gather, session_content
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import IDENTIFY, JSON, LEDGER, refusing


class _Shown(msgspec.Struct):
    """The fields of an entry's body that the text output shows."""

    session: str
    gateway: str
    epoch: str
    opened_at: str
    policy: dict[str, str]
    subject: str | None
    patient: dict[str, str] | None
    phase: str | None
    flags: list[str]
    net_s: float
    chart_minutes: int
    increments_standing: list[str]
    units_charged: int
    facts: list[dict[str, object]]
    increments: list[dict[str, object]]
    charges: list[dict[str, object]]


@click.command(
    "show",
    epilog="Example: capgate ledger show /var/lib/capgate/ledger.db 9RX2M7KQ4. Exit codes: 0 done, 1 no such session, "
    "2 it cannot be read.",
)
@LEDGER
@click.argument("session")
@IDENTIFY
@JSON
def show(ledger: Path, session: str, identify: bool, as_json: bool) -> None:
    """Show SESSION as it was recorded: facts, increments, charges, each with the number of its entry."""
    with refusing(), open_snapshot(ledger) as connection:
        content = session_content(gather(connection, session, identify=identify))
    encoded = msgspec.json.encode(content)
    click.echo(encoded.decode() if as_json else "\n".join(_lines(msgspec.json.decode(encoded, type=_Shown))))


def _lines(shown: _Shown) -> Iterator[str]:
    yield f"session {shown.session} of {shown.gateway}, epoch {shown.epoch}"
    yield f"opened {shown.opened_at} under {shown.policy['name']} revision {shown.policy['revision']}"
    yield f"subject {shown.subject or 'unknown'}{_pairs(shown.patient or {})}"
    yield f"phase {shown.phase or 'not told'}, flags {', '.join(shown.flags) or 'none'}"
    yield f"net {shown.net_s:g} s after the infusion, {shown.chart_minutes} min by HH:MM"
    yield f"increments {' '.join(shown.increments_standing) or 'none'}, units charged {shown.units_charged}"
    for row in [each for each in shown.facts if each["fact"] not in ("observed_until", "units_observed")]:
        detail = {key: value for key, value in _mapping(row["detail"]).items() if key != "policy"}
        yield f"  {row['seq']:>7}  {row['at']}  {row['fact']}{_pairs(detail)}"
    for row in shown.increments:
        was = f" was {row['was']}" if row["was"] else ""
        yield f"  {row['seq']:>7}  {row['recorded_at']}  {row['op']} {row['key']} attained {row['attained_at']}{was}"
    for row in shown.charges:
        what = f"credit of {row['reverses']}" if row["reverses"] else "charge"
        yield f"  {row['seq']:>7}  {row['recorded_at']}  {what} {row['key']} quantity {row['quantity']}"


def _mapping(value: object) -> Mapping[str, object]:
    return msgspec.convert(value, dict[str, object])


def _pairs(values: Mapping[str, object]) -> str:
    return "".join(f" {key}={_flat(value)}" for key, value in values.items())


def _flat(value: object) -> str:
    try:
        return "/".join(map(str, _mapping(value).values()))
    except msgspec.ValidationError:  # not a JSON object
        return str(value)
