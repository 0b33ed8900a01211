"""`capgate explain`: how a message of the EHR would be read, and what it would change. Nothing is recorded."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.control_client import give_up
from gateway.config.load import GatewayConfig, load_config
from gateway.describe.dry_run import Explanation, explain
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import escaped


@click.command(
    "explain",
    epilog="Example: capgate explain ras_o17.hl7 --config /etc/capgate/gateway.toml. Exit codes: 0 it would be taken, "
    "1 it would be ignored or rejected, 2 wrong use or wrong configuration.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="Whose chairs, units, drug codes and words count.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(file: Path, config: Path | None, as_json: bool) -> None:
    """Say how the HL7, FHIR or JSON message in FILE would be read: field by field, and which facts it would become.

    Works without a gateway and without a broker. What it prints repeats the message: mind whose it is.
    """
    explained = explain(file.read_bytes(), _config(config), SystemClock().now().utc_us)
    click.echo(msgspec.json.encode(explained).decode() if as_json else "\n".join(map(escaped, _lines(explained))))
    raise SystemExit(0 if explained.result in ("accepted", "receipt") else 1)


def _config(path: Path | None) -> GatewayConfig | None:
    if path is None:
        return None
    try:
        return load_config(path)
    except TomlProblems as problems:
        give_up("\n".join(map(str, problems.problems)))


def _lines(explained: Explanation) -> Iterator[str]:
    code = f" ({explained.code})" if explained.code else ""
    yield f"{explained.format} message {explained.id or 'without an id'}: {explained.result}{code}"
    if explained.text:
        yield f"  {explained.text}"
    for assumption in explained.assumed:
        yield f"  assumed: {assumption}"
    yield "taken:" if explained.taken else "taken: nothing"
    width = max((len(each.where) for each in explained.taken), default=0)
    meaning = max((len(each.what) for each in explained.taken), default=0)
    for each in explained.taken:
        yield f"  {each.where:<{width}}  {each.what:<{meaning}}  {each.value}"
    yield "facts:" if explained.facts else "facts: none"
    for fact in explained.facts:
        rest = ", ".join(f"{name} {_text(value)}" for name, value in fact.items() if name not in ("fact", "at"))
        yield f"  {fact['at']}  {fact['fact']}: {rest}"
    if explained.touches:
        yield f"touches: {', '.join(explained.touches)}"


def _text(value: object) -> str:
    match value:
        case {"device": str(device), "channel": int(channel)}:
            return f"{device}:{channel}"
        case _:
            return str(value)
