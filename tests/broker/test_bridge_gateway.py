"""A complete gateway behind the bridge: the engine's acknowledgement is that gateway's verdict."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway.app import Gateway
from gateway.bridge.config import load_bridge
from gateway.polling.supervisor import Supervisor
from tests.broker.bridge_side import bridge, write_config
from tests.broker.harness import Mosquitto, eventually, free_port
from tests.broker.mllp_peers import send
from tests.support.story import POLICIES, a_day


async def lines_at_rest(_: Supervisor) -> None:
    await asyncio.Event().wait()


def message(kind: str, control_id: str, *lines: str) -> bytes:
    head = f"MSH|^~\\&|EHR|H|CAPGATE|NORTH|20261129||{kind}|{control_id}|T|2.5.1"
    return "\r".join([head, *lines, ""]).encode()


SENT = {
    message("ADT^A04", "M1", "PV1|1|O|NOWHERE^^NOCHAIR||||||||||||||||V9"): "MSA|AA|M1|PV1-3 names no chair",
    message("RAS^O17", "M2", "PID|1||90001234"): "MSA|AE|M2|",
    message("MDM^T02", "M3"): "MSA|AA|M3|MSH-9: not used here",
    message("ADT^A04", "M4", "P1|broken"): "MSA|AE|M4|a line begins with no segment",
    message("ADT^A04", "", "PV1|1"): "MSA|AE||MSH-10: missing",
}


async def test_the_engine_hears_the_gateway(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "run", lines_at_rest)
    stop = asyncio.Event()
    async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
        config = msgspec.structs.replace(
            day.config,
            mqtt=msgspec.structs.replace(day.config.mqtt, port=mosquitto.port),
            health_listen=("127.0.0.1", 0),
        )
        path = write_config(tmp_path, mosquitto.port, free_port(), listen="answer_timeout_s = 50.0")
        path.write_text(
            path.read_text()
            .replace('site = "north"', f'site = "{config.site}"')
            .replace('mode = "test"', f'mode = "{config.mode}"')
        )
        async with asyncio.TaskGroup() as group, bridge(load_bridge(path)) as running:
            group.create_task(Gateway(config, day.clock, day.ledger, day.pipeline).run(stop))
            await eventually(lambda: running.answers.online == {config.id}, "the gateway is online")
            heard = [await asyncio.to_thread(send, running.port, each) for each in SENT]
            stop.set()
        await day.start()
    for said, expected in zip(heard, SENT.values(), strict=True):
        assert said.startswith(expected), (said, expected)
