"""Breaks sound TOML files in one place each; the break says where the error lies. Shares no code with readers."""

import random
import re
from collections.abc import Callable, Iterator

import msgspec

_PAIR = re.compile(r"^([a-z_0-9]+)( *= *)(.+?)(\s+#.*)?$")
_HEADER = re.compile(r"^\[\[?([a-z_.]+)\]\]?\s*(#.*)?$")
_ENUMS = ("mode", "trust", "parity", "state", "severity", "type", "reads", "pause_counting", "scope")
_NEEDED = ("id", "site", "mode", "url", "vendor", "model", "source", "trust", "revision", "gap_ms", "timeout_ms",
           "drain_ms", "fastest_poll_ms", "reads", "name", "effective", "first_threshold_s", "fc", "count", "address",
           "state", "severity", "code", "profile")  # fmt: skip
_NEGATIVE = re.compile(r"^\d+$")


class Broken(msgspec.Struct, frozen=True):
    """A file with one mistake. `lines`: where it may be reported, base 1."""

    kind: str
    content: bytes
    lines: frozenset[int]


Break = Callable[[random.Random, list[str], int], "tuple[list[str], set[int]] | None"]


def broken(sound: str, seed: int) -> Iterator[Broken]:
    """Without end: the text broken in one place, in each kind of way in turn; the seed says with which to begin."""
    rng = random.Random(seed)
    kinds = list(_BREAKS.items())
    first = seed * 7 % len(kinds)
    while True:
        for kind, spoil in kinds[first:] + kinds[:first]:
            lines = sound.split("\n")
            places = [index for index in range(len(lines)) if spoil(random.Random(0), lines, index)]
            if not places:
                continue
            spoilt = spoil(rng, lines, rng.choice(places))
            if spoilt:
                text, where = spoilt
                yield Broken(kind, "\n".join(text).encode(), frozenset(where))


def _put(lines: list[str], index: int, *new: str) -> list[str]:
    return [*lines[:index], *new, *lines[index + 1 :]]


def _is_in_text(lines: list[str], index: int) -> bool:
    """Whether the line stands within a value of several lines."""
    before = "\n".join(line.split(" #")[0] for line in lines[:index])
    return before.count("[") != before.count("]") or before.count("{") != before.count("}")


def _pair(lines: list[str], index: int) -> tuple[str, str] | None:
    found = _PAIR.match(lines[index])
    if not found or _is_in_text(lines, index) or found[3].count("[") != found[3].count("]"):
        return None
    return found[1], found[3]


def _table(lines: list[str], index: int) -> int:
    return next((at for at in range(index, -1, -1) if _HEADER.match(lines[at])), 0)


def _of_free_keys(lines: list[str], index: int) -> bool:
    """Whether the table takes any key: golden polls' points, the EHR's words."""
    return bool(re.search(r"points|words|units|bad|rxa|\bset\b|notes|ends", lines[_table(lines, index)]))


