"""What the words of a site's EHR mean here: drug codes, names of units, actions of the MAR. Pure."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from gateway.session.facts import AgentClass


class MarAct(StrEnum):
    """What a line of the MAR says happened to an infusion."""

    START = "start"  # also a new bag, and running on after a pause
    RUNS = "runs"  # a change of rate and the like: it was running and runs on
    PAUSE = "pause"  # held: nothing ends, nothing is counted
    END = "end"


MAR_WORDS: Mapping[str, MarAct] = {
    "start": MarAct.START,
    "started": MarAct.START,
    "begin": MarAct.START,
    "begun": MarAct.START,
    "new bag": MarAct.START,
    "newbag": MarAct.START,
    "new syringe": MarAct.START,
    "restart": MarAct.START,
    "restarted": MarAct.START,
    "resume": MarAct.START,
    "resumed": MarAct.START,
    "rate change": MarAct.RUNS,
    "ratechange": MarAct.RUNS,
    "rate verify": MarAct.RUNS,
    "rateverify": MarAct.RUNS,
    "infusing": MarAct.RUNS,
    "pause": MarAct.PAUSE,
    "paused": MarAct.PAUSE,
    "hold": MarAct.PAUSE,
    "held": MarAct.PAUSE,
    "on hold": MarAct.PAUSE,
    "stop": MarAct.END,
    "stopped": MarAct.END,
    "end": MarAct.END,
    "ended": MarAct.END,
    "complete": MarAct.END,
    "completed": MarAct.END,
}


class PatientField(StrEnum):
    """What may be known of a patient beside the visit: a field of Identity."""

    MRN = "mrn"
    ACCOUNT = "account"
    NAME = "name"
    BIRTH_DATE = "birth_date"
    SEX = "sex"


DEFAULT_KEPT = frozenset({PatientField.MRN, PatientField.ACCOUNT})


class EhrWords(msgspec.Struct, frozen=True):
    """The site's tables; keys are in lower case."""

    drugs: Mapping[str, AgentClass] = {}
    units: Mapping[str, str] = {}  # a unit as the EHR names it -> as the gateway does
    mar: Mapping[str, MarAct] = msgspec.field(default_factory=lambda: MAR_WORDS)
    kept: frozenset[str] = DEFAULT_KEPT  # PatientField: what is kept of a patient beside the visit

    def agent(self, codes: tuple[str, ...]) -> AgentClass | None:
        """The class of the first code that the site's table knows."""
        known = (self.drugs.get(code.strip().lower()) for code in codes)
        return next((agent for agent in known if agent is not None), None)
