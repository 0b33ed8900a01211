"""The gateway's own status messages: birth, will and farewell, on one retained topic."""

from functools import cache
from importlib.metadata import version

from gateway.messages.cloudevents import Origin, encode_event
from gateway.messages.destination import Destination
from gateway.messages.notation import Mode
from gateway.messages.outbound.device import (
    ClockState,
    GatewayState,
    GatewayStatus,
    StatusReason,
    StatusRole,
    gateway_status_event,
)
from gateway.mqtt.service import Announcements, ConnectionInfo
from gateway.mqtt.types import OutgoingMessage
from gateway.runtime.clock import Clock


@cache
def software_version() -> str:
    """The installed version of Capgate. Read from the disk once: later there may be no descriptor left for it."""
    return version("capgate")


def announcements(
    origin: Origin, destination: Destination, mode: Mode, clock: Clock, role: StatusRole | None = None
) -> Announcements:
    """The status messages for every connection (birth), its loss (will) and a clean end (farewell)."""

    def message(
        state: GatewayState, epoch: int, protocol: str | None, edition: str, reason: StatusReason | None
    ) -> OutgoingMessage:
        kept = clock.kept()
        status = GatewayStatus(
            state=state,
            reason=reason,
            epoch=epoch,
            software=software_version(),
            protocol=protocol,
            mode=mode,
            role=role,
            clock=ClockState(kept.synchronised, None if kept.max_error_us is None else kept.max_error_us / 1000),
        )
        event = gateway_status_event(origin, clock.now().utc_us, status, edition)
        return OutgoingMessage.to(destination, encode_event(event))

    def birth(info: ConnectionInfo) -> OutgoingMessage:
        return message(GatewayState.ONLINE, info.epoch, info.protocol, "birth", None)

    def will(epoch: int) -> OutgoingMessage:
        return message(GatewayState.OFFLINE, epoch, None, "will", StatusReason.CONNECTION_LOST)

    def farewell(epoch: int) -> OutgoingMessage:
        return message(GatewayState.OFFLINE, epoch, None, "farewell", StatusReason.SHUTDOWN)

    return Announcements(destination.topic, birth, will, farewell)
