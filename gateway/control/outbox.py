"""What people ask about messages on their way to the engine: send one again, try the way with a test."""

from gateway.commissioning.messages import build_trial
from gateway.commissioning.trial import Commissioning
from gateway.config.load import GatewayConfig
from gateway.control.requests import AnyOutboxRequest, RequestRefused, ResendRequest, SendTest
from gateway.ledger.deliveries import Deliveries
from gateway.recording.pipeline import Pipeline
from gateway.recording.receipts import Order, OrderRefused
from gateway.runtime.clock import Clock


class OutboxService:
    """Where the outbox is acted on."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, pipeline: Pipeline, commissioning: Commissioning | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._pipeline = pipeline
        self._commissioning = commissioning

    async def serve(self, request: AnyOutboxRequest) -> dict[str, object]:
        """What was done. Raises Refused with nothing changed."""
        match request:
            case ResendRequest():
                try:
                    await self._pipeline.send_again(Order(request.key, request.person, request.reason))
                except OrderRefused as refused:
                    raise RequestRefused(str(refused), refused.accepted) from None
                return {"done": f"{request.key} is sent again"}
            case SendTest():
                if self._commissioning is None:
                    raise RequestRefused("this gateway sends no test messages", "capgate run")
                trial = build_trial(request.what, self._config, self._clock.now().utc_us)
                return {"tried": await self._commissioning.send(trial, request.wait_s)}


def delivery_status(deliveries: Deliveries, *, expected: bool) -> dict[str, object]:
    """How the gateway's status tells of deliveries."""
    return {
        "delivery": "by receipt" if expected else "unproven",
        "pending": deliveries.pending,
        "unproven": deliveries.unproven,
        "rejected": deliveries.rejected,
    }
