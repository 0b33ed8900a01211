"""Why a session is in its place when it is reconciled: a closed set of reasons, each with what it names. Pure.

`code` tells them apart in JSON. `text` is the reason in English; the page has a text for each code.
"""

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from gateway.messages.instants import rfc3339
from gateway.session.assessment import Phase
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
from gateway.session.outcome import Missing


class _Reason(msgspec.Struct, frozen=True, tag_field="code"):
    pass


class Continued(_Reason, frozen=True, tag="continued"):
    """It goes on as another session."""

    session: str

    @property
    def text(self) -> str:
        return f"goes on as {self.session}"


class Undecided(_Reason, frozen=True, tag="undecided"):
    """A charge is in question."""

    text: ClassVar[str] = "a person must decide"


class Credited(_Reason, frozen=True, tag="credited"):
    """A charge was credited."""

    text: ClassVar[str] = "credited"


class Refused(_Reason, frozen=True, tag="refused"):
    """A person refused to correct a charge although the count differs. Without an instant nobody knows who."""

    charge: str
    charged: int
    counted: int
    person: str = ""
    at_us: int | None = None

    @property
    def text(self) -> str:
        by = "" if self.at_us is None else f" by {self.person} at {rfc3339(self.at_us)}"
        return f"{self.charge}: {self.charged} charged, {self.counted} counted, difference refused{by}"


class Untold(_Reason, frozen=True, tag="untold"):
    """Nothing was published of it."""

    text: ClassVar[str] = "nothing was told of it"


class Explained(_Reason, frozen=True, tag="explained"):
    """A person stated why nothing is charged."""

    person: str
    reason: str

    @property
    def text(self) -> str:
        return f"by {self.person}: {self.reason}"


class Unknown(_Reason, frozen=True, tag="unknown"):
    """Patient or infusion end are unknown."""

    missing: tuple[Missing, ...]

    @property
    def text(self) -> str:
        return f"unknown: {', '.join(self.missing)}"


class NothingStands(_Reason, frozen=True, tag="nothing-stands"):
    """Every increment was retracted, or none was attained."""

    text: ClassVar[str] = "no increment stands"


class AnothersCooling(_Reason, frozen=True, tag="anothers-cooling"):
    """Its cooling proved to be another session's."""

    text: ClassVar[str] = "its cooling is another's"


class CooledTooLittle(_Reason, frozen=True, tag="cooled-too-little"):
    """It cooled too little for a unit."""

    text: ClassVar[str] = "it cooled too little"


class Held(_Reason, frozen=True, tag="held"):
    """A person or evidence is needed first."""

    held: tuple[HeldReason, ...]

    @property
    def text(self) -> str:
        return "; ".join(HELD_TEXTS[each] for each in self.held)


class NotFinal(_Reason, frozen=True, tag="not-final"):
    """It may still change."""

    phase: Phase

    @property
    def text(self) -> str:
        return self.phase


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


def words(reasons: Iterable[AnyReason]) -> str:
    """The reasons in English; "" if there are none."""
    return "; ".join(each.text for each in reasons)
