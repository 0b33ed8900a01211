"""Why a session is in its place when it is reconciled: a closed set of reasons, each with what it names. Pure.

`code` tells them apart in JSON. `said` puts the reason into words; the page has a text for each code.
"""

from collections.abc import Iterable

import msgspec

from gateway.messages.instants import rfc3339
from gateway.session.assessment import Phase
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
from gateway.session.outcome import Missing
from gateway.session.wording import ENGLISH, Wording


class _Reason(msgspec.Struct, frozen=True, tag_field="code"):
    pass


class Continued(_Reason, frozen=True, tag="continued"):
    """It goes on as another session."""

    session: str

    def said(self, say: Wording) -> str:
        return say("goes on as {session}", session=self.session)


class Undecided(_Reason, frozen=True, tag="undecided"):
    """A charge is in question."""

    def said(self, say: Wording) -> str:
        return say("a person must decide")


class Credited(_Reason, frozen=True, tag="credited"):
    """A charge was credited."""

    def said(self, say: Wording) -> str:
        return say("credited")


class Refused(_Reason, frozen=True, tag="refused"):
    """A person refused to correct a charge although the count differs. Without an instant nobody knows who."""

    charge: str
    charged: int
    counted: int
    person: str = ""
    at_us: int | None = None

    def said(self, say: Wording) -> str:
        refused = say(
            "{charge}: {charged} charged, {counted} counted, difference refused",
            charge=self.charge,
            charged=self.charged,
            counted=self.counted,
        )
        if self.at_us is None:
            return refused
        return say("{refused} by {person} at {at}", refused=refused, person=self.person, at=rfc3339(self.at_us))


class Untold(_Reason, frozen=True, tag="untold"):
    """Nothing was published of it."""

    def said(self, say: Wording) -> str:
        return say("nothing was told of it")


class Explained(_Reason, frozen=True, tag="explained"):
    """A person stated why nothing is charged."""

    person: str
    reason: str

    def said(self, say: Wording) -> str:
        return say("by {person}: {reason}", person=self.person, reason=self.reason)


class Unknown(_Reason, frozen=True, tag="unknown"):
    """Patient or infusion end are unknown."""

    missing: tuple[Missing, ...]

    def said(self, say: Wording) -> str:
        return say("unknown: {what}", what=", ".join(say.code("missing", each) for each in self.missing))


class NothingStands(_Reason, frozen=True, tag="nothing-stands"):
    """Every increment was retracted, or none was attained."""

    def said(self, say: Wording) -> str:
        return say("no increment stands")


class AnothersCooling(_Reason, frozen=True, tag="anothers-cooling"):
    """Its cooling proved to be another session's."""

    def said(self, say: Wording) -> str:
        return say("its cooling is another's")


class CooledTooLittle(_Reason, frozen=True, tag="cooled-too-little"):
    """It cooled too little for a unit."""

    def said(self, say: Wording) -> str:
        return say("it cooled too little")


class Held(_Reason, frozen=True, tag="held"):
    """A person or evidence is needed first."""

    held: tuple[HeldReason, ...]

    def said(self, say: Wording) -> str:
        return "; ".join(say(HELD_TEXTS[each]) for each in self.held)


class NotFinal(_Reason, frozen=True, tag="not-final"):
    """It may still change."""

    phase: Phase

    def said(self, say: Wording) -> str:
        return say.code("phase", self.phase)


AnyReason = (
    Continued
    | Undecided
    | Credited
    | Refused
    | Untold
    | Explained
    | Unknown
    | NothingStands
    | AnothersCooling
    | CooledTooLittle
    | Held
    | NotFinal
)


def words(reasons: Iterable[AnyReason], say: Wording = ENGLISH) -> str:
    """The reasons in words; "" if there are none."""
    return "; ".join(each.said(say) for each in reasons)
