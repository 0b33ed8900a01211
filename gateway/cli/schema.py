"""`capgate schema`: prints or writes the AsyncAPI description of all messages, and their JSON Schemas."""

import json
import sys
from pathlib import Path

import click

from gateway.describe.asyncapi import document, schemas


@click.command(
    "schema",
    epilog="Example: capgate schema --out capgate-api. Exit codes: 0 written, 2 it cannot be written.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="A directory; else on the terminal.")
def command(out: Path | None) -> None:
    """Print the AsyncAPI 3.0 description of every topic and message, as JSON.

    With --out: asyncapi.json in that directory, and in schemas/ beside it the JSON Schema (draft-07) of each message's
    data, named as in its `dataschema`. All is made from what this version sends and reads.
    """
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        folder = out / "schemas"
        folder.mkdir(parents=True, exist_ok=True)
        (out / "asyncapi.json").write_text(text, encoding="utf-8")
        for name, schema in schemas().items():
            (folder / f"{name}.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(f"{out / 'asyncapi.json'} and {len(schemas())} schemas")
