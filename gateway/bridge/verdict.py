"""What the gateways of a site say of one message, made into the one acknowledgement that its sender hears. Pure.

A message goes to every gateway of the site, and each answers for itself. One that took it is enough. One that has no
use for it speaks for itself alone, so all that are online are heard before that is the answer. One that rejects it is
heard where none took it: then somebody must mend it. A gateway that is offline is not waited for, for the broker keeps
the message in its session; but where nobody at all answered, the message is to be sent again.
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
    """What one gateway made of a message: `data` of its result event."""

    for_: str | None = msgspec.field(name="for")
    result: Literal["accepted", "ignored", "rejected"]
    code: str = ""
    text: str = ""


def verdict(answers: Mapping[str, GatewayAnswer], online: Collection[str], *, late: bool) -> Acknowledgement | None:
    """The acknowledgement, by the answers of gateways so far; None while others may still decide.

    `late`: the time to answer is over. Then there always is one.
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
