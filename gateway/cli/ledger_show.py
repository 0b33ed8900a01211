"""`capgate ledger show`: the entries of one session."""

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from pathlib import Path

import click
import msgspec

from gateway.audit.export import gather, session_content
from gateway.audit.stream import open_snapshot
from gateway.cli.fact_fields import fact_fields
from gateway.cli.ledger_options import IDENTIFY, JSON, KEY, LEDGER, leave_trace, refusing
from gateway.ledger.access import Looked
from gateway.runtime.logs import escaped
from gateway.session.local_time import localized


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
@KEY
@JSON
def show(ledger: Path, session: str, identify: bool, key_file: Path | None, as_json: bool) -> None:
    """Show SESSION as it was recorded: facts, increments, charges, each with the number of its entry.

    Times are local, by the policy's time zone; UTC in JSON.
    """
    with refusing(), open_snapshot(ledger, key_file) as connection:
        bundle = gather(connection, session, identify=identify)
    if identify:
        leave_trace(ledger, Looked.EXPORT, [session])
    encoded = msgspec.json.encode(session_content(bundle))
    if as_json:
        click.echo(encoded.decode())
    else:
        shown = msgspec.json.decode(encoded, type=_Shown)
        click.echo("\n".join(map(escaped, _lines(shown, bundle.recorded.policy.zone, identify=identify))))


def _lines(shown: _Shown, zone: tzinfo, *, identify: bool) -> Iterator[str]:
    yield f"session {shown.session} of {shown.gateway}, epoch {shown.epoch}"
    yield f"opened {localized(shown.opened_at, zone)} under {shown.policy['name']} revision {shown.policy['revision']}"
    purged = ", identifiers purged" if identify and shown.subject and shown.patient is None else ""
    yield f"subject {shown.subject or 'unknown'}{_pairs(shown.patient or {})}{purged}"
    yield f"phase {shown.phase or 'not told'}, flags {', '.join(shown.flags) or 'none'}"
    yield f"net {shown.net_s:g} s after the infusion, {shown.chart_minutes} min by HH:MM"
    yield f"increments {' '.join(shown.increments_standing) or 'none'}, units charged {shown.units_charged}"
    for row in [each for each in shown.facts if each["fact"] not in ("observed_until", "units_observed")]:
        detail = dict(fact_fields(_mapping(row["detail"]), zone))
        yield f"  {row['seq']:>7}  {_at(row, 'at', zone)}  {row['fact']}{_pairs(detail)}"
    for row in shown.increments:
        was = f" was {_at(row, 'was', zone)}" if row["was"] else ""
        attained = f"attained {_at(row, 'attained_at', zone)}{was}"
        yield f"  {row['seq']:>7}  {_at(row, 'recorded_at', zone)}  {row['op']} {row['key']} {attained}"
    for row in shown.charges:
        what = f"credit of {row['reverses']}" if row["reverses"] else "charge"
        yield f"  {row['seq']:>7}  {_at(row, 'recorded_at', zone)}  {what} {row['key']} quantity {row['quantity']}"


def _at(row: Mapping[str, object], name: str, zone: tzinfo) -> str:
    return localized(str(row[name]), zone)


def _mapping(value: object) -> Mapping[str, object]:
    return msgspec.convert(value, dict[str, object])


def _pairs(values: Mapping[str, object]) -> str:
    return "".join(f" {key}={_flat(value)}" for key, value in values.items())


def _flat(value: object) -> str:
    try:
        return "/".join(map(str, _mapping(value).values()))
    except msgspec.ValidationError:  # not a JSON object
        return str(value)
