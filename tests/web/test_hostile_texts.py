"""Hostile texts of people and of the engine: text on every screen, in the record, its PDF, tables and the activity."""

import asyncio
import csv
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pypdf
import pytest
from playwright.async_api import expect

from gateway.audit.activity import activity
from gateway.audit.listing import listed_days, write_list
from gateway.audit.record_of import record_of
from gateway.audit.record_page import Paper, html_page, pdf_pages, plain_text
from gateway.audit.record_words import Document, document
from gateway.audit.stream import open_snapshot
from gateway.config.roles import Role
from gateway.ledger.store import LEDGER_FILE
from gateway.runtime.logs import escaped
from tests.support.pipeline import FakeClock, configured
from tests.web.browser import PHONE, screen
from tests.web.hostile import PATIENT, Hostile, played
from tests.web.people import sign_in, with_account
from tests.web.site import page_of

# The page's elements that reach beyond its viewport, if it can be scrolled sideways.
TOO_WIDE = """(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth ? [] :
  [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > clientWidth)
    .map((each) => `${each.tagName}: ${each.textContent}`.slice(0, 80)))(document.documentElement)"""


@pytest.fixture(scope="module")
def played_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Hostile]:
    folder = configured(tmp_path_factory.mktemp("hostile") / "site")
    return folder, asyncio.run(played(folder))


def recorded(played_once: tuple[Path, Hostile], facts: int | None = None) -> Document:
    """The session's record, with so many of its facts."""
    folder, hostile = played_once
    with open_snapshot(folder / "state" / LEDGER_FILE) as connection:
        record = record_of(connection, hostile.token, identify=True)
    return document(msgspec.structs.replace(record, facts=record.facts[:facts]))


class Read(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_record_shows_each_as_text(played_once: tuple[Path, Hostile]) -> None:
    _, hostile = played_once
    made = recorded(played_once)
    page, lines = Read(html_page(made)), plain_text(made)
    assert not {"script", "img", "svg", "iframe", "a", "form", "input", "object", "link", "base"} & set(page.elements)
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert PATIENT in page.text
    for text in (*hostile.told, *map(escaped, hostile.charted)):
        assert text in page.text
    assert all(each.isprintable() for each in lines.split("\n"))
    assert "<script>hostile()</script>" in lines


def test_its_pdf_has_their_letters_and_nothing_that_acts(played_once: tuple[Path, Hostile]) -> None:
    pdf = pypdf.PdfReader(io.BytesIO(pdf_pages(recorded(played_once, facts=30), Paper.A4)))
    text = re.sub(r"[\s\0]", "", "".join(page.extract_text() for page in pdf.pages))
    for shown in (PATIENT, "=cmd|'/C calc'!A0", "<script>hostile()</script>", "</td></tr></table>"):
        assert re.sub(r"\s", "", shown) in text
    assert not [name for name in ("/OpenAction", "/AA", "/Names", "/AcroForm") if name in pdf.root_object]
    assert not any("/Annots" in page or "/AA" in page for page in pdf.pages)


def test_tables_have_no_formula_and_the_activity_each_as_text(played_once: tuple[Path, Hostile]) -> None:
    folder, hostile = played_once
    with open_snapshot(folder / "state" / LEDGER_FILE) as connection:
        acts = activity(connection, None, None)
        file = io.StringIO()
        write_list(file, listed_days(connection, acts.first, acts.last, identify=True).rows)
    (_, row) = csv.reader(io.StringIO(file.getvalue()))
    assert PATIENT in row
    assert not [cell for cell in row if cell.startswith(tuple("=+-@\t\r"))]
    assert {each.reason for each in acts.activity} >= {text[:200].strip() for text in hostile.told}
    assert {each.login for each in acts.activity} == {"sso:<script>hostile()</script>"}


@pytest.mark.requirement("REQ-INPUT-2")
async def test_on_every_screen_they_are_text_run_nothing_and_fit(
    played_once: tuple[Path, Hostile], tmp_path: Path
) -> None:
    site_folder, hostile = played_once
    folder = tmp_path / "site"
    shutil.copytree(site_folder, folder)
    clock = FakeClock()
    clock.us = hostile.until_us
    async with page_of(folder, clock=clock) as site, screen(PHONE) as page:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await page.add_init_script("window.hostile = () => { document.title = 'hostile'; }")
        with_account(site, Role.ADMIN)
        await page.goto(site.url)
        await sign_in(page)
        for path, shown in (
            (f"/session/{hostile.token}", "#facts tbody tr"),
            ("/activity", "#activity tbody tr"),
            (f"/record/{hostile.token}", "tbody tr"),
            ("/days", "#sessions tbody tr"),
            ("/todo", "#todo li"),
            ("/chairs", ".tile"),
            ("/delivery", "#nothing, #outbox tr"),
            ("/equipment", "#lines *"),
        ):
            await page.goto(f"{site.url}{path}")
            await expect(page.locator(shown).first).to_be_visible()
            text = await page.locator("body").inner_text()
            if path.startswith(("/session", "/record", "/activity")):
                squeezed = re.sub(r"\s", "", text)
                assert [each for each in hostile.told if re.sub(r"\s", "", each)[:200] not in squeezed] == [], path
            assert await page.title() != "hostile", path
            assert await page.evaluate("document.querySelectorAll('main script, main img, main iframe').length") == 0
            assert await page.evaluate(TOO_WIDE) == [], path
        assert dialogs == []
