"""Combines the answers of a site's gateways to one message into one HL7 acknowledgement. Pure.

Every gateway of the site answers every message. One "accepted" decides at once (AA). Otherwise all online gateways must
have answered: a "rejected" among them makes it AE, only "ignored" makes it AA. An offline gateway is not waited for,
since the broker keeps the message in its session. If an online gateway did not answer in time, or none answered at all,
the result is AE with a request to send again.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from gateway.messages.inbound.acks import Acknowledgement, Condition

CONDITIONS = {
    "bad-data": Condition.DATA_TYPE,
    "bad-envelope": Condition.FIELD_MISSING,
    "bad-time": Condition.DATA_TYPE,
    "internal-error": Condition.PASSING,
    "no-visit": Condition.FIELD_MISSING,
    "unknown-type": Condition.TYPE_UNSUPPORTED,
}


class GatewayAnswer(msgspec.Struct, frozen=True):
    """One gateway's answer to a message: the `data` of its result event."""

    for_: str | None = msgspec.field(name="for")
    result: Literal["accepted", "ignored", "rejected"]
    code: str = ""
    text: str = ""


def verdict(answers: Mapping[str, GatewayAnswer], online: Collection[str], *, late: bool) -> Acknowledgement | None:
    """The acknowledgement for the answers so far, by gateway id; None while a missing answer may still decide.

    `late`: the time to answer is over; the result is then never None.
    """
    accepted = _first(answers, "accepted")
    if accepted is not None:
        return Acknowledgement("AA", accepted.text)
    silent = sorted(set(online) - answers.keys())
    if not late and (silent or not answers):
        return None
    rejected = _first(answers, "rejected")
    if rejected is not None:
        condition = CONDITIONS.get(rejected.code, Condition.VALUE_UNKNOWN)
        return Acknowledgement("AE", rejected.text, condition, rejected.code)
    ignored = _first(answers, "ignored")
    if silent or ignored is None:
        who = f"no answer of {', '.join(silent)}" if silent else "no gateway is online"
        return Acknowledgement("AE", f"{who}; send it again", Condition.PASSING, "no-answer")
    return Acknowledgement("AA", ignored.text, reason=ignored.code)


def _first(answers: Mapping[str, GatewayAnswer], result: str) -> GatewayAnswer | None:
    return next((answers[gateway] for gateway in sorted(answers) if answers[gateway].result == result), None)
