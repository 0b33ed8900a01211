"""Takes secrets and patients' identifiers out of values that are to leave the site. Pure.

Nothing that is given to it should hold any: this is the second net, for a defect that put one there.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

MASK = "***"
_WORD = re.compile(r"[^\s\"'=,;:()\[\]{}<>|^&/\\]+")

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def redacted(
    values: Mapping[str, Json], secrets: Iterable[str], identifiers_among: Callable[[Collection[str]], frozenset[str]]
) -> dict[str, Json]:
    """The values with MASK for every secret and every word that `identifiers_among` finds, keys of tables included."""
    hidden = [re.escape(each) for each in sorted(set(secrets), key=len, reverse=True) if each]
    secret = re.compile("|".join(hidden)) if hidden else None

    def without_secrets(text: str) -> str:
        return secret.sub(MASK, text) if secret else text

    safe = {name: _mapped(value, without_secrets) for name, value in values.items()}
    found = identifiers_among({word for value in safe.values() for text in _texts(value) for word in _words(text)})

    def without_identifiers(text: str) -> str:
        return _WORD.sub(lambda match: MASK if match[0].rstrip(".") in found else match[0], text)

    return {name: _mapped(value, without_identifiers) for name, value in safe.items()} if found else safe


def _words(text: str) -> Iterator[str]:
    return (match[0].rstrip(".") for match in _WORD.finditer(text))


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for key, each in value.items():
                yield key
                yield from _texts(each)
        case _:
            pass


def _mapped(value: Json, change: Callable[[str], str]) -> Json:
    match value:
        case str():
            return change(value)
        case list():
            return [_mapped(each, change) for each in value]
        case dict():
            return {change(key): _mapped(each, change) for key, each in value.items()}
        case _:
            return value
