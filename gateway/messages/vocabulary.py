"""What the words of a site's EHR mean here: drug codes, names of units, words of the MAR. Pure."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import msgspec

from gateway.session.facts import AgentClass


class MarAct(StrEnum):
    """What a word of the MAR says of an infusion."""

    START = "start"  # also a new bag
    RUNS = "runs"  # a change of rate, going on after a pause: it was running, or runs again
    PAUSE = "pause"  # held: nothing starts, nothing ends
    END = "end"
    GIVEN = "given"  # a dose; with no other end it ends as it begins
    NOT_GIVEN = "not_given"
    COMPLETE = "complete"  # how far it came by a code, no step of its own
    PARTIAL = "partial"
    NOTHING = "nothing"  # a remark: as if it were not there


ACT_FIELDS = ("RXA-9", "RXA-20")  # where the MAR has its words
_CAREFUL = (MarAct.NOT_GIVEN, MarAct.PAUSE, MarAct.RUNS, MarAct.START, MarAct.GIVEN, MarAct.END)


class Vocabulary(msgspec.Struct, frozen=True):
    """The words of one MAR, as `normal` has them, by the field in which they stand; a field without words is not read.

    Whoever has no words reads none: each is unknown.
    """

    words: Mapping[str, Mapping[str, MarAct]] = {}
    actions_in: frozenset[str] = frozenset()  # fields whose word is a step that happened at RXA-3
    ends_under: Mapping[str, frozenset[str]] = {}  # ORC-1, ORC-5: the values under which an end counts
    partial_ends_under: frozenset[str] = frozenset()  # ORC-5
    instant_is_dose: bool = False  # complete within one instant, without a word: a dose, else a start

    def act(self, field: str, word: str) -> MarAct | None:
        """What the word means in that field; None for a word that is in no table."""
        return self.words.get(field, {}).get(normal(word))

    def with_words(self, words: Mapping[str, MarAct]) -> "Vocabulary":
        """These words in every field that is read; they count before the ones that are there."""
        own = {normal(word): act for word, act in words.items()}
        return msgspec.structs.replace(self, words={field: {**known, **own} for field, known in self.words.items()})


def normal(word: str) -> str:
    """The word in lower case, every run of blanks one blank."""
    return " ".join(word.casefold().split())


def careful(acts: Collection[MarAct]) -> MarAct | None:
    """Of several things that one line says, the one that counts least; None if it says nothing of a step."""
    return next((act for act in _CAREFUL if act in acts), None)


class PatientField(StrEnum):
    """What may be known of a patient beside the visit: a field of Identity."""

    MRN = "mrn"
    ACCOUNT = "account"
    NAME = "name"
    BIRTH_DATE = "birth_date"
    SEX = "sex"


DEFAULT_VISIT_FROM = ("PV1-19",)
DEFAULT_MRN_TYPES = ("MR", "MRN")
DEFAULT_KEPT = frozenset({PatientField.MRN, PatientField.ACCOUNT})


class EhrWords(msgspec.Struct, frozen=True):
    """The site's tables; drugs and units are in lower case."""

    drugs: Mapping[str, AgentClass] = {}
    units: Mapping[str, str] = {}  # a unit as the EHR names it -> as the gateway does
    mar: Vocabulary = Vocabulary()
    visit_from: tuple[str, ...] = DEFAULT_VISIT_FROM  # HL7 fields, the first that is filled names the visit
    mrn_types: tuple[str, ...] = DEFAULT_MRN_TYPES  # HL7 table 0203 or the site's own, the first that is there counts
    kept: frozenset[str] = DEFAULT_KEPT  # PatientField: what is kept of a patient beside the visit

    def agent(self, codes: Iterable[str]) -> AgentClass | None:
        """The class of the first code that the site's table knows."""
        known = (self.drugs.get(code.strip().lower()) for code in codes)
        return next((agent for agent in known if agent is not None), None)
