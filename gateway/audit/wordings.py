"""The catalogue of what records say: one file a language, keyed by the English phrase and by kind and code."""

from functools import cache
from pathlib import Path

import msgspec

from gateway.session.wording import ENGLISH, Language, Wording

_FOLDER = Path(__file__).parent / "texts"


@cache
def wording_of(language: Language) -> Wording:
    """How records are said in that language."""
    if language is Language.ENGLISH:
        return ENGLISH
    return Wording(language, msgspec.json.decode((_FOLDER / f"{language}.json").read_bytes(), type=dict[str, str]))
