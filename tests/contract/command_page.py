"""docs/reference/command-line.md, written from the commands' own help: `python -m tests.contract.command_page`."""

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


def commands(command: click.Command = main, name: str = "capgate") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before what is in them."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None:
                yield from commands(inner, f"{name} {each}")


def help_of(name: str, command: click.Command) -> str:
    """What `--help` prints."""
    return command.get_help(click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH))


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, command in commands():
        parts.append(f"## {name}\n\n```\n{help_of(name, command)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
