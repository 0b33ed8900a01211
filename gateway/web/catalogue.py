"""The page's texts, one file a language; which one a browser gets."""

from functools import cache
from pathlib import Path

import msgspec

from gateway.session.wording import Language

_FOLDER = Path(__file__).parent / "texts"

Texts = dict[str, str]


@cache
def texts_of(language: Language) -> Texts:
    """Every text of the page, by its key."""
    return msgspec.json.decode((_FOLDER / f"{language}.json").read_bytes(), type=Texts)


def language_of(chosen: str | None, accepted: str, otherwise: Language) -> Language:
    """The language that a person chose, else the first that the browser accepts, else the site's."""
    wanted = [chosen or "", *(each.partition(";")[0].strip().partition("-")[0] for each in accepted.split(","))]
    return next((language for name in wanted for language in Language if language == name.lower()), otherwise)
