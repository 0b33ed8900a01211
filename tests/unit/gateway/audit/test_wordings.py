"""The catalogue of what records say: complete, nothing English in it, figures in the language's form."""

import re

import msgspec
import pytest

from drivers.reading import Evidence
from gateway.audit.fact_words import charted, stated
from gateway.audit.reasons import Held, Refused, Unknown, words
from gateway.audit.wordings import wording_of
from gateway.session.facts import ClockStepped, HoldLifted, InfusionEnded, OrderChecked, SessionFinalized
from gateway.session.flags import HeldReason
from gateway.session.outcome import Missing
from gateway.session.policy import Policy
from gateway.session.policy_text import policy_sentences
from gateway.session.wording import ENGLISH, Language, Wording
from tests.unit.gateway.audit.wording_keys import codes, phrases

OTHERS = [Language.GERMAN, Language.SPANISH]
FRAME = "{units}: {because}."  # no word in it
AS_IN_ENGLISH = {Language.GERMAN: {FRAME, "Patient", "Gateway", "Infusion"}, Language.SPANISH: {FRAME}}
GERMAN = wording_of(Language.GERMAN)
SPANISH = wording_of(Language.SPANISH)


def in_braces(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


@pytest.mark.parametrize("language", OTHERS)
def test_every_phrase_and_code_has_a_text_and_no_text_is_left_over(language: Language) -> None:
    texts = wording_of(language).texts
    assert set(texts) == phrases() | codes()
    assert all(text.strip() for text in texts.values())
    assert {key: in_braces(text) for key, text in texts.items()} == {key: in_braces(key) for key in texts}
    assert {key for key, text in texts.items() if text == key} == AS_IN_ENGLISH[language]


def test_the_languages_have_their_texts_in_one_order() -> None:
    assert list(GERMAN.texts) == list(SPANISH.texts)


def test_english_is_what_the_code_says() -> None:
    assert wording_of(Language.ENGLISH) is ENGLISH
    assert not ENGLISH.texts


@pytest.mark.parametrize(
    ("say", "said"),
    [
        (ENGLISH, ("1 unit", "0 units", "2 units", "7.5")),
        (GERMAN, ("1 Einheit", "0 Einheiten", "2 Einheiten", "7,5")),
        (SPANISH, ("1 unidad", "0 unidades", "2 unidades", "7,5")),
    ],
)
def test_numbers_have_the_language_s_forms(say: Wording, said: tuple[str, ...]) -> None:
    assert (say.units(1), say.units(0), say.units(2), say.number(7.5)) == said


def test_words_of_others_are_never_taken_for_texts() -> None:
    assert GERMAN("note: {text}", text="{session} scalp") == "Notiz: {session} scalp"
    assert GERMAN.code("role", "m.curie") == "m.curie"


def test_facts_are_said_with_their_figures() -> None:
    ordered = OrderChecked(at_us=1, known_at_us=1, patient="p", found=True, ordered_post_minutes=97.5)
    stepped = ClockStepped(at_us=1, known_at_us=1, source="gw-01", step_s=-2.5)
    signed = SessionFinalized(at_us=1, known_at_us=1, units=1)
    lifted = HoldLifted(at_us=1, known_at_us=1, holds=("unbound", "of_a_later_version"))
    said = [each.what for fact in (ordered, stepped, signed, lifted) if (each := charted(fact, GERMAN)) is not None]
    assert said == [
        "Anordnung zur Kopfhautkühlung geprüft, 97,5 min nach der Infusion",
        "Uhr von gw-01 um -2,5 s gestellt",
        "abgezeichnet mit 1 Einheit",
        "freigegeben trotz: kein Patient ist bekannt; of_a_later_version",
    ]
    ended = stated(InfusionEnded(at_us=1, known_at_us=1, order="O-1", remaining_chemo_orders=1), SPANISH)
    assert ended is not None
    assert ended.what == "terminada, órdenes pendientes: 1"


def test_reasons_are_said_with_all_that_they_name() -> None:
    reasons = (
        Unknown((Missing.PATIENT, Missing.INFUSION_END)),
        Held((HeldReason.UNBOUND,)),
        Refused("C", 3, 1, "rn", 0),
    )
    assert words(reasons, SPANISH) == (
        "no consta: paciente, fin de la infusión; no consta ningún paciente;"
        " C: 3 con cargo, 1 según el recuento, corrección rechazada por rn, 1970-01-01T00:00:00.000Z"
    )


def test_a_policy_is_said_with_its_figures() -> None:
    policy = msgspec.structs.replace(Policy(), max_gap_s=7.5, min_evidence=Evidence.FLOW)
    said = " ".join(policy_sentences(policy, GERMAN))
    assert "außer Sicht heißt: länger als 7,5 s ohne Antwort." in said
    assert "Mindestens dieser Nachweis des Umlaufs wird verlangt: gemessener Durchfluss." in said
