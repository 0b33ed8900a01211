"""`capgate record`: the record of one session, to print, to file or to send."""

import sys
from pathlib import Path

import click

from drivers.toml.document import TomlProblems
from gateway.audit.record_of import record_of, session_named
from gateway.audit.record_page import Paper, PdfUnavailable, html_page, pdf_pages, plain_text
from gateway.audit.record_words import document
from gateway.audit.stream import open_snapshot
from gateway.audit.wordings import wording_of
from gateway.cli.ledger_options import IDENTIFY, KEY, leave_trace, refusing
from gateway.config.load import named_language
from gateway.ledger.access import Looked
from gateway.session.wording import Language

LEDGER = Path("/var/lib/capgate/ledger.db")  # where the shipped service has it


@click.command(
    "record",
    epilog="Example: capgate record 9RX2M7KQ4 --pdf --paper a4 -o 9RX2M7KQ4.pdf. Exit codes: 0 done, 1 no such "
    "session, 2 it cannot be read or written.",
)
@click.argument("session", metavar="SESSION|VISIT")
@click.option(
    "--ledger",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=LEDGER,
    show_default=True,
    help="The ledger, or a copy of it.",
)
@click.option("--html", "form", flag_value="html", help="As a page that needs no other file.")
@click.option("--pdf", "form", flag_value="pdf", help="As a PDF; needs the extra `pdf`.")
@click.option("--paper", type=click.Choice([each.value for each in Paper]), help="Of a PDF: letter if left out.")
@click.option("--language", type=click.Choice([each.value for each in Language]), help="In place of that of --config.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A gateway.toml, of which [web] language alone is read. English without it.",
)
@IDENTIFY
@KEY
@click.option("-o", "out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
def command(
    session: str,
    ledger: Path,
    form: str | None,
    paper: str | None,
    language: str | None,
    config: Path | None,
    identify: bool,
    key_file: Path | None,
    out: Path | None,
) -> None:
    """Print the record of a session: all that an auditor must see, made from the ledger alone.

    Its times, units and intervals, what did not count and why, who charted, decided and corrected what, the policy, the
    charges and what became of them, and how to verify it. Text, unless --html or --pdf is given. What people and other
    systems said stands in their own words.
    """
    if form != "pdf" and paper is not None:
        raise click.UsageError("--paper belongs to --pdf")
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise click.UsageError("a PDF is not for a terminal: name a file with -o")
    say = wording_of(Language(language) if language else _language_of(config))
    with refusing(), open_snapshot(ledger, key_file) as connection:
        token = session_named(connection, session)
        shown = document(record_of(connection, token, identify=identify), say)
    if identify:
        leave_trace(ledger, Looked.RECORD, [token])
    try:
        match form:
            case "pdf":
                content = pdf_pages(shown, Paper(paper or Paper.LETTER))
            case "html":
                content = html_page(shown)
            case _:
                content = f"{plain_text(shown)}\n"
        if out is None:
            click.echo(content, nl=False)
        else:
            out.write_bytes(content.encode() if isinstance(content, str) else content)
    except (PdfUnavailable, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _language_of(config: Path | None) -> Language:
    """The language of the page by this configuration. Exits with 2 if the file does not say it."""
    if config is None:
        return Language.ENGLISH
    try:
        return named_language(config)
    except TomlProblems as problems:
        click.echo(str(problems), err=True)
        sys.exit(2)
