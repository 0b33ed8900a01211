"""The page's texts: complete in every language, and every key that the page asks for exists."""

import re
from collections.abc import Iterable
from typing import get_args

import pytest

from drivers.profile.alarm_codes import UnitAlarmCode
from drivers.profile.enums import Trust
from drivers.reading import FaultKind
from gateway.audit.activity import PURGE, RESEND
from gateway.audit.reasons import AnyReason
from gateway.audit.reconcile import SessionPlace
from gateway.audit.shadow import Agreement
from gateway.config.roles import Role
from gateway.control.board import ChairState
from gateway.control.todo import TodoKind
from gateway.ledger.access import Looked, Took
from gateway.ledger.deliveries import Proof
from gateway.monitoring.feed import FeedResult
from gateway.monitoring.health import Uncounted
from gateway.monitoring.line_health import LineFinding, UnitFinding
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.facts import AgentClass, AnyFact, WorkKind
from gateway.session.flags import HeldReason
from gateway.session.outcome import Missing, SessionState
from gateway.session.timeline import Lane
from gateway.session.why import Cause, Obstacle
from gateway.session.wording import Language
from gateway.web.catalogue import language_of, texts_of
from gateway.web.screens import STATIC
from gateway.web.signing import Trouble

ENGLISH = texts_of(Language.ENGLISH)
OTHERS = [language for language in Language if language is not Language.ENGLISH]
CODES: dict[str, Iterable[str]] = {
    "activity": (PURGE, RESEND),
    "agent": AgentClass,
    "agreement": Agreement,
    "alarm": UnitAlarmCode,
    "cause": Cause,
    "correction": CorrectionReason,
    "fact": [str(each.__struct_config__.tag) for each in get_args(AnyFact)],
    "fault": FaultKind,
    "feed": FeedResult,
    "held": HeldReason,
    "lane": Lane,
    "lifecycle": SessionState,
    "looked": Looked,
    "line-finding": LineFinding,
    "look": FaultKind,
    "missing": Missing,
    "obstacle": Obstacle,
    "phase": Phase,
    "place": SessionPlace,
    "proof": Proof,
    "role": Role,
    "state": ChairState,
    "todo": TodoKind,
    "trust": Trust,
    "took": Took,
    "trouble": Trouble,
    "uncounted": Uncounted,
    "uncounted-do": Uncounted,
    "unit-finding": UnitFinding,
    "why-not": [str(each.__struct_config__.tag) for each in get_args(AnyReason)],
    "work": WorkKind,
}
# that no enumeration lists
FURTHER = (
    "days-column",
    "delivery-column",
    "errors",
    "machine",
    "note",
    "reason",
    "reason-of",
    "title",
    "tolerance",
)


def words(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_keys_of_the_original_and_their_words(language: Language) -> None:
    translated = texts_of(language)
    assert list(translated) == list(ENGLISH)
    assert {key: words(text) for key, text in translated.items()} == {key: words(text) for key, text in ENGLISH.items()}
    assert all(text.strip() for text in translated.values())


@pytest.mark.parametrize("kind", CODES)
def test_every_code_that_the_gateway_says_has_a_text(kind: str) -> None:
    assert {f"{kind}.{re.sub('[_ ]', '-', code)}" for code in CODES[kind]} <= ENGLISH.keys()


def asked_for() -> set[str]:
    """The keys that scripts and templates name."""
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    templates = "".join(path.read_text() for path in (STATIC.parent / "templates").glob("*.html"))
    return {*re.findall(r'\bt\("([^"]+)"', scripts), *re.findall(r't\["([^"]+?)"\]', templates)}


def test_every_key_that_the_page_names_exists() -> None:
    assert asked_for() <= ENGLISH.keys()


def test_no_text_is_left_that_nobody_asks_for() -> None:
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    named = asked_for() | set(re.findall(r'"([a-z-]+\.[a-z-]+)"', scripts))
    computed = tuple(f"{kind}." for kind in (*CODES, *FURTHER))
    assert [key for key in ENGLISH if key not in named and not key.startswith(computed)] == []


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", Language.SPANISH),
        (None, "de-AT,de;q=0.9,en;q=0.8", Language.GERMAN),
        (None, "fr, en;q=0.8", Language.ENGLISH),
        ("de", "en", Language.GERMAN),
        ("xx", "fr", Language.SPANISH),
    ],
)
def test_the_language_is_the_person_s_else_the_browser_s_else_the_site_s(
    chosen: str | None, accepted: str, language: Language
) -> None:
    assert language_of(chosen, accepted, Language.SPANISH) is language


def test_the_sheet_and_the_scripts_hold_nothing_that_the_policy_forbids() -> None:
    for path in (STATIC.parent / "templates").glob("*.html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", path.read_text()), path.name
