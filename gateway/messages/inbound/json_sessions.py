"""The readers of inbound JSON events about a whole session: signature, preparation, tolerance check, cap."""

from typing import TypedDict

import msgspec

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Inbound
from gateway.messages.inbound.json_message import JsonMessage, subject_of
from gateway.messages.inbound.json_models import CapIdentity, Finalisation, OfSession, Preparation, ToleranceModel
from gateway.session import facts
from gateway.session.facts import ToleranceFinding


class _SessionRef(msgspec.Struct, frozen=True):
    """A session's token, "" if the sender did not know it, and its patient."""

    subject: str
    token: str
    identities: tuple[Identity, ...]


def _session_of(message: JsonMessage, data: OfSession) -> _SessionRef:
    """The session that the message names by its token, its visit or its cap."""
    if data.session is None:
        subject, identities = subject_of(message, data)
        if not message.site.knows(subject):
            raise message.ignored("not-ours", "data.visit: no open session of this gateway")
        return _SessionRef(subject, "", identities)
    patient = message.site.session_of(data.session)
    if patient is None:
        raise message.ignored("not-ours", "data.session: no open session of this gateway")
    return _SessionRef(patient, data.session, ())


class _OfSession(TypedDict):
    """The fields of every fact about a session."""

    at_us: int
    known_at_us: int
    patient: str
    token: str
    person: str
    reason: str


def _common_fields(message: JsonMessage, data: OfSession, session: _SessionRef) -> _OfSession:
    return {
        "at_us": message.timed().at_us,
        "known_at_us": message.known_at_us,
        "patient": session.subject,
        "token": session.token,
        "person": data.person,
        "reason": data.reason or "",
    }


def finalised(message: JsonMessage) -> Inbound:
    """A person signs a session."""
    data = message.data(Finalisation)
    session = _session_of(message, data)
    fact = facts.SessionFinalized(**_common_fields(message, data, session))
    return message.accepted(fact, session.identities)


def prepared(message: JsonMessage) -> Inbound:
    """Hair preparation, cap placement and pre-cooling were charted."""
    data = message.data(Preparation)
    session = _session_of(message, data)
    fact = facts.PreparationCharted(**_common_fields(message, data, session))
    return message.accepted(fact, session.identities)


def tolerated(message: JsonMessage) -> Inbound:
    """A check of how the patient tolerates the cooling."""
    data = message.data(ToleranceModel)
    session = _session_of(message, data)
    vital_signs, comfort, scalp = map(_finding, (data.vital_signs, data.comfort, data.scalp))
    if vital_signs is None and comfort is None and scalp is None:
        raise message.rejected("bad-data", 'data.comfort: missing; accepted: "ok" or "concern" of what was checked')
    fact = facts.ToleranceChecked(
        **_common_fields(message, data, session), vital_signs=vital_signs, comfort=comfort, scalp=scalp
    )
    return message.accepted(fact, session.identities)


def cap_identified(message: JsonMessage) -> Inbound:
    """The cap that the patient wears."""
    data = message.data(CapIdentity)
    session = _session_of(message, data)
    fact = facts.CapIdentified(
        **_common_fields(message, data, session),
        cap_id=data.cap_id,
        lot=data.lot or "",
    )
    return message.accepted(fact, session.identities)


def _finding(found: str | None) -> ToleranceFinding | None:
    return None if found is None else ToleranceFinding(found)
