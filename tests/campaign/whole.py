"""One life of the whole gateway: `run_gateway`, on the bytes of the units, with nothing of it left out but the page.

It costs several times what the parts in life.py cost, so it is played for days and not for years.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from drivers.reading import Reading
from gateway.app import Gateway, run_gateway
from gateway.control.socket import Answer
from gateway.ledger.store import open_ledger
from gateway.mqtt.service import MqttService
from gateway.recording.pipeline import Pipeline
from gateway.runtime import disk as rooms
from tests.campaign.disk import DISK_FULL, Disk
from tests.campaign.life import Life
from tests.campaign.wire import Wire

US_PER_S = 1_000_000


class WholeLife(Life):
    """A process of the gateway that polls by itself."""

    keeps_answers = True

    def turn(self, unit: str) -> None:
        """It asks when it wants to."""

    async def _work(self) -> None:
        with self._around():
            await run_gateway(self._config, self._clock, self._stop)

    @contextmanager
    def _around(self) -> Generator[None]:
        """The bytes, the broker's socket, the disk and the control socket of this life."""
        shown = {line.url: partial(self._shown, line.units[0].id) for line in self._config.lines}
        wire = Wire(shown, lambda: self._clock.now().boot_us / US_PER_S)
        opening = partial(open_ledger, connect=self._disk.connect)
        with (
            mock.patch("gateway.polling.supervisor.connector", wire.connector),
            mock.patch("gateway.mqtt.service.connect", self._broker.connect),
            mock.patch("gateway.app.open_ledger", opening),
            mock.patch("gateway.paused.disk_pause.open_ledger", opening),
            mock.patch("gateway.monitoring.monitor.serve_pages", _no_pages),
            mock.patch("gateway.paused.blocked.serve_pages", _no_pages),
            mock.patch("gateway.app.Disk", partial(_Room, self._disk)),
            mock.patch("gateway.app.serve_control", self._serve),
            mock.patch("gateway.paused.blocked.serve_control", self._refuse),
            mock.patch("gateway.app.Gateway", _watched(self._entered)),
        ):
            yield

    def _shown(self, unit: str) -> Reading | None:
        answer = self._poll(unit, self._clock.now())
        return answer if isinstance(answer, Reading) else None

    def _entered(self, mqtt: MqttService | None, pipeline: Pipeline | None) -> None:
        self._mqtt, self._pipeline = mqtt, pipeline

    async def _serve(self, directory: Path, answer: Answer, opened: asyncio.Event) -> None:
        self._answer = answer
        try:
            await self._refuse(directory, answer, opened)
        finally:
            self._answer = None

    async def _refuse(self, directory: Path, answer: Answer, opened: asyncio.Event) -> None:
        """Nobody asks a gateway that counts nothing."""
        opened.set()
        self._started.set()
        await asyncio.get_running_loop().create_future()  # ends with the task


@asynccontextmanager
async def _no_pages(*_args: object) -> AsyncGenerator[None]:
    """Nobody looks at /healthz and /metrics, and no port is taken."""
    yield


class _Room(rooms.Disk):
    """The room on the disk."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        super().__init__(directory)
        self._disk = disk

    def measure(self) -> None:
        self.free_bytes = 0 if self._disk.full else 1 << 30
        self.is_low = self._disk.full

    def give_up_ballast(self) -> bool:
        return False  # the disk stays as full as it is

    def refusal(self) -> str:
        return DISK_FULL if self._disk.full else ""


def _watched(entered: Callable[[MqttService | None, Pipeline | None], None]) -> type[Gateway]:
    """A gateway that tells `entered` of its parts while it runs."""

    class Watched(Gateway):
        async def run(self, stop: asyncio.Event) -> None:
            entered(self._mqtt, self._pipeline)
            try:
                await super().run(stop)
            finally:
                entered(None, None)

    return Watched
