"""Loads a vocabulary, by which a MAR's status words are read: a shipped one, or a site's file that may extend one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from drivers.toml.document import Loaded, TomlProblems, load_toml_lines
from drivers.toml.lines import Path as KeyPath
from drivers.toml.nearest import did_you_mean
from gateway.messages.vocabulary import ACT_FIELDS, MarAct, Vocabulary, normal
from gateway.runtime.shipped import shipped_dir

DEFAULT_VOCABULARY = "common"

Word = Annotated[StrictStr, Field(min_length=1, max_length=64)]
Words = tuple[Word, ...]
WordsTable = dict[MarAct, Words]  # the words of one field, by meaning
Code = Annotated[StrictStr, Field(max_length=16)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EndsUnder(_Table):
    """Values of ORC-1 and ORC-5 with which an infusion end counts."""

    orc_1: tuple[Code, ...] | None = None
    orc_5: tuple[Code, ...] | None = None
    partial_orc_5: tuple[Code, ...] | None = None


class VocabularyFile(_Table):
    """The schema of a vocabulary file. What it leaves out is inherited from the vocabulary that it extends."""

    description: StrictStr = ""
    extends: StrictStr | None = None
    actions_in: tuple[Literal["RXA-9", "RXA-20"], ...] | None = None
    one_instant: Literal["start", "dose"] | None = None
    ends_under: EndsUnder = EndsUnder()
    rxa_9: WordsTable = {}
    rxa_20: WordsTable = {}


def shipped_vocabularies() -> dict[str, Path]:
    """The files of the shipped vocabularies, by name."""
    return {path.stem: path for path in sorted((shipped_dir() / "vocabularies").glob("*.toml"))}


def shipped_vocabulary(name: str = DEFAULT_VOCABULARY) -> Vocabulary:
    """The shipped vocabulary `name`. Raises KeyError."""
    return load_vocabulary(shipped_vocabularies()[name])


def load_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in a file. Raises TomlProblems with every error."""
    loaded = load_toml_lines(path, VocabularyFile)
    file, base = loaded.model, Vocabulary()
    if file.extends is not None:
        shipped = shipped_vocabularies()
        if file.extends not in shipped:
            accepted = f"{', '.join(shipped)}{did_you_mean(file.extends, shipped)}"
            raise TomlProblems((loaded.problem(("extends",), f"no such vocabulary, accepted: {accepted}"),))
        base = load_vocabulary(shipped[file.extends])
    problems = [
        loaded.problem(where, message)
        for field in ACT_FIELDS
        for where, message in _ambiguous(_words(loaded, field), field)
    ]
    if problems:
        raise TomlProblems(tuple(problems))
    return _merged(loaded, base)


def _merged(loaded: Loaded[VocabularyFile], base: Vocabulary) -> Vocabulary:
    file, ends = loaded.model, dict(base.ends_under)
    for field, values in (("ORC-1", file.ends_under.orc_1), ("ORC-5", file.ends_under.orc_5)):
        if values is not None:
            ends[field] = frozenset(values)
    words = {field: dict(known) for field, known in base.words.items()}
    for field in ACT_FIELDS:
        own = {normal(word): act for act, word, _ in _words(loaded, field)}
        if own:
            words[field] = {**words.get(field, {}), **own}
    partial = file.ends_under.partial_orc_5
    return Vocabulary(
        words=words,
        actions_in=base.actions_in if file.actions_in is None else frozenset(file.actions_in),
        ends_under=ends,
        partial_ends_under=base.partial_ends_under if partial is None else frozenset(partial),
        instant_is_dose=base.instant_is_dose if file.one_instant is None else file.one_instant == "dose",
    )


def _words(loaded: Loaded[VocabularyFile], field: str) -> list[tuple[MarAct, str, int]]:
    """The words of a field with their meanings, and where each stands in its list."""
    table = loaded.model.rxa_9 if field == "RXA-9" else loaded.model.rxa_20
    return [(act, word, index) for act, words in table.items() for index, word in enumerate(words)]


def _ambiguous(words: list[tuple[MarAct, str, int]], field: str) -> Iterator[tuple[KeyPath, str]]:
    seen: dict[str, MarAct] = {}
    for act, word, index in words:
        before = seen.setdefault(normal(word), act)
        if before is not act:
            where = (field.lower().replace("-", "_"), act.value, index)
            yield where, f"{word} stands under {before.value} as well, accepted: one meaning for each word"
