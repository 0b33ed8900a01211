"""Finds the word that was probably meant. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64  # characters; what is longer is no misspelt word, and would take long to compare


def nearest(word: str, accepted: Iterable[str]) -> str | None:
    """The accepted word that resembles `word` most, letters' case aside; None if none does."""
    by_lower = {each.lower(): each for each in accepted}
    found = get_close_matches(word.lower(), by_lower, n=1) if len(word) <= _LONGEST else []
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """` (did you mean X?)`, to end a message with; empty if no accepted word resembles it.

    It never repeats `word`, which may be a secret in the wrong place.
    """
    found = nearest(word, accepted)
    return f" (did you mean {found}?)" if found else ""
