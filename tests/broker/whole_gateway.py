"""A whole gateway without lines: the composition root on a ledger of a test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gateway.app import Gateway
from gateway.config.load import GatewayConfig
from gateway.polling.supervisor import Supervisor
from gateway.recording.pipeline import Pipeline
from tests.support.story import Day


async def _lines_at_rest(_: Supervisor) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def whole_gateway(config: GatewayConfig, day: Day, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Pipeline]:
    """A gateway of that configuration on the day's ledger, until the context ends."""
    monkeypatch.setattr(Supervisor, "run", _lines_at_rest)
    pipeline = await Pipeline.recovered(config, day.clock, day.ledger)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Gateway(config, day.clock, day.ledger, pipeline).run(stop))
        yield pipeline
        stop.set()
