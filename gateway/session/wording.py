"""What a record says, in the reader's language: the code has it in English, a catalogue in the others. Pure."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Language(StrEnum):
    """The languages of the suite's page and of records."""

    ENGLISH = "en"
    GERMAN = "de"
    SPANISH = "es"


class Wording(msgspec.Struct, frozen=True):
    """How a language says what the code says in English.

    `texts` has each phrase by the English one, with the same {words in braces}, and each code as `kind.code`. What it
    does not have is said as it is: in English all of it, in any language what a machine or a person said.
    """

    language: Language = Language.ENGLISH
    texts: Mapping[str, str] = {}

    def __call__(self, phrase: str, /, **figures: str | int) -> str:
        """The phrase, with its words in braces replaced."""
        return self.texts.get(phrase, phrase).format(**figures)

    def code(self, kind: str, code: str) -> str:
        """A code of a closed set."""
        return self.texts.get(f"{kind}.{code}", code)

    def number(self, value: float) -> str:
        """A number of at most six digits, with the language's decimal mark."""
        text = f"{value:g}"
        return text if self.language is Language.ENGLISH else text.replace(".", ",")

    def units(self, count: int) -> str:
        """So many units of 97009. All three languages have one form for one and one for any other number."""
        return self("1 unit") if count == 1 else self("{count} units", count=count)


ENGLISH = Wording()
