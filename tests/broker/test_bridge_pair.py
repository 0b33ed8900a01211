"""An active/standby pair of bridges: the standby bridge takes over the messages that the other left."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.toml.document import TomlProblems
from gateway.bridge.bridge import Bridge
from gateway.bridge.config import load_bridge
from tests.broker.bridge_side import CHARGES, SiteGateway, bridge, charge, write_config
from tests.broker.harness import Mosquitto, eventually, free_port, only_3_1_1
from tests.broker.mllp_peers import EngineLog, engine

TAKEOVER_S = 2.0


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Iterator[SiteGateway]:
    """A gateway that receives the engine's acknowledgements."""
    caller = SiteGateway(mosquitto.port, lambda _: "accepted")
    yield caller
    caller.disconnect()


def pair_config(folder: Path, name: str, broker_port: int, engine_port: int) -> Path:
    """The configuration of one bridge of the pair."""
    (folder / name).mkdir()
    pair = f'[standby]\nname = "{name}"\nclient_id = "bridge-01-{name}"\ntakeover_s = {TAKEOVER_S}'
    return write_config(folder / name, broker_port, engine_port, listen=pair)


@asynccontextmanager
async def version_port(mosquitto: Mosquitto, version: str) -> AsyncGenerator[int]:
    async with only_3_1_1(mosquitto.port) as old:
        yield mosquitto.port if version == "5.0" else old


def is_active(running: Bridge) -> bool:
    return running.report().role == "active" and running.report().mqtt_connected


def carried(running: Bridge) -> int:
    """Messages that the engine answered and that were acknowledged to the broker."""
    return sum(lane.carried for lane in running.report().lanes.values())


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
async def test_one_carries_and_at_its_end_the_other_goes_on(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway, version: str
) -> None:
    heard = EngineLog()
    async with (
        engine(heard) as port,
        version_port(mosquitto, version) as broker,
        bridge(load_bridge(pair_config(tmp_path, "b", broker, port))) as second,
    ):
        async with bridge(load_bridge(pair_config(tmp_path, "a", broker, port))) as first:
            await eventually(lambda: is_active(first) or is_active(second), "one carries")
            for number in range(20):
                gateway.publish(CHARGES, charge(number))
            await eventually(lambda: carried(first) + carried(second) == 20, "all are answered, and so for the broker")
            assert not (is_active(first) and is_active(second))
        await eventually(lambda: is_active(second), "the other carries")
        for number in range(20, 40):
            gateway.publish(CHARGES, charge(number))
        await eventually(lambda: len(heard.ids) >= 40, "all are carried")
    assert heard.ids == [f"CG9RX2M7KQ4{number:02d}A" for number in range(40)], "each once, in order"


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
async def test_when_the_active_one_is_killed_or_stands_still_the_other_takes_over_what_it_left(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway, version: str, fate: signal.Signals
) -> None:
    heard = EngineLog()
    async with engine(heard) as port, version_port(mosquitto, version) as broker:
        command = [sys.executable, "-m", "gateway", "bridge", "--config", str(pair_config(tmp_path, "a", broker, port))]
        active = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            await eventually(lambda: gateway.publish(CHARGES, charge(0)) == 0, "the first carries")
            async with bridge(load_bridge(pair_config(tmp_path, "b", broker, port))) as standby:
                for number in range(1, 10):
                    gateway.publish(CHARGES, charge(number))
                await eventually(lambda: len(set(heard.ids)) == 10, "all are carried")
                active.send_signal(fate)
                for number in range(10, 60):
                    gateway.publish(CHARGES, charge(number))
                await eventually(lambda: is_active(standby), "the other takes over")
                await eventually(lambda: len(set(heard.ids)) == 60, "all are carried")
                if fate is signal.SIGSTOP:
                    active.send_signal(signal.SIGCONT)
                gateway.publish(CHARGES, charge(60))
                await eventually(lambda: "CG9RX2M7KQ460A" in heard.ids, "it goes on")
        finally:
            if active.returncode is None:
                active.kill()
            await active.wait()
    in_order = list(dict.fromkeys(heard.ids))
    assert in_order == [f"CG9RX2M7KQ4{number:02d}A" for number in range(61)]
    repeated = len(heard.ids) - len(in_order)
    assert repeated <= 2, "at most the message that it was at, and that of one who comes back"


async def test_the_one_on_standby_does_not_listen(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with bridge(load_bridge(pair_config(tmp_path, "a", mosquitto.port, free_port()))) as first:
        await eventually(lambda: is_active(first), "it carries")
        assert first.port
        async with bridge(load_bridge(pair_config(tmp_path, "b", mosquitto.port, free_port()))) as second:
            await eventually(lambda: second.report().role == "standby", "it stands by")
            assert not second.port


def test_the_watch_needs_a_client_id_of_its_own(tmp_path: Path) -> None:
    path = pair_config(tmp_path, "a", 1883, 2575)
    path.write_text(path.read_text().replace("bridge-01-a", "capgate-bridge"))
    with pytest.raises(TomlProblems, match="cut the other off"):
        load_bridge(path)
