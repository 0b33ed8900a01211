"""Man pages of every command, and completion for shells, from the commands' own help."""

from datetime import UTC, datetime
from inspect import cleandoc
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from click_man.man import ManPage

from gateway.cli import main
from release.commands import contexts

COMPLETIONS = {  # by shell, where Debian's packages put them
    "bash": "usr/share/bash-completion/completions/capgate",
    "zsh": "usr/share/zsh/vendor-completions/_capgate",
    "fish": "usr/share/fish/vendor_completions.d/capgate.fish",
}
_WIDTH = 100


def man_pages(version: str, made_s: int) -> dict[str, str]:
    """By file name the page of every command."""
    return {
        f"{context.command_path.replace(' ', '-')}.1": _page(context, version, made_s) for context in contexts(_WIDTH)
    }


def completion(shell: str) -> str:
    """The script by which that shell completes commands and options."""
    complete = get_completion_class(shell)
    if complete is None:
        raise ValueError(f"click completes nothing in {shell}")
    return complete(main, {}, "capgate", "_CAPGATE_COMPLETE").source()


def write(root: Path, version: str, made_s: int) -> None:
    """Put all of it under `root`, where Debian looks for it."""
    folder = root / "usr/share/man/man1"
    folder.mkdir(parents=True)
    for name, text in man_pages(version, made_s).items():
        (folder / name).write_text(text)
    for shell, place in COMPLETIONS.items():
        file = root / place
        file.parent.mkdir(parents=True)
        file.write_text(completion(shell))


def _page(context: click.Context, version: str, made_s: int) -> str:
    command = context.command
    page = ManPage(context.command_path)
    page.version, page.date = version, datetime.fromtimestamp(made_s, UTC).strftime("%Y-%m-%d")
    page.short_help = _literal(command.get_short_help_str(limit=90))
    page.synopsis = _literal(" ".join(command.collect_usage_pieces(context)))
    page.description = _literal(f"{cleandoc(command.help or '')}\n\n{command.epilog or ''}")
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = [option.get_help_record(context) for option in options]
    page.options = [(option, _literal(told)) for option, told in filter(None, records)]
    if isinstance(command, click.Group):
        inner = {name: command.get_command(context, name) for name in command.list_commands(context)}
        page.commands = [(name, _literal(each.get_short_help_str())) for name, each in inner.items() if each]
    return str(page)


def _literal(text: str) -> str:
    """Text in which troff sees no request and no escape."""
    lines = text.replace("\\", "\\e").splitlines()
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)
