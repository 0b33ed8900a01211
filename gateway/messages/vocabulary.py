"""The site's vocabulary: the meaning of its EHR's drug codes, unit names and MAR codes and words. Pure."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import msgspec

from gateway.messages.details import Detail
from gateway.session.facts import AgentClass


class MarAct(StrEnum):
    """The meaning of a code or word of the MAR for an infusion."""

    START = "start"  # also a new bag
    RUNS = "runs"  # a change of rate, a restart after a pause: it runs
    PAUSE = "pause"  # held: nothing starts, nothing ends
    END = "end"
    GIVEN = "given"  # a dose; without another end it ends at its start
    NOT_GIVEN = "not_given"
    COMPLETE = "complete"  # a completion status, not a step
    PARTIAL = "partial"
    NOTHING = "nothing"  # a remark, which is ignored


ACT_FIELDS = ("RXA-9", "RXA-20")  # the fields that may have words of the MAR
_CAREFUL = (MarAct.NOT_GIVEN, MarAct.PAUSE, MarAct.RUNS, MarAct.START, MarAct.GIVEN, MarAct.END)


class Vocabulary(msgspec.Struct, frozen=True):
    """The words of one MAR in their `normal` form, by field; a field without words is not read.

    Without any words every word is unknown.
    """

    words: Mapping[str, Mapping[str, MarAct]] = {}
    actions_in: frozenset[str] = frozenset()  # fields whose word names a step at the instant in RXA-3
    ends_under: Mapping[str, frozenset[str]] = {}  # ORC-1, ORC-5: the values with which an end counts
    partial_ends_under: frozenset[str] = frozenset()  # ORC-5: the values with which the end of a part counts
    instant_is_dose: bool = False  # whether "complete" with equal start and end and no word is a dose, else a start

    def act(self, field: str, word: str) -> MarAct | None:
        """The meaning of the word in that field; None for an unknown word."""
        return self.words.get(field, {}).get(normal(word))

    def with_words(self, words: Mapping[str, MarAct]) -> "Vocabulary":
        """The vocabulary with `words` added to every field that is read; they override existing ones."""
        own = {normal(word): act for word, act in words.items()}
        return msgspec.structs.replace(self, words={field: {**known, **own} for field, known in self.words.items()})


def normal(word: str) -> str:
    """The word in lower case, with every run of blanks as one blank."""
    return " ".join(word.casefold().split())


def careful(acts: Collection[MarAct]) -> MarAct | None:
    """The meaning of a line with several words: the one that counts fewest minutes; None if none names a step."""
    return next((act for act in _CAREFUL if act in acts), None)


class PatientField(StrEnum):
    """A field of Identity beside the visit, as a site may keep or drop it."""

    MRN = "mrn"
    ACCOUNT = "account"
    NAME = "name"
    BIRTH_DATE = "birth_date"
    SEX = "sex"


DEFAULT_VISIT_FROM = ("PV1-19",)
DEFAULT_MRN_TYPES = ("MR", "MRN")
DEFAULT_KEPT = frozenset({PatientField.MRN, PatientField.ACCOUNT})


class EhrWords(msgspec.Struct, frozen=True):
    """The site's tables for reading its EHR's messages; keys of drugs and units are in lower case."""

    drugs: Mapping[str, AgentClass] = {}
    units: Mapping[str, str] = {}  # the EHR's name of a unit -> the gateway's
    mar: Vocabulary = Vocabulary()
    visit_from: tuple[str, ...] = DEFAULT_VISIT_FROM  # HL7 fields; the first that is not empty names the visit
    mrn_types: tuple[str, ...] = DEFAULT_MRN_TYPES  # HL7 table 0203 or the site's; the first that occurs is used
    kept: frozenset[str] = DEFAULT_KEPT  # names of PatientField that are kept
    details: frozenset[Detail] = frozenset()  # of what is stated for charges, those that are kept
    location: str = ""  # the suite's point of care, in lower case; "": it has no name

    def agent(self, codes: Iterable[str]) -> AgentClass | None:
        """The class of the first of `codes` in the site's table; None if none is."""
        known = (self.drugs.get(code.strip().lower()) for code in codes)
        return next((agent for agent in known if agent is not None), None)
