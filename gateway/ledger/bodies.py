"""What verification and audit read of the bodies of entries: no more than they re-derive; the rest may be anything."""

from typing import Any

import msgspec

from gateway.session.charges import Charge
from gateway.session.increments import Change
from gateway.session.outcome import Published


class _Increment(msgspec.Struct, frozen=True):
    change: Change


class _Charge(msgspec.Struct, frozen=True):
    charge: Charge


class _Session(msgspec.Struct, frozen=True):
    told: Published


class _IncrementBody(msgspec.Struct, frozen=True):
    event: msgspec.Raw = msgspec.Raw()
    sent: dict[str, str] = {}


_increment = msgspec.json.Decoder(_Increment)
_charge = msgspec.json.Decoder(_Charge)
_session = msgspec.json.Decoder(_Session)
_telling = msgspec.json.Decoder(_IncrementBody)


def change_of(body: str) -> Change:
    """The change in an increment's body. Raises msgspec.DecodeError."""
    return _increment.decode(body).change


def charge_of(body: str) -> Charge:
    """The charge or credit in a charge's body. Raises msgspec.DecodeError."""
    return _charge.decode(body).charge


def told_of(body: str) -> Published:
    """What was told in a session's body. Raises msgspec.DecodeError."""
    return _session.decode(body).told


def event_of(body: str) -> bytes | None:
    """The message in a body, byte for byte; None if it has none. Raises msgspec.DecodeError."""
    event = _telling.decode(body).event
    return bytes(event) or None


def sealed(body: str) -> dict[str, str]:
    """The messages that a charge's body seals: id -> seal. Raises msgspec.DecodeError."""
    return _telling.decode(body).sent


def without_patient(event: bytes) -> dict[str, Any]:
    """A message but for whom it concerns. Raises msgspec.DecodeError if it is no message."""
    decoded = msgspec.json.decode(event, type=dict[str, Any])
    if isinstance(decoded.get("data"), dict):
        decoded["data"].pop("patient", None)
    return decoded


def names_patient(body: str) -> bool:
    """Whether the body has a message that says whom it concerns. Raises msgspec.DecodeError."""
    event = event_of(body)
    return event is not None and msgspec.json.decode(event) != without_patient(event)
