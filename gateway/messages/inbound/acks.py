"""HL7 v2 acknowledgements: parses the engine's, builds the gateway's. Pure."""

import re
from enum import StrEnum

import msgspec

from gateway.messages.hl7v2 import Hl7Message, Segment, Value, cut, encode, segment
from gateway.messages.inbound.answers import Receipt

STORED = "CA"  # commit accept of the enhanced mode: the application's answer follows
ACCEPTED = frozenset({"AA", STORED})  # HL7 table 0008
REFUSED = frozenset({"AE", "AR", "CE", "CR"})
MAX_TEXT = 1000  # characters of the engine's text that are kept
LONGEST_MSA_3 = 80  # HL7 2.5.1, 2.14.8.3
LONGEST_ERR_8 = 250  # HL7 2.5.1, 2.14.5.8
DEFAULT_VERSION = "2.5.1"
_VERSION = re.compile(r"2(\.[0-9]{1,2}){1,3}")


class Condition(StrEnum):
    """ERR-3, HL7 table 0357: the error condition."""

    ACCEPTED = "0"
    FIELD_MISSING = "101"
    DATA_TYPE = "102"
    VALUE_UNKNOWN = "103"
    TYPE_UNSUPPORTED = "200"
    KEY_UNKNOWN = "204"
    PASSING = "207"  # application internal error, a transient one: the message should be sent again

    @property
    def words(self) -> str:
        """The table's text."""
        return _CONDITIONS[self]


_CONDITIONS = {
    Condition.ACCEPTED: "Message accepted",
    Condition.FIELD_MISSING: "Required field missing",
    Condition.DATA_TYPE: "Data type error",
    Condition.VALUE_UNKNOWN: "Table value not found",
    Condition.TYPE_UNSUPPORTED: "Unsupported message type",
    Condition.KEY_UNKNOWN: "Unknown key identifier",
    Condition.PASSING: "Application internal error",
}


def control_id(header: Segment) -> str:
    """MSH-10, the sender's id of the message."""
    return header.get(10)


def read_ack(message: Hl7Message) -> Receipt | None:
    """The receipt for the message in MSA-2; None if the message is no acknowledgement, or MSA-1 is unknown."""
    header, verdict, error = message.first("MSH"), message.first("MSA"), message.first("ERR")
    code, for_id = verdict.get(1).upper(), verdict.get(2)
    if code not in ACCEPTED | REFUSED or not for_id:
        return None
    message_id = f"{header.get(3)}|{control_id(header)}"
    if code in ACCEPTED:
        return Receipt(message_id, for_id, "stored" if code == STORED else "accepted")
    words = [error.get(8), error.get(3, 2), error.get(7), verdict.get(3), verdict.get(6, 2)]
    text = "; ".join(dict.fromkeys(word for word in words if word))
    return Receipt(message_id, for_id, "rejected", error.get(3) or verdict.get(6) or code, text[:MAX_TEXT])


class Acknowledgement(msgspec.Struct, frozen=True):
    """The gateway's answer to a message of the engine. `text` must name no patient."""

    code: str  # HL7 table 0008
    text: str = ""
    condition: Condition = Condition.ACCEPTED
    reason: str = ""  # the gateway's own error code


def build_ack(header: Segment, answer: Acknowledgement, own_id: str, at: str) -> bytes:
    """The acknowledgement of the message that begins with `header`; `at` is an HL7 instant.

    Its fields follow the HL7 version that the message names.
    """
    version = header.get(12) if _VERSION.fullmatch(header.get(12)) else DEFAULT_VERSION
    edition = _edition(version)
    message = segment(
        "MSH",
        {7: at, 9: _kind(header, edition), 10: own_id, 11: header.get(11) or "P", 12: version},
    )
    words = {1: answer.code, 2: control_id(header), 3: cut(answer.text, LONGEST_MSA_3) if edition < (2, 7) else ""}
    segments = [_addressed_back(message, header), segment("MSA", words)]
    if answer.text and edition >= (2, 5):
        segments.append(_error(answer))
    encoded = encode(segments)
    if encoded.isascii():
        return encoded
    return encode([_with_character_set(segments[0]), *segments[1:]])


def _edition(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _kind(header: Segment, edition: tuple[int, ...]) -> Value:
    """MSH-9 of the answer: the answered message's event, and the structure if the version has one."""
    return ("ACK", header.get(9, 2), "ACK") if edition >= (2, 3, 1) else "ACK"


def _addressed_back(message: Segment, header: Segment) -> Segment:
    """The answer's MSH with sender and receiver of the answered message exchanged, unchanged otherwise."""
    fields = list(message.fields)
    fields[2:6] = (*map(header.repetitions, (5, 6)), *map(header.repetitions, (3, 4)))
    return Segment("MSH", tuple(fields))


def _with_character_set(message: Segment) -> Segment:
    missing = ((),) * (17 - len(message.fields))
    return Segment("MSH", (*message.fields, *missing, ((("UNICODE UTF-8",),),)))


def _error(answer: Acknowledgement) -> Segment:
    severity = "I" if answer.code in ACCEPTED else "E"
    condition = (answer.condition, answer.condition.words, "HL70357")
    return segment("ERR", {3: condition, 4: severity, 5: answer.reason, 8: cut(answer.text, LONGEST_ERR_8)})
