"""docs/reference/command-line.md, written from the commands' own help: `python -m tests.contract.command_page`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
WIDTH = 100
HEAD = """# The command line

`capgate` and `python -m gateway` are the same program. This page is the `--help` of every command, written by
`python -m tests.contract.command_page`.

Exit codes, unless a command says otherwise: 0 done, 1 the answer is no, 2 wrong use or wrong configuration. With
`--json` a command prints JSON on stdout and nothing else there.
"""


def contexts(
    command: click.Command = main, name: str = "capgate", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Every command, groups before what is in them, in the context in which it runs: settings are inherited."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None:
                yield from contexts(inner, each, context)


def page() -> str:
    """The whole page."""
    parts = [f"## {context.command_path}\n\n```\n{context.get_help()}\n```\n" for context in contexts()]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())
