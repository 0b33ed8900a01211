"""The bridge's fault conditions and event counters; a condition is logged when it begins, changes or ends.

Neither causes nor notes contain any content of a message.
"""

import logging
from collections import Counter
from enum import StrEnum

_log = logging.getLogger("capgate.bridge")


class Trouble(StrEnum):
    """A fault condition, which lasts until it is cleared; the value is its text in logs and reports."""

    BROKER = "no connection to the broker"
    CHARGES = "charges do not reach the engine"
    OBSERVATIONS = "observations do not reach the engine"
    NO_ANSWER = "no gateway answers the engine's messages"
    FULL = "the listener is full"


class Happening(StrEnum):
    """A counted event; the value is its label in reports and metrics."""

    TAKEN = "taken"  # messages of the engine that were answered as accepted or ignored
    REJECTED = "rejected"  # messages of the engine that a gateway rejected
    UNANSWERED = "unanswered"  # messages of the engine that no gateway answered in time, or that were not published
    NOT_HL7 = "not_hl7"
    TOO_LARGE = "too_large"
    ACKS_TAKEN = "acks_taken"  # acknowledgements that the engine sent to the listener, published
    ACKS_LOST = "acks_lost"  # the same, not published
    STRAY_BYTES = "stray_bytes"  # outside any frame
    UNENDED = "unended_frames"
    TLS_REFUSED = "tls_refused"  # clients of the listener
    GAVE_WAY = "gave_way"  # idle connections that were closed for a new one
    TURNED_AWAY = "turned_away"  # connections that were refused, because all others were busy
    CARRIED = "carried"  # messages that the engine acknowledged, positively or not
    REFUSED_BY_ENGINE = "refused_by_engine"  # of these, negatively
    WRONG_ACKS = "wrong_acks"  # answers of the engine that did not acknowledge the message just sent
    DROPPED = "dropped_observations"  # because the queue was full
    NOT_CARRIED = "not_carried"  # messages on topics that are not configured, or that are not HL7
    TAKEOVERS = "takeovers"  # times that this bridge became active


_QUIET = frozenset({Happening.TAKEN, Happening.CARRIED, Happening.ACKS_TAKEN, Happening.TAKEOVERS})


class Notices:
    """Current conditions with their causes, and counters since the start."""

    def __init__(self) -> None:
        self.troubles: dict[Trouble, str] = {}
        self.counts: Counter[Happening] = Counter()

    def begins(self, trouble: Trouble, cause: str) -> None:
        """Set the condition; logged if it or its cause is new."""
        if self.troubles.get(trouble) != cause:
            _log.warning(trouble.value, extra={"cause": cause})
        self.troubles[trouble] = cause

    def ends(self, trouble: Trouble) -> None:
        """Clear the condition, if it is set."""
        if self.troubles.pop(trouble, None) is not None:
            _log.warning("over: %s", trouble.value)

    def happened(self, what: Happening, note: str = "", times: int = 1, **more: str) -> None:
        """Count an event; the 1st, 10th, 100th, ... of its kind is logged, unless it is one of `_QUIET`."""
        before = self.counts[what]
        self.counts[what] += times
        if what not in _QUIET and (before == 0 or len(str(before)) < len(str(self.counts[what]))):
            _log.warning(what.value.replace("_", " "), extra={"count": self.counts[what], "cause": note, **more})
