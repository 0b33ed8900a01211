"""Survey of many messages of an EHR: their status words and drug codes, how frequent, and which have no mapping yet.

Files may hold one message, several as one payload has them (parts.py), or one JSON object a line.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.describe.dry_run import Explanation
from gateway.messages.inbound.answers import Term
from gateway.messages.inbound.parts import messages_in
from gateway.messages.vocabulary import MarAct, normal

_MESSAGE = re.compile(rb"(?=^\x0b?MSH)", re.MULTILINE)
_ENVELOPE = re.compile(rb"^(?:FHS|BHS|BTS|FTS)[^\r\n]*[\r\n]*", re.MULTILINE)
_FRAMING = b"\x0b\x1c"  # MLLP


class Met(msgspec.Struct, frozen=True):
    """One word or drug code, and its frequency."""

    term: Term
    where: str  # the field in which it stood
    value: str  # words in lower case
    label: str  # the text beside a code
    times: int
    meaning: str  # "": not mapped


class Survey(msgspec.Struct, frozen=True):
    """The result of a survey."""

    files: int
    messages: int
    results: dict[str, int]  # accepted, or ignored and rejected with their code
    met: tuple[Met, ...]  # the most frequent first

    @property
    def unmapped(self) -> tuple[Met, ...]:
        """The words and codes that the site must still map."""
        return tuple(each for each in self.met if not each.meaning)


class Surveyor:
    """Gathers a survey, message by message."""

    def __init__(self) -> None:
        self._results: Counter[str] = Counter()
        self._met: Counter[tuple[Term, str, str, str]] = Counter()
        self._labels: dict[tuple[Term, str], str] = {}
        self.files = 0
        self.messages = 0

    def take(self, explained: Explanation) -> None:
        """Count one message."""
        self.messages += 1
        self._results[f"{explained.result} {explained.code}".rstrip()] += 1
        for each in explained.taken:
            if each.term is not None:
                value = normal(each.value) if each.term is Term.WORD else each.value
                self._met[each.term, each.where, value, each.meaning] += 1
                self._labels.setdefault((each.term, value), each.label)

    def survey(self) -> Survey:
        """The survey of the messages so far."""
        met = [
            Met(term, where, value, self._labels[term, value], times, meaning)
            for (term, where, value, meaning), times in self._met.items()
        ]
        ranked = sorted(met, key=lambda each: (each.term, -each.times, each.where, each.value))
        return Survey(self.files, self.messages, dict(self._results.most_common()), tuple(ranked))


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in folders, sorted by name; hidden ones are skipped."""
    for path in paths:
        if path.is_dir():
            found = [each for each in path.rglob("*") if each.is_file()]
            yield from sorted(each for each in found if not any(part.startswith(".") for part in each.parts[-3:]))
        else:
            yield path


def messages_of(content: bytes) -> tuple[bytes, ...]:
    """The messages in one file, as the gateway takes them: those of arrays and Bundles one by one."""
    return tuple(message for part in _parts_of(content) for message in messages_in(part))


def _parts_of(content: bytes) -> tuple[bytes, ...]:
    bare = content.removeprefix(b"\xef\xbb\xbf").strip(_FRAMING + b" \r\n\t")
    if re.match(rb"MSH|FHS|BHS", bare):
        lines = _ENVELOPE.sub(b"", bare.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        parts = (part.strip(_FRAMING + b" \n\t") for part in _MESSAGE.split(lines))
        return tuple(part for part in parts if part.startswith(b"MSH"))
    lines = tuple(line for line in bare.splitlines() if line.strip())
    if len(lines) > 1 and all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return lines
    return (content,) if bare else ()


def proposal(survey: Survey, source: str) -> str:
    """TOML for gateway.toml with a line for each unmapped word and drug code, and their frequency as a comment.

    The placeholder "?" is refused by the check of the configuration, so that each line must be decided.
    """
    words = _by_value(survey, Term.WORD)
    drugs = _by_value(survey, Term.DRUG)
    lines = [f"# From {survey.messages} messages in {source}. Decide each line, then move it into gateway.toml."]
    if words:
        lines += ["", f'# Put one of these for "?": {", ".join(MarAct)}.', "[ehr.mar_words]"]
        lines += [f'{_quoted(value)} = "?"  # {note}' for value, note in words.items()]
    if drugs:
        lines += [
            "",
            "# Move each code to the list of its class: docs/reference/configuration.md.",
            "[drugs]",
            '"?" = [',
        ]
        lines += [f"  {_quoted(value)},  # {note}" for value, note in drugs.items()]
        lines += ["]"]
    return "\n".join([*lines, ""])


def _by_value(survey: Survey, term: Term) -> dict[str, str]:
    """A note (field, label, frequency) for every unmapped value of a kind."""
    notes: dict[str, list[str]] = {}
    for each in survey.unmapped:
        if each.term is term:
            label = f" {_comment(each.label)}" if each.label else ""
            notes.setdefault(each.value, []).append(f"{each.where}{label}, {each.times} times")
    return {value: "; ".join(several) for value, several in notes.items()}


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _comment(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
