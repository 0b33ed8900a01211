"""Every command, as its pages are made of it."""

from collections.abc import Iterator

import click

from gateway.cli import main


def contexts(
    width: int, command: click.Command = main, name: str = "capgate", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Every command, groups before what is in them, in the context in which it runs: settings are inherited."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=width, max_content_width=width, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None:
                yield from contexts(width, inner, each, context)
