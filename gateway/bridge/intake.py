"""A message of the engine: published to the gateways, and acknowledged to the engine with their verdict.

The bridge itself rejects what has no MSH segment, no MSH-10 or is too large. Everything else is left to the gateways,
even if only MSH can be read, so that defects of the feed are counted where the feed is monitored.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from gateway.bridge.answers import Answers
from gateway.bridge.config import AckCode
from gateway.bridge.mllp import Frame, Oversized
from gateway.bridge.notices import Happening, Notices, Trouble
from gateway.messages.hl7v2 import Er7Error, Segment, read_header
from gateway.messages.inbound.acks import ACCEPTED, Acknowledgement, Condition, build_ack, control_id
from gateway.messages.inbound.hl7 import hl7_message_id
from gateway.runtime.clock import US_PER_S, Clock

_ACK_BODY = re.compile(rb"[\r\n]MSA[^A-Za-z0-9\s]")
_EMPTY_HEADER = read_header(b"MSH|^~\\&|")  # for the answer to what has no MSH

# (payload, deadline on the event loop's clock) -> "" once the broker has taken it, else why not
Publish = Callable[[bytes, float], Awaitable[str]]


class Intake:
    """Handles each frame that the listener receives. `largest` returns the largest size accepted now, in bytes."""

    def __init__(
        self,
        publish: Publish,
        largest: Callable[[], int],
        answers: Answers,
        notices: Notices,
        clock: Clock,
        mode: AckCode,
        timeout_s: float,
    ) -> None:
        self._publish = publish
        self._largest = largest
        self._answers = answers
        self._notices = notices
        self._clock = clock
        self._mode = mode
        self._timeout_s = timeout_s
        self._serial = 0

    async def take(self, frame: Frame) -> bytes | None:
        """Publish a frame. Returns the acknowledgement to send back; None for a frame that is itself one."""
        payload = frame.head if isinstance(frame, Oversized) else frame
        size = frame.size if isinstance(frame, Oversized) else len(frame)
        try:
            header = read_header(payload)
        except Er7Error as error:
            self._notices.happened(Happening.NOT_HL7, str(error))
            return self._answer(_EMPTY_HEADER, Acknowledgement("AR", str(error), Condition.DATA_TYPE, "not-hl7"))
        largest = self._largest()
        if size > largest:
            self._notices.happened(Happening.TOO_LARGE, f"{size} bytes, limit {largest}", id=control_id(header))
            return self._answer(header, _too_large(size, largest))
        if header.get(9).upper() == "ACK" or _ACK_BODY.search(payload):
            await self._pass_on(payload)
            return None
        return self._answer(header, await self._judged(header, payload))

    async def _pass_on(self, payload: bytes) -> None:
        trouble = await self._publish(payload, self._deadline_s())
        self._notices.happened(Happening.ACKS_LOST if trouble else Happening.ACKS_TAKEN, trouble)

    async def _judged(self, header: Segment, payload: bytes) -> Acknowledgement:
        deadline_s = self._deadline_s()
        message_id = hl7_message_id(header)
        if not message_id:
            await self._publish(payload, deadline_s)  # no answer can be matched to it, but gateways count it
            text = "MSH-10: missing; accepted: the message's control id"
            answer = Acknowledgement("AE", text, Condition.FIELD_MISSING, "bad-envelope")
            self._notices.happened(Happening.REJECTED, answer.reason)
            return answer
        async with self._answers.expect(message_id) as expected:
            trouble = await self._publish(payload, deadline_s)
            if trouble:
                answer = Acknowledgement("AE", trouble, Condition.PASSING, "not-delivered")
            else:
                answer = await expected.acknowledgement(deadline_s)
        self._note(header, answer)
        return answer

    def _note(self, header: Segment, answer: Acknowledgement) -> None:
        if answer.condition is Condition.PASSING:
            self._notices.happened(Happening.UNANSWERED, answer.text, id=control_id(header))
            self._notices.begins(Trouble.NO_ANSWER, answer.text)
            return
        self._notices.ends(Trouble.NO_ANSWER)
        if answer.code in ACCEPTED:
            self._notices.happened(Happening.TAKEN)
        else:
            self._notices.happened(Happening.REJECTED, answer.reason, id=control_id(header))

    def _deadline_s(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout_s

    def _answer(self, header: Segment, answer: Acknowledgement) -> bytes:
        if self._mode is AckCode.CA:
            answer = msgspec.structs.replace(answer, code=f"C{answer.code[1]}")
        self._serial += 1
        now_us = self._clock.now().utc_us
        at = datetime.fromtimestamp(now_us / US_PER_S, UTC).strftime("%Y%m%d%H%M%S+0000")
        return build_ack(header, answer, f"CB{now_us // 1000 % 10**13:013d}{self._serial % 1000:03d}", at)


def _too_large(size: int, largest: int) -> Acknowledgement:
    text = f"too large: {size} bytes, limit {largest}"
    return Acknowledgement("AR", text, Condition.DATA_TYPE, "too-large")
