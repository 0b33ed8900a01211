"""The bytes of the clinic's units: each is a reference cap unit, RCU-1, behind a connection of its own.

The registers are the simulators', which are written from the unit's document and not from its profile.
"""

import asyncio
from collections.abc import Callable, Mapping

from drivers.dialects.base import Raw, Refusal, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.reading import Reading, RunState
from drivers.transport.base import ByteLink, Connector, SerialSettings
from drivers.transport.memory import FarEnd
from simulators.machine import CapCircuit, CircuitState, Machine
from simulators.maps.reference import answer
from simulators.requests import requests_in

ANSWER_S = 0.002  # of the loop
SET_POINT_C = -4.0

Shown = Callable[[], Reading | None]
"""What a unit shows at this instant; None: it does not answer."""

_STATES = {
    RunState.STOPPED: CircuitState.ENDED,
    RunState.RUNNING: CircuitState.READY,
    RunState.PAUSED: CircuitState.PAUSED,
}


class Wire:
    """The connections to all units, by the address in each line's URL."""

    def __init__(self, units: Mapping[str, Shown], now_s: Callable[[], float]) -> None:
        self._units = units
        self._now_s = now_s

    def connector(self, url: str, settings: SerialSettings) -> Connector:
        """In place of drivers.transport.open.connector."""
        far_end = FarEnd()
        buffer, codec = bytearray(), dialect(DialectName.MODBUS_TCP)

        def receive(data: bytes) -> None:
            buffer.extend(data)
            for request in requests_in(codec, buffer):
                if (reply := self._reply(url, request)) is not None:
                    far_end.send(codec.encode_reply(request, reply), ANSWER_S)

        far_end.on_request = receive

        async def connect() -> ByteLink:
            await asyncio.sleep(0)
            buffer.clear()
            return far_end.open()

        return connect

    def _reply(self, url: str, request: Request) -> Raw | Refusal | None:
        shown = self._units[url]()
        return shown and answer(_machine(shown, self._now_s()), request.query)


def _machine(shown: Reading, now_s: float) -> Machine:
    supply_c = SET_POINT_C + now_s // 30 % 10 / 100  # never the same for long
    machine = Machine(shown.serial_number or "", len(shown.caps), SET_POINT_C, supply_c)
    machine.clock_s = now_s
    machine.caps = [
        CapCircuit(
            state=_STATES[cap.run_state],
            connected=bool(cap.connected),
            elapsed_s=float(cap.elapsed_s or 0),
            treatment=cap.treatment or 0,
        )
        for cap in shown.caps
    ]
    return machine
