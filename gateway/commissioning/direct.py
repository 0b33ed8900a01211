"""Sends a test message without a running gateway, on its own connection, which leaves no session at the broker."""

import asyncio

import msgspec

from gateway.commissioning.trial import Commissioning, Trial, TrialResult, TrialStep
from gateway.config.tables import MAX_CLIENT_ID
from gateway.messages.notation import Notation
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttDown, MqttSettings, OutgoingMessage, PublishRefused

_SUFFIX = "-test"


async def send_directly(settings: MqttSettings, topics: Topics, trial: Trial, wait_s: float) -> TrialResult:
    """Connect with a client id of its own beside a running gateway, send the test, and disconnect."""
    client_id = settings.client_id[: MAX_CLIENT_ID - len(_SUFFIX)] + _SUFFIX
    own = msgspec.structs.replace(settings, client_id=client_id, session_expiry_s=0)
    will = OutgoingMessage(topics.status.topic, b"", qos=0)
    try:
        async with connect(own, will) as connection:
            tried = await _send(connection, topics, trial, wait_s)
            await connection.disconnect()  # in order, so that the broker publishes no will
            return tried
    except MqttDown as down:
        return TrialResult(TrialStep.NOT_CONNECTED, trial.message.topic, trial.key, f"{type(down).__name__}: {down}")


async def _send(connection: Connection, topics: Topics, trial: Trial, wait_s: float) -> TrialResult:
    commissioning = Commissioning(connection.publish)
    if wait_s > 0:
        try:
            await connection.subscribe([topics.inbound(notation).topic for notation in Notation])
        except PublishRefused as refused:
            detail = f"the broker does not let us hear receipts: reason {refused.reason}"
            return TrialResult(TrialStep.NOT_ALLOWED, refused.topic, trial.key, detail, refused.reason)
    listening = asyncio.create_task(_listen(connection, commissioning))
    try:
        return await commissioning.send(trial, wait_s)
    finally:
        listening.cancel()
        await asyncio.wait((listening,))
        if not listening.cancelled():
            listening.exception()  # retrieved and ignored: a lost connection makes `send` fail too


async def _listen(connection: Connection, commissioning: Commissioning) -> None:
    async for message in connection.messages():
        commissioning.notice(message.payload)
        message.ack()
