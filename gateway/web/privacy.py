"""What a screen shows while nobody is signed in at it: nothing that names a patient, an order or a message. Pure."""

import msgspec
from msgspec import UNSET

from gateway.audit.listing import ListedSession
from gateway.audit.reasons import AnyReason, Explained, Refused
from gateway.control.answers import FeedAnswer
from gateway.control.screen import ScreenAnswer
from gateway.control.todo import TodoAnswer, TodoView

# Of a fact, what it is, when it happened and when it was learned; not what it says.
_SHOWN = ("fact", "at", "known_at_us")


def without_identifiers(answer: bytes) -> bytes:
    """The answer to `screen`, for everybody."""
    found = msgspec.json.decode(answer, type=ScreenAnswer)
    session = found.session
    end = session.infusion_end
    facts = () if session.facts is UNSET else session.facts
    shown = msgspec.structs.replace(
        session,
        patient=UNSET,
        person=UNSET,
        seconds=UNSET,
        infusion_end=msgspec.structs.replace(end, order="") if end else end,
        facts=tuple({name: fact[name] for name in _SHOWN if name in fact} for fact in facts),
    )
    why = msgspec.structs.replace(found.why, sentences=())
    return msgspec.json.encode(msgspec.structs.replace(found, session=shown, why=why))


def without_staff(answer: bytes) -> bytes:
    """The answer to `todo`, for everybody: that somebody sees to it, not who."""
    found = msgspec.json.decode(answer, type=TodoAnswer)
    return msgspec.json.encode(msgspec.structs.replace(found, todo=tuple(map(_unnamed, found.todo))))


def _unnamed(item: TodoView) -> TodoView:
    assigned = item.assigned and msgspec.structs.replace(item.assigned, to="", person="")
    seconds = tuple(msgspec.structs.replace(each, person="") for each in item.seconds)
    return msgspec.structs.replace(item, assigned=assigned, seconds=seconds)


def without_message_ids(answer: bytes) -> bytes:
    """The answer to `feed`, for everybody."""
    found = msgspec.json.decode(answer, type=FeedAnswer)
    rows = tuple(msgspec.structs.replace(each, last_id="") for each in found.feed)
    return msgspec.json.encode(msgspec.structs.replace(found, feed=rows))


def without_people(row: ListedSession) -> ListedSession:
    """A session of the list without who did something about it and what they said, for everybody."""
    return msgspec.structs.replace(row, visit="", reasons=tuple(map(_unsigned, row.reasons)))


def _unsigned(reason: AnyReason) -> AnyReason:
    match reason:
        case Explained():
            return Explained("", "")
        case Refused():
            return msgspec.structs.replace(reason, person="")
        case _:
            return reason
