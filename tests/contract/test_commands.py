"""Every command explains itself, with an example, and the reference page says what the program says."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from release.commands import contexts
from tests.contract.command_page import PAGE, WIDTH

COMMANDS = {context.command_path: context for context in contexts(WIDTH)}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_and_every_option_is_explained(name: str) -> None:
    context = COMMANDS[name]
    assert "Example" in context.get_help()
    options = [each for each in context.command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def test_the_reference_page_says_what_the_program_says() -> None:
    # In a process of its own: a command remembers the help option of its first use, which may have been another test's.
    written = [sys.executable, "-m", "tests.contract.command_page", "--print"]
    page = subprocess.run(written, cwd=PAGE.parents[2], check=True, capture_output=True, text=True).stdout
    assert PAGE.read_text() == page, "python -m tests.contract.command_page writes it anew"


def test_python_m_gateway_is_the_same_program() -> None:
    said = [
        subprocess.run([*program, "--version"], check=True, capture_output=True, text=True).stdout
        for program in ([sys.executable, "-m", "gateway"], [Path(sys.executable).with_name("capgate")])
    ]
    assert said[0] == said[1]
