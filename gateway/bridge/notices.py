"""What is wrong with the bridge now, and how often what happened; logged when it begins, changes and ends.

No cause and no note ever holds what a message says.
"""

import logging
from collections import Counter
from enum import StrEnum

_log = logging.getLogger("capgate.bridge")


class Trouble(StrEnum):
    """What lasts; the value says it to a person."""

    BROKER = "no connection to the broker"
    CHARGES = "charges do not reach the engine"
    OBSERVATIONS = "observations do not reach the engine"
    NO_ANSWER = "no gateway answers the engine's messages"
    FULL = "the listener is full"


class Happening(StrEnum):
    """What is counted."""

    TAKEN = "taken"  # messages of the engine that a gateway took or had no use for
    REJECTED = "rejected"  # messages of the engine that a gateway rejected
    UNANSWERED = "unanswered"  # messages of the engine that no gateway answered in time, or the broker did not take
    NOT_HL7 = "not_hl7"
    TOO_LARGE = "too_large"
    ACKS_TAKEN = "acks_taken"  # acknowledgements of the engine that came by the listener
    ACKS_LOST = "acks_lost"
    STRAY_BYTES = "stray_bytes"  # outside any frame
    UNENDED = "unended_frames"
    TLS_REFUSED = "tls_refused"  # clients of the listener
    GAVE_WAY = "gave_way"  # connections that were closed for a new one, idle the longest
    TURNED_AWAY = "turned_away"  # connections that were refused, all others being at work
    CARRIED = "carried"  # messages that the engine answered
    REFUSED_BY_ENGINE = "refused_by_engine"  # of these, not accepted
    WRONG_ACKS = "wrong_acks"  # answers of the engine that were no acknowledgement of what it was sent
    DROPPED = "dropped_observations"  # pushed out by newer ones while the engine was away
    NOT_CARRIED = "not_carried"  # messages on topics that are not configured
    TAKEOVERS = "takeovers"  # times that this bridge began to carry


_QUIET = frozenset({Happening.TAKEN, Happening.CARRIED, Happening.ACKS_TAKEN, Happening.TAKEOVERS})


class Notices:
    """Troubles with their causes, and counts since the start."""

    def __init__(self) -> None:
        self.troubles: dict[Trouble, str] = {}
        self.counts: Counter[Happening] = Counter()

    def begins(self, trouble: Trouble, cause: str) -> None:
        """The trouble is there; it is logged unless it was, with the same cause."""
        if self.troubles.get(trouble) != cause:
            _log.warning(trouble.value, extra={"cause": cause})
        self.troubles[trouble] = cause

    def ends(self, trouble: Trouble) -> None:
        """The trouble is over, if it was there."""
        if self.troubles.pop(trouble, None) is not None:
            _log.info("over: %s", trouble.value)

    def happened(self, what: Happening, note: str = "", times: int = 1, **more: str) -> None:
        """Count it, and log the first of its kind, the tenth, the hundredth and so on."""
        before = self.counts[what]
        self.counts[what] += times
        if what not in _QUIET and (before == 0 or len(str(before)) < len(str(self.counts[what]))):
            _log.warning(what.value.replace("_", " "), extra={"count": self.counts[what], "cause": note, **more})
