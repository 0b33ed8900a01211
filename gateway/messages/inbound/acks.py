"""HL7 v2 acknowledgements: the engine's read, our own written. Pure."""

from gateway.messages.hl7v2 import Hl7Message, encode, segment
from gateway.messages.inbound.answers import Receipt

ACCEPTED = frozenset({"AA", "CA"})  # HL7 table 0008: taken by the application, or safely stored
REFUSED = frozenset({"AE", "AR", "CE", "CR"})
MAX_TEXT = 1000  # characters of the engine's words that are kept


def control_id(message: Hl7Message) -> str:
    """The message's own id, MSH-10."""
    return message.first("MSH").get(10)


def read_ack(message: Hl7Message) -> Receipt | None:
    """What an acknowledgement says of the message in its MSA-2; None if it is none, or says nothing that is known."""
    header, verdict, error = message.first("MSH"), message.first("MSA"), message.first("ERR")
    code, for_id = verdict.get(1).upper(), verdict.get(2)
    if code not in ACCEPTED | REFUSED or not for_id:
        return None
    message_id = f"{header.get(3)}|{control_id(message)}"
    if code in ACCEPTED:
        return Receipt(message_id, for_id, "accepted")
    words = [error.get(8), error.get(3, 2), error.get(7), verdict.get(3), verdict.get(6, 2)]
    text = "; ".join(dict.fromkeys(word for word in words if word))
    return Receipt(message_id, for_id, "rejected", error.get(3) or verdict.get(6) or code, text[:MAX_TEXT])


def build_ack(message: Hl7Message, code: str, own_id: str, at: str, text: str = "") -> bytes:
    """The acknowledgement of `message`: `code` of table 0008; `at` is an HL7 instant. `text` must name no patient."""
    header = message.first("MSH")
    kind = ["ACK", header.get(9, 2), "ACK"] if header.get(9, 2) else "ACK"
    sender, receiver = [header.get(5), header.get(6)], [header.get(3), header.get(4)]
    fields = {
        3: sender[0],
        4: sender[1],
        5: receiver[0],
        6: receiver[1],
        7: at,
        9: kind,
        10: own_id,
        11: header.get(11) or "P",
        12: header.get(12) or "2.5.1",
    }
    return encode([segment("MSH", fields), segment("MSA", {1: code, 2: control_id(message), 3: text})])
