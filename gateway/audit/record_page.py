"""Shows a record's document: as a page, as a PDF of that page, and as text for a terminal.

What was written by others (orders, names, reasons) is escaped in all of them: as HTML, and where it cannot be printed.
"""

from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from textwrap import fill
from typing import Protocol, cast

from jinja2 import Environment, StrictUndefined

from gateway.audit.record_words import Document, Line, Section, Table
from gateway.runtime.logs import escaped

_WIDTH = 110  # columns of sentences on a terminal


class Paper(StrEnum):
    """What a page is printed on."""

    LETTER = "letter"
    A4 = "a4"


class _Page(Protocol):
    """As much of the untyped library as is used."""

    def write_pdf(self) -> bytes: ...


class PdfUnavailable(Exception):
    """No PDF can be made here; the text says what is missing."""


def html_page(document: Document, paper: Paper | None = None) -> str:
    """The document as a page that needs no other file; without `paper` it is printed on what the printer has."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    template = files("gateway.audit").joinpath("record.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        language=document.language.value,
        page_of=document.page_of,
        title=document.title,
        summary=document.summary,
        warning=document.warning,
        sections=document.sections,
        paper="" if paper is None else paper.value,
    )


def pdf_pages(document: Document, paper: Paper) -> bytes:
    """The page as PDF. Raises PdfUnavailable."""
    try:
        from weasyprint import HTML  # an extra: it brings fonts and pictures that a gateway has no use for
    except (ImportError, OSError) as error:  # OSError: Pango is missing
        raise PdfUnavailable(
            f"a PDF needs the extra `pdf` (pip install 'capgate[pdf]') and Pango: {error}; --html needs neither"
        ) from None
    page = cast(_Page, HTML(string=html_page(document, paper)))
    return page.write_pdf()


def plain_text(document: Document) -> str:
    """The document as lines of text."""
    return "\n".join(_lines(document))


def _lines(document: Document) -> Iterator[str]:
    yield from map(escaped, filter(None, (document.title, document.summary, document.warning)))
    for section in document.sections:
        yield from ("", escaped(section.title).upper())
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield from _aligned(section.values)
    if section.table is not None:
        yield from _table(section.table)
    for each in (*section.sentences, *filter(None, (section.prose,))):
        yield fill(escaped(each), _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _table(table: Table) -> Iterator[str]:
    yield from _aligned((table.headings, *table.rows))


def _aligned(rows: tuple[Line, ...]) -> Iterator[str]:
    """The rows in columns; the last one is as wide as it needs to be."""
    printable = [tuple(map(escaped, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*printable, strict=True)]
    for row in printable:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _printable(value: object) -> object:
    return escaped(value) if isinstance(value, str) else value