def _misspelt_key(rng: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or len(pair[0]) < 4 or _of_free_keys(lines, index) or re.match(r"rxa|orc", pair[0]):
        return None
    at = rng.randrange(1, len(pair[0]) - 1)
    key = pair[0][:at] + pair[0][at] + pair[0][at:]
    return _put(lines, index, lines[index].replace(pair[0], key, 1)), {index + 1}


def _unknown_key(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    if not _pair(lines, index) or _of_free_keys(lines, index):
        return None
    return _put(lines, index, "zzqx = 1", lines[index]), {index + 1}


def _wrong_type(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or _of_free_keys(lines, index) or pair[0] in ("equals", "at_least"):
        return None
    return _put(lines, index, f"{pair[0]} = {{ wrong = [1] }}"), {index + 1}


def _unknown_word(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or pair[0] not in _ENUMS or not pair[1].startswith('"'):
        return None
    return _put(lines, index, f'{pair[0]} = "{pair[1].strip(chr(34))}x"'), {index + 1}


def _missing_key(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or pair[0] not in _NEEDED or _of_free_keys(lines, index):
        return None
    table = _table(lines, index)
    if "exchanges" in lines[table] or "after_miss" in lines[table]:
        return None
    return _put(lines, index), {table + 1}


def _below_zero(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or not _NEGATIVE.match(pair[1]) or pair[0] == "equals" or _of_free_keys(lines, index):
        return None
    return _put(lines, index, f"{pair[0]} = -7"), {index + 1}


def _open_quote(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    if not pair or not re.match(r'^"[^"]+"$', pair[1]):
        return None
    return _put(lines, index, f"{pair[0]} = {pair[1][:-1]}"), {index + 1}


def _no_equals(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    return (_put(lines, index, f"{pair[0]} {pair[1]}"), {index + 1}) if pair else None


def _twice(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    return (_put(lines, index, lines[index], lines[index]), {index + 2}) if _pair(lines, index) else None


def _no_date(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    if not re.search(r"[ =]\d{4}-\d\d-\d\d", lines[index]) or not _pair(lines, index):
        return None
    return _put(lines, index, re.sub(r"([ =]\d{4})-\d\d-\d\d", r"\1-13-41", lines[index], count=1)), {index + 1}


def _open_header(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    found = _HEADER.match(lines[index])
    return (_put(lines, index, lines[index].split("]")[0]), {index + 1}) if found else None


def _open_list(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    if not _pair(lines, index) or not re.match(r"^\w+ *= *\[[^\[\]{}]+\]$", lines[index]):
        return None
    return _put(lines, index, lines[index][:-1]), {index + 1}


def _nested(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    pair = _pair(lines, index)
    return (_put(lines, index, f"{pair[0]} = {'[' * 9000}{']' * 9000}"), {index + 1}) if pair else None


def _swapped(pattern: str, put: Callable[[str, str], str]) -> Break:
    """A break of a line whose value fits the pattern: `put` makes it of key and value."""

    def spoil(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
        pair = _pair(lines, index)
        if not pair or not re.fullmatch(pattern, pair[1]) or _of_free_keys(lines, index):
            return None
        if pair[0] in ("equals", "at_least", "schema", "revision"):
            return None  # any number is right
        return _put(lines, index, put(*pair)), {index + 1}

    return spoil


def _misspelt_header(_: random.Random, lines: list[str], index: int) -> tuple[list[str], set[int]] | None:
    found = _HEADER.match(lines[index])
    if not found or "." in found[1] or len(found[1]) < 5:
        return None
    if sum(line.strip("[] ") == found[1] for line in lines) > 1 or any(
        line.startswith((f"[{found[1]}.", f"[[{found[1]}.")) for line in lines
    ):
        return None  # one of several: what it would belong to is another mistake
    name = found[1][:2] + found[1][3] + found[1][2] + found[1][4:]
    if name == found[1]:
        return None
    return _put(lines, index, lines[index].replace(found[1], name)), {index + 1}


_TEXT, _WHOLE = r'"[^"\\]+"', r"[1-9]\d*"

_BREAKS: dict[str, Break] = {
    "misspelt key": _misspelt_key,
    "unknown key": _unknown_key,
    "wrong type": _wrong_type,
    "unknown word": _unknown_word,
    "missing key": _missing_key,
    "below zero": _below_zero,
    "open quote": _open_quote,
    "no equals sign": _no_equals,
    "key twice": _twice,
    "no date": _no_date,
    "open header": _open_header,
    "open list": _open_list,
    "nested": _nested,
    "number as text": _swapped(_WHOLE, lambda key, value: f'{key} = "{value} ms"'),
    "fraction": _swapped(_WHOLE, lambda key, value: f"{key} = {value}.5e9"),
    "huge": _swapped(_WHOLE, lambda key, _: f"{key} = 99999999999"),
    "leading zero": _swapped(_WHOLE, lambda key, value: f"{key} = 0{value}"),
    "number with its unit": _swapped(_WHOLE, lambda key, value: f"{key} = {value} ms"),
    "colon": _swapped(_TEXT, lambda key, value: f"{key}: {value}"),
    "two equals signs": _swapped(_TEXT, lambda key, value: f"{key} == {value}"),
    "no quotes": _swapped(_TEXT, lambda key, value: f"{key} = {value.strip(chr(34))}"),
    "curly quotes": _swapped(_TEXT, lambda key, value: f"{key} = \u201c{value.strip(chr(34))}\u201d"),
    "comma behind": _swapped(_TEXT, lambda key, value: f"{key} = {value},"),
    "text as a list": _swapped(_TEXT, lambda key, value: f"{key} = [{value}, {value}]"),
    "True": _swapped("true|false", lambda key, value: f"{key} = {value.capitalize()}"),
    "truth as text": _swapped("true|false", lambda key, value: f'{key} = "{value}"'),
    "misspelt header": _misspelt_header,
}
