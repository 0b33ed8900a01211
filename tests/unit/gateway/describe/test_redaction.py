"""Whatever got into a value by a defect, no secret and no patient's number leaves in it."""

from collections.abc import Collection

import pytest

from gateway.describe.redaction import MASK, Json, redacted

NUMBERS = frozenset({"V-1", "0004711"})


def known(words: Collection[str]) -> frozenset[str]:
    return NUMBERS & frozenset(words)


def clean(value: Json) -> Json:
    return redacted({"part": value}, ["hunter2 is it"], known)["part"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("visit V-1 is unknown", "visit *** is unknown"),
        ("visit=V-1, account=0004711.", "visit=***, account=***"),
        ("PV1|1|O||0004711^^^DEMO^VN", "PV1|1|O||***^^^DEMO^VN"),
        ('{"visit": "V-1"}', '{"visit": "***"}'),
        ("/todo/V-1/open", "/todo/***/open"),
        ("V-1", MASK),
        ("V-12 and 00047110 are others", "V-12 and 00047110 are others"),
        ("password hunter2 is it!", "password ***!"),
    ],
)
def test_a_number_is_a_word_and_a_secret_is_any_text(text: str, left: str) -> None:
    assert clean(text) == left


def test_tables_lists_and_keys_are_searched_and_the_rest_is_left() -> None:
    value: Json = {"V-1": ["V-1", 4711, None, {"at": ["0004711", 1.5, True]}]}
    assert clean(value) == {MASK: [MASK, 4711, None, {"at": [MASK, 1.5, True]}]}


def test_all_words_are_looked_up_at_once() -> None:
    asked: list[Collection[str]] = []

    def look_up(words: Collection[str]) -> frozenset[str]:
        asked.append(words)
        return frozenset()

    parts: dict[str, Json] = {"a": "one two", "b": ["two", "three"]}
    assert redacted(parts, [], look_up) == parts
    assert [sorted(words) for words in asked] == [["one", "three", "two"]]
