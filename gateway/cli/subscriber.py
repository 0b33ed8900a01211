"""A subscriber that feeds a board: `watch` and `demo` see a gateway as any other client of its broker does."""

from gateway.cli.board import Board
from gateway.mqtt.client import connect
from gateway.mqtt.types import MqttSettings, OutgoingMessage


async def follow(settings: MqttSettings, topic_filter: str, board: Board) -> None:
    """Take every message under the filter into `board` until cancelled. Raises MqttDown."""
    will = OutgoingMessage(f"{topic_filter.partition('/')[0]}/watchers", b"", qos=0)
    async with connect(settings, will) as connection:
        await connection.subscribe([topic_filter], with_retained=True)
        async for message in connection.messages():
            board.take(message.topic, message.payload)
            message.ack()
