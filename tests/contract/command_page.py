"""docs/reference/command-line.md, written from the commands' own help: `python -m tests.contract.command_page`."""

import sys
from pathlib import Path

from release.commands import contexts

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
WIDTH = 100
HEAD = """# The command line

`capgate` and `python -m gateway` are the same program. This page is the `--help` of every command, written by
`python -m tests.contract.command_page`.

Exit codes, unless a command says otherwise: 0 done, 1 the answer is no, 2 wrong use or wrong configuration. With
`--json` a command prints JSON on stdout and nothing else there.
"""


def page() -> str:
    """The whole page."""
    parts = [f"## {context.command_path}\n\n```\n{context.get_help()}\n```\n" for context in contexts(WIDTH)]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())
